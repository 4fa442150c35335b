#include "formats/torch/object_view.hpp"

#include "formats/torch/numpy_view.hpp"
#include "formats/torch/object_class.hpp"

namespace ckptree::torch {
namespace {

using pickle::Entries;
using pickle::Entry;
using pickle::Graph;
using pickle::Id;
using pickle::Item;
using pickle::Items;
using pickle::Kind;
using pickle::kNone;
using pickle::Slot;

// Wrappers in wrappers; OmegaConf has two. More of them are a pickle that loops.
constexpr int kMaxWrappers = 16;

// Attributes of what wraps a value; nodes of OmegaConf have three. It is looked at wherever it is referred to.
constexpr int kMaxAttributes = 64;

/// Whether little was done to an object since it was made.
bool is_brief(const Graph& graph, Id object) {
  int steps = 0;
  for (std::uint32_t s = graph.node(object).first_step; s != kNone && steps <= kMaxAttributes; s = graph.step(s).next)
    ++steps;
  return steps <= kMaxAttributes;
}

Slot slot_of_state(const Graph& graph, Id object, Bytes key) {
  const Id state = is_brief(graph, object) ? graph.state(object) : kNone;
  if (state == kNone || graph.kind(state) != Kind::dict) return kNone;
  Slot found = kNone;
  Entries entries(graph, state);
  Entry entry;
  for (int n = 0; entries.next(entry); ++n) {
    if (n == kMaxAttributes) return kNone;
    if (graph.is_text(entry.key, key)) found = entry.value_slot();
  }
  return found;
}

/// Where the value stands that this object wraps; kNone when it is none's wrapper.
Slot wrapped(const Graph& graph, Id id, Class is) {
  const auto only_argument = [&](auto wanted) {
    const Id value = graph.kind(id) == Kind::reduce ? argument(graph, id, 0) : kNone;
    const bool fits = value != kNone && argument(graph, id, 1) == kNone && wanted(graph.kind(value)) &&
                      graph.node(id).first_step == kNone;
    return fits ? graph.slot(graph.child(id, 1), 0) : kNone;
  };
  switch (is) {
    case Class::counter: return only_argument([](Kind kind) { return kind == Kind::dict; });
    case Class::sequence: return only_argument(is_sequence);
    case Class::omega_tree: return slot_of_state(graph, id, "_content");
    case Class::omega_leaf: return slot_of_state(graph, id, "_val");
    case Class::holder: {
      const Slot state = is_brief(graph, id) ? graph.state_slot(id) : kNone;
      return state != kNone && graph.kind(graph.at(state)) == Kind::dict ? state : kNone;
    }
    default: return kNone;
  }
}

struct Unwrapped {
  Slot slot;
  Id id;
  Class is;
  bool typed;
};

Unwrapped unwrap(const Graph& graph, Slot slot) {
  Unwrapped u{slot, graph.at(slot), Class::other, false};
  for (int i = 0; i < kMaxWrappers; ++i) {
    u.is = class_of(graph, u.id);
    const Slot inner = wrapped(graph, u.id, u.is);
    if (inner == kNone) break;
    u.typed = u.typed || u.is == Class::omega_tree || u.is == Class::omega_leaf;
    u.slot = inner;
    u.id = graph.at(inner);
  }
  return u;
}

bool is_complex(const Graph& graph, Id id) {
  const auto is_real = [&](std::size_t n) {
    const Id part = argument(graph, id, n);
    return part != kNone && graph.kind(part) == Kind::real;
  };
  return graph.kind(id) == Kind::reduce && is_real(0) && is_real(1);
}

/// Whether an item can stand in a list that is one file.
bool is_scalar_item(const Graph& graph, Slot slot) {
  const Unwrapped u = unwrap(graph, slot);
  switch (graph.kind(u.id)) {
    case Kind::none:
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
    case Kind::text: return true;
    default: break;
  }
  if (u.is != Class::numpy_scalar) return false;
  const auto scalar = numpy_scalar(graph, u.id);
  return scalar && !scalar->json.empty();
}

ListLook look_of_list(const Graph& graph, Id id) {
  for (std::size_t i = 0; i < graph.count(id); ++i)
    if (!is_scalar_item(graph, graph.slot(id, i))) return ListLook::directory;
  Items items(graph, id);
  for (Item item; items.next(item);)
    if (!is_scalar_item(graph, item.at)) return ListLook::directory;
  return ListLook::file;
}

Look look_of_call(const Graph& graph, Id id, Class is) {
  switch (is) {
    case Class::tensor: return Look::tensor;
    case Class::bytes: return bytes_of(graph, id) ? Look::bytes : Look::directory;
    case Class::complex: return is_complex(graph, id) ? Look::scalar : Look::directory;
    case Class::attribute: return dotted_name(graph, id).empty() ? Look::directory : Look::reference;
    case Class::numpy_array: return array_of(graph, id) ? Look::array : Look::directory;
    case Class::numpy_scalar: return numpy_scalar(graph, id) ? Look::scalar : Look::directory;
    default: return Look::directory;
  }
}

Look look_of(const Graph& graph, Id id, Class is, const ListLooks* known) {
  switch (graph.kind(id)) {
    case Kind::none:
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
    case Kind::text: return Look::scalar;
    case Kind::bytes:
    case Kind::bytearray: return Look::bytes;
    case Kind::list:
    case Kind::tuple:
    case Kind::set:
    case Kind::frozenset: {
      ListLook look = known && id < known->size() ? (*known)[id] : ListLook::unknown;
      if (look == ListLook::unknown) look = look_of_list(graph, id);
      return look == ListLook::file ? Look::list : Look::directory;
    }
    case Kind::global:
    case Kind::extension:
    case Kind::buffer: return Look::reference;
    case Kind::persistent: return Look::storage;
    case Kind::reduce: return look_of_call(graph, id, is);
    case Kind::dict:
    case Kind::newobj:
    case Kind::newobj_ex: return Look::directory;
  }
  return Look::directory;
}

}  // namespace

View view_at(const Graph& graph, Slot slot, const ListLooks* known) {
  const Unwrapped u = unwrap(graph, slot);
  return {look_of(graph, u.id, u.is, known), u.slot, u.id, u.typed};
}

bool is_tensor(const Graph& graph, Id id) {
  return graph.kind(id) == Kind::reduce && class_of(graph, id) == Class::tensor;
}

}  // namespace ckptree::torch
