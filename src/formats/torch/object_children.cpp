// What is in the directories of object/.

#include <algorithm>
#include <numeric>
#include <utility>

#include "formats/torch/index.hpp"
#include "formats/torch/literal.hpp"
#include "formats/torch/object_class.hpp"
#include "formats/torch/object_view.hpp"

namespace ckptree::torch {

using pickle::Entries;
using pickle::Entry;
using pickle::Graph;
using pickle::Id;
using pickle::Item;
using pickle::Items;
using pickle::Kind;
using pickle::kNone;
using pickle::Slot;

namespace {

bool is_derived_name(Bytes key) { return key == "@class" || key == "@args" || key == "@kwargs" || key == "@state"; }

bool has_entries(const Graph& graph, Id id) {
  Entries entries(graph, id);
  Entry entry;
  return entries.next(entry);
}

bool has_arguments(const Graph& graph, Id call) {
  const Id arguments = graph.child(call, 1);
  return graph.kind(arguments) != Kind::tuple || graph.count(arguments) > 0;
}

/// Whether its entries are all there is to show of it, as far as a pickle tells.
bool is_plain_dict(const Graph& graph, Id id) {
  if (graph.kind(id) == Kind::dict || class_of(graph, id) == Class::dict) return true;
  return graph.kind(id) == Kind::newobj && !has_arguments(graph, id) && has_entries(graph, id) &&
         graph.state_slot(id) == kNone;
}

/// Collects the children of one directory.
class Collector {
 public:
  explicit Collector(const Graph& graph) : graph_(graph) {}

  void entries(Id dict, Part part) {
    Entries entries(graph_, dict);
    for (Entry e; entries.next(e);) {
      Child child;
      if (graph_.kind(e.key) == Kind::text) child.key = e.key;
      else child.literal = literal_of(graph_, e.key);
      child.slot = e.value_slot();
      child.at = e.at;
      child.part = part;
      all_.push_back(std::move(child));
    }
  }

  void items(Id list) {
    std::size_t n = 0;
    if (is_sequence(graph_.kind(list)))
      for (std::size_t i = 0; i < graph_.count(list); ++i) item(n++, graph_.slot(list, i), true);
    Items items(graph_, list);
    for (Item i; items.next(i);) item(n++, i.at, graph_.kind(list) != Kind::list);
  }

  /// What cannot be told by an entry: @class, @args, @state.
  void derived(const char* key, Slot slot) {
    Child child;
    child.literal = key;
    child.slot = slot;
    child.part = Part::derived;
    child.fixed = true;
    all_.push_back(std::move(child));
  }

  void object(Id id);

  /// Without those that a later one of the same key hides.
  std::vector<Child> take() &&;

 private:
  void item(std::size_t n, Slot slot, bool fixed) {
    Child child;
    child.literal = std::to_string(n);
    child.slot = child.at = slot;
    child.part = Part::item;
    child.fixed = fixed;
    all_.push_back(std::move(child));
  }

  Slot attributes(Id id);
  void maker(Id id);

  const Graph& graph_;
  std::vector<Child> all_;
};

/// A dict of attributes, or such a dict and one of the attributes that have slots in the class.
/// @returns where a state stands that is neither; else kNone
Slot Collector::attributes(Id id) {
  const Slot slot = graph_.state_slot(id);
  if (slot == kNone) return kNone;
  const Id state = graph_.at(slot);
  const auto is_dict_or_none = [&](Id part) {
    return graph_.kind(part) == Kind::dict || graph_.kind(part) == Kind::none;
  };
  if (graph_.kind(state) == Kind::dict) {
    if (state != id) entries(state, Part::attribute);
  } else if (graph_.kind(state) == Kind::tuple && graph_.count(state) == 2 && is_dict_or_none(graph_.child(state, 0)) &&
             graph_.kind(graph_.child(state, 1)) == Kind::dict) {
    if (graph_.kind(graph_.child(state, 0)) == Kind::dict) entries(graph_.child(state, 0), Part::attribute);
    entries(graph_.child(state, 1), Part::attribute);
  } else if (graph_.kind(state) != Kind::none) {
    return slot;
  }
  return kNone;
}

/// How it is made: its class, and the arguments of the call.
void Collector::maker(Id id) {
  Slot made = graph_.slot(id, 0);
  bool has_args = has_arguments(graph_, id);
  if (class_of(graph_, id) == Class::reconstructor && argument(graph_, id, 1) != kNone) {
    // copyreg._reconstructor(class, object, None) is what protocols 0 and 1 write for an object without arguments.
    made = graph_.slot(graph_.child(id, 1), 0);
    const Id state = argument(graph_, id, 2);
    has_args = state == kNone || graph_.kind(state) != Kind::none;
  }
  derived("@class", made);
  std::string name = dotted_name(graph_, graph_.at(made));
  if (!name.empty()) all_.back().text = std::move(name) + "\n";
  if (has_args) derived("@args", graph_.slot(id, 1));
  if (graph_.kind(id) == Kind::newobj_ex) derived("@kwargs", graph_.slot(id, 2));
}

void Collector::object(Id id) {
  const Slot state = attributes(id);
  entries(id, Part::entry);
  items(id);
  if (maker_of(graph_, id) != kNone && !is_plain_dict(graph_, id)) maker(id);
  if (state != kNone) derived("@state", state);
}

std::vector<Child> Collector::take() && {
  std::vector<std::uint32_t> order(all_.size());
  std::iota(order.begin(), order.end(), 0);
  // One text may be the key of a million entries: it is the same without a look at it.
  const auto compare = [&](std::uint32_t a, std::uint32_t b) {
    const Child &one = all_[a], &other = all_[b];
    if (one.is_literal() != other.is_literal()) return one.is_literal() ? 1 : -1;
    if (!one.is_literal() && one.key == other.key) return 0;
    return one.key_text(graph_).compare(other.key_text(graph_));
  };
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const int by_key = compare(a, b);
    return by_key != 0 ? by_key < 0 : a < b;
  });
  bool hidden = false;
  for (std::size_t i = 1; i < order.size(); ++i)
    if (compare(order[i - 1], order[i]) == 0) {
      all_[order[i - 1]].slot = kNone;
      all_[order[i]].hides = hidden = true;
    }
  if (hidden)
    all_.erase(std::remove_if(all_.begin(), all_.end(), [](const Child& c) { return c.slot == kNone; }), all_.end());
  return std::move(all_);
}

}  // namespace

bool is_dict(const Graph& graph, const View& directory) { return is_plain_dict(graph, directory.id); }

bool is_list(const Graph& graph, const View& view) { return is_sequence(graph.kind(view.id)); }

void children(const Graph& graph, const View& directory, const std::function<bool(Child&&)>& each) {
  Collector collector(graph);
  if (is_list(graph, directory)) collector.items(directory.id);
  else if (graph.kind(directory.id) == Kind::dict) collector.entries(directory.id, Part::entry);
  else collector.object(directory.id);
  for (Child& child : std::move(collector).take())
    if (!each(std::move(child))) return;
}

FileName name_of(const std::string& key, bool literal, Look look) {
  // Names of arrays and of other things are told apart by their ends, as those of arrays and their directories are.
  FileName name = look == Look::array ? array_file_name(key) : array_directory_name(key);
  const bool misread = reads_like_literal(key) || is_derived_name(key);
  if (literal || !misread || name.cut || name.text.front() == '%') return name;
  static const char digits[] = "0123456789ABCDEF";
  const auto first = static_cast<unsigned char>(name.text.front());
  name.text.replace(0, 1, {'%', digits[first >> 4], digits[first & 15]});
  return name;
}

Id attributes_of(const Graph& graph, Id object) {
  if (maker_of(graph, object) == kNone) return kNone;
  const Id state = graph.state(object);
  if (state == kNone) return kNone;
  if (graph.kind(state) == Kind::dict) return state;
  const bool pair = graph.kind(state) == Kind::tuple && graph.count(state) == 2;
  return pair && graph.kind(graph.child(state, 0)) == Kind::dict ? graph.child(state, 0) : kNone;
}

}  // namespace ckptree::torch
