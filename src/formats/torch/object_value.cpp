#include "formats/torch/object_value.hpp"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "codec/python/repr.hpp"
#include "formats/torch/literal.hpp"
#include "formats/torch/numpy_view.hpp"

namespace ckptree::torch {
namespace {

using pickle::Editor;
using pickle::Graph;
using pickle::Id;
using pickle::Item;
using pickle::Items;
using pickle::Kind;
using pickle::Slot;

// Past it a float has to be guessed; ours, as long as the longest that is exact.
constexpr std::size_t kMaxNumber = 1100;
// Bytes of a list as a file: its items may all be one long text, which a pickle has once.
constexpr std::size_t kMaxList = 256u << 20;

Shape shape_of_kind(Kind kind) {
  switch (kind) {
    case Kind::none: return Shape::null;
    case Kind::boolean: return Shape::boolean;
    case Kind::text: return Shape::string;
    default: return Shape::number;
  }
}

bool is_integer_literal(Bytes json) { return json.find_first_of(".eEIN") == Bytes::npos; }

/// A JSON number as a float.
double real_of(Bytes json, const std::string& place) {
  double value = 0;
  const char* const end = json.data() + json.size();
  const auto [at, error] = std::from_chars(json.data(), end, value);
  if (json.size() > kMaxNumber || error != std::errc() || at != end)
    throw Error(Errc::rejected, place + ": expected a number that a float of 64 bits can hold");
  return value;
}

Id integer_of(Editor& edit, Bytes json, const std::string& place) {
  try {
    return edit.integer(json);
  } catch (const Error& e) {
    throw Error(e.code(), place + ": " + e.what());
  }
}

/// A scalar that takes the place of one of this kind.
Id make_like(Editor& edit, Kind kind, Bytes json, const std::string& place) {
  const bool number = json::type_at(json, {0, json.size()}) == json::Type::number;
  if (kind == Kind::integer && number && !is_integer_literal(json))
    throw Error(Errc::rejected, place + ": expected an integer, got " + std::string(json.substr(0, 40)));
  if (kind == Kind::real && number) return edit.real(real_of(json, place));
  return make_value(edit, json, place);
}

std::vector<Slot> slots_of(const Graph& graph, Id list) {
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < graph.count(list); ++i) slots.push_back(graph.slot(list, i));
  Items items(graph, list);
  for (Item item; items.next(item);) slots.push_back(item.at);
  return slots;
}

/// Items of a list that is a file, in JSON.
std::vector<std::string> items_of(const Graph& graph, const std::vector<Slot>& slots) {
  std::vector<std::string> items;
  std::size_t size = 0;
  for (const Slot slot : slots) {
    const Id id = view_at(graph, slot).id;
    items.push_back(json_of(graph, id));
    if (items.back().empty())
      if (const auto scalar = numpy_scalar(graph, id)) items.back() = scalar->json;
    size += items.back().size();
    if (size > kMaxList)
      throw Error(Errc::too_large,
                  graph.place() + ": a list of more than " + std::to_string(kMaxList) + " bytes of text is not shown");
  }
  return items;
}

std::string joined(const std::vector<std::string>& items) {
  std::string json = "[";
  for (const std::string& item : items) json.append(json.size() > 1 ? ", " : "").append(item);
  return json += "]";
}

/// A set that is made when it is loaded: no opcode of torch's weights_only unpickler adds to one.
Id make_set(Editor& edit, Bytes name, const std::vector<Id>& items) {
  const Id type = edit.global(edit.graph().protocol() < 3 ? "__builtin__" : "builtins", name);
  return edit.reduce(type, edit.tuple({edit.list(items)}));
}

}  // namespace

std::string text_of_scalar(const Graph& graph, Id id) {
  if (const std::string json = json_of(graph, id); !json.empty())
    return text_of_value(json, shape_of_kind(graph.kind(id)));
  if (const auto scalar = numpy_scalar(graph, id)) return scalar->text + "\n";
  const Id parts = graph.child(id, 1);  // of a complex number
  return repr_of_complex(python::repr(graph.real(graph.child(parts, 0))),
                         python::repr(graph.real(graph.child(parts, 1)))) +
         "\n";
}

std::string text_of_list(const Graph& graph, Id id) {
  std::string out = "[";
  for (const std::string& item : items_of(graph, slots_of(graph, id)))
    out.append(out.size() > 1 ? ",\n" : "\n").append(item);
  return out += out.size() > 1 ? "\n]\n" : "]\n";
}

std::string type_of(const Graph& graph, const View& view) {
  if (view.look == Look::list) return type_name(Shape::flat_list);
  if (view.look != Look::scalar) return "";
  if (graph.kind(view.id) != Kind::reduce) return type_name(shape_of_kind(graph.kind(view.id)));
  const auto scalar = numpy_scalar(graph, view.id);
  if (!scalar || scalar->json.empty()) return type_name(Shape::number);
  const char first = scalar->json.front();
  return type_name(first == '"' ? Shape::string : first == 't' || first == 'f' ? Shape::boolean : Shape::number);
}

// Recursive: a value is no deeper than json::kMaxDepth, which was checked.
Id make_value(Editor& edit, Bytes json, const std::string& place) {
  const json::Extent whole{0, json.size()};
  const auto slice = [&](json::Extent at) { return json.substr(at.begin, at.size()); };
  switch (json::type_at(json, whole)) {
    case json::Type::null: return edit.none();
    case json::Type::boolean: return edit.boolean(json == "true");
    case json::Type::string: return edit.text(json::unescape(json));
    case json::Type::number:
      return is_integer_literal(json) ? integer_of(edit, json, place) : edit.real(real_of(json, place));
    case json::Type::array: {
      std::vector<Id> items;
      json::Walk walk(json, whole);
      for (json::Member m; walk.next(m);) items.push_back(make_value(edit, slice(m.value), place));
      return edit.list(items);
    }
    case json::Type::object: {
      std::vector<std::pair<Id, Id>> entries;
      json::Walk walk(json, whole);
      for (json::Member m; walk.next(m);) {
        const Id key = edit.text(json::unescape(slice(m.key)));
        entries.emplace_back(key, make_value(edit, slice(m.value), place));
      }
      return edit.dict(entries);
    }
  }
  return edit.none();
}

bool write_scalar(Editor& edit, const View& view, Bytes text, const std::string& place) {
  const Graph& graph = edit.graph();
  const Kind kind = graph.kind(view.id);
  const std::string old = json_of(graph, view.id);
  if (old.empty()) throw Error(Errc::immutable, place + ": is no plain scalar of Python, and can only be shown");
  const Value value = replaced_value(old, shape_of_kind(kind), text, place);
  if (value.json == old) return false;
  if (view.typed && (is_directory(value.shape) || value.shape == Shape::flat_list))
    throw Error(Errc::rejected, place + ": expected a scalar: OmegaConf wraps what is in a container");
  const Id node = make_like(edit, kind, value.json, place);
  edit.replace(view.slot, node);
  return true;
}

bool write_list(Editor& edit, const View& view, Bytes text, const std::string& place) {
  const Graph& graph = edit.graph();
  const Kind kind = graph.kind(view.id);
  const std::vector<Slot> slots = slots_of(graph, view.id);
  const std::vector<std::string> old = items_of(graph, slots);
  std::vector<std::string> now;
  const Value value = replaced_value(joined(old), Shape::flat_list, text, place);
  if (value.shape != Shape::flat_list)
    throw Error(Errc::rejected, place + ": expected a list of scalars, got one with lists or objects in it");
  json::Walk walk(value.json, {0, value.json.size()});
  for (json::Member m; walk.next(m);) now.push_back(value.json.substr(m.value.begin, m.value.size()));
  if (now == old) return false;
  const bool same_size = now.size() == old.size();
  if (view.typed && !same_size)
    throw Error(Errc::immutable, place + ": OmegaConf wraps each item, none can be added or removed");

  // Items that stay are the same objects as before: those at the beginning, and those at the end.
  const std::size_t shorter = std::min(old.size(), now.size());
  std::size_t first = 0, last = 0;
  while (first < shorter && now[first] == old[first]) ++first;
  while (last < shorter - first && now[now.size() - 1 - last] == old[old.size() - 1 - last]) ++last;
  std::vector<Id> items;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (i < first) {
      items.push_back(graph.at(slots[i]));
    } else if (i >= now.size() - last) {
      items.push_back(graph.at(slots[i + old.size() - now.size()]));
    } else if (same_size && now[i] == old[i]) {
      items.push_back(graph.at(slots[i]));
    } else if (same_size) {
      const View item = view_at(graph, slots[i]);
      if (json_of(graph, item.id).empty())
        throw Error(Errc::immutable,
                    place + ": item " + std::to_string(i) + " is a NumPy scalar, and can only be shown");
      items.push_back(make_like(edit, graph.kind(item.id), now[i], place));
      if (item.slot == slots[i]) continue;
      edit.replace(item.slot, items.back());  // in what wraps it
      items.back() = graph.at(slots[i]);
    } else {
      items.push_back(make_value(edit, now[i], place));
    }
  }
  // Lists are changed wherever they stand; of what cannot change there is a new one, here.
  switch (kind) {
    case Kind::tuple: edit.replace(view.slot, edit.tuple(items)); return true;
    case Kind::set: edit.replace(view.slot, make_set(edit, "set", items)); return true;
    case Kind::frozenset: edit.replace(view.slot, make_set(edit, "frozenset", items)); return true;
    default: break;
  }
  for (std::size_t i = 0; i < shorter; ++i)
    if (graph.at(slots[i]) != items[i]) edit.replace(slots[i], items[i]);
  for (std::size_t i = shorter; i < items.size(); ++i) edit.append(view.id, items[i]);
  for (std::size_t i = shorter; i < slots.size(); ++i) edit.erase(Item{graph.at(slots[i]), slots[i]});
  return true;
}

}  // namespace ckptree::torch
