#include "formats/torch/imports.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "ckptree/error.hpp"
#include "ckptree/name.hpp"

namespace ckptree::torch {
namespace {

using pickle::Graph;
using pickle::Id;
using pickle::Kind;
using pickle::kNone;
using pickle::Node;
using pickle::Op;
using pickle::Slot;

/// Visits every object once, with the objects it stands on: `each(id, children)` for all that can be reached.
template <class Each>
void walk(const Graph& graph, Each each) {
  std::vector<bool> seen(graph.size());
  std::vector<Id> open{graph.root()}, children;
  seen[graph.root()] = true;
  while (!open.empty()) {
    const Id id = open.back();
    open.pop_back();
    children.clear();
    const Node& node = graph.node(id);
    const auto take = [&](Slot first, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i)
        if (const Id child = graph.at(first + static_cast<Slot>(i)); child != kNone) children.push_back(child);
    };
    take(node.first, graph.count(id));
    for (std::uint32_t step = node.first_step; step != kNone; step = graph.step(step).next)
      take(graph.step(step).first, graph.step(step).count);
    each(id, children);
    for (const Id child : children) {
      if (seen[child]) continue;
      seen[child] = true;
      open.push_back(child);
    }
  }
}

// Dotted names of modules have some ten parts; one text of a pickle may be the name of a million nodes.
constexpr std::size_t kMaxName = 4096;
// All names together, as they are kept here.
constexpr std::size_t kMaxNames = 64u << 20;

/// Ids of an Import ascend.
bool is_one_of(const std::vector<Id>& ids, Id id) { return std::binary_search(ids.begin(), ids.end(), id); }

/// What an object that the placeholder stands for is given and cannot take.
std::string unfit_steps(const Graph& graph, Id object) {
  for (std::uint32_t s = graph.node(object).first_step; s != kNone; s = graph.step(s).next) {
    const pickle::Step& step = graph.step(s);
    if (step.op != Op::build) return "an object of it holds items, which its placeholder could not take";
    const Id state = graph.at(step.first);
    if (state == kNone) continue;
    const Kind kind = graph.kind(state);
    const bool fits = kind == Kind::dict || kind == Kind::none || (kind == Kind::tuple && graph.count(state) == 2);
    if (!fits) return "an object of it has a state that is no dict, which its placeholder could not take";
  }
  return {};
}

/// Of a call that has the class among its arguments.
std::string unfit_call(const Graph& graph, const std::vector<Id>& ids, Id call) {
  const Id callable = graph.child(call, 0), arguments = graph.child(call, 1);
  const auto is_argument = [&](std::size_t i) {
    return graph.count(arguments) > i && is_one_of(ids, graph.child(arguments, i));
  };
  if (graph.is_global(callable, "copyreg", "_reconstructor") && is_argument(0)) {
    const bool plain = graph.count(arguments) > 1 && graph.is_global(graph.child(arguments, 1), "builtins", "object");
    return plain ? unfit_steps(graph, call) : "an object of it is one of a built-in type, which its placeholder is not";
  }
  if (graph.is_global(callable, "builtins", "getattr") && is_argument(0))
    return "a class within it is referred to, which its placeholder has not";
  if (graph.is_global(callable, "torch._tensor", "_rebuild_from_type_v2") && is_argument(1))
    return "it is the class of a tensor, which its placeholder is not";
  return {};
}

}  // namespace

Imports::Imports(const Graph& graph) {
  std::map<Id, std::size_t> uses;
  walk(graph, [&](Id id, const std::vector<Id>& children) {
    if (id == graph.root() && graph.kind(id) == Kind::global) ++uses[id];
    for (const Id child : children)
      if (graph.kind(child) == Kind::global) ++uses[child];
  });
  std::map<std::pair<Bytes, Bytes>, Import> found;
  std::size_t bytes = 0;
  for (const auto& [id, count] : uses) {
    const pickle::Global known = graph.known_as(id);
    const std::size_t longest = std::max(known.module.size(), known.name.size());
    if (longest > kMaxName)
      throw Error(Errc::too_large, graph.place() + ": a class has a name of " + std::to_string(longest) +
                                       " bytes, at most " + std::to_string(kMaxName) + " are listed");
    Import& import = found[{known.module, known.name}];
    if (import.ids.empty()) bytes += known.module.size() + known.name.size();
    if (bytes > kMaxNames) throw Error(Errc::too_large, graph.place() + ": more names of classes than are listed");
    import.ids.push_back(id);
    import.uses += count;
  }
  for (auto& [names, import] : found) {
    import.module = std::string(names.first);
    import.name = std::string(names.second);
    import.module_file = file_name_of(names.first).text;
    import.name_file = file_name_of(names.second).text;
    all_.push_back(std::move(import));
  }
  std::sort(all_.begin(), all_.end(), [](const Import& a, const Import& b) {
    return std::tie(a.module_file, a.name_file) < std::tie(b.module_file, b.name_file);
  });
}

std::pair<std::size_t, std::size_t> Imports::in(const std::string& module_file) const {
  struct Order {
    bool operator()(const Import& a, const std::string& b) const { return a.module_file < b; }
    bool operator()(const std::string& a, const Import& b) const { return a < b.module_file; }
  };
  const auto range = std::equal_range(all_.begin(), all_.end(), module_file, Order());
  return {range.first - all_.begin(), range.second - all_.begin()};
}

const Import* Imports::find(const std::string& module_file, const std::string& name_file) const {
  const auto [begin, end] = in(module_file);
  const auto last = all_.begin() + static_cast<std::ptrdiff_t>(end);
  const auto at = std::lower_bound(all_.begin() + static_cast<std::ptrdiff_t>(begin), last, name_file,
                                   [](const Import& a, const std::string& b) { return a.name_file < b; });
  return at != last && at->name_file == name_file ? &*at : nullptr;
}

std::string why_no_placeholder(const Graph& graph, const Import& import) {
  std::string why;
  walk(graph, [&](Id id, const std::vector<Id>& children) {
    if (!why.empty()) return;
    const Kind kind = graph.kind(id);
    const bool makes = kind == Kind::reduce || kind == Kind::newobj || kind == Kind::newobj_ex;
    if (makes && is_one_of(import.ids, graph.child(id, 0))) why = unfit_steps(graph, id);
    else if (kind == Kind::reduce) why = unfit_call(graph, import.ids, id);
    else if (kind == Kind::persistent)
      for (const Id child : children)
        if (graph.kind(child) == Kind::tuple && graph.count(child) > 1 && is_one_of(import.ids, graph.child(child, 1)))
          why = "it is the type of a storage, which its placeholder is not";
  });
  return why;
}

}  // namespace ckptree::torch
