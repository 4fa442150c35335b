#include "formats/torch/metadata_keys.hpp"

#include <set>
#include <utility>
#include <vector>

#include "formats/torch/object_view.hpp"

namespace ckptree::torch {
namespace {

using pickle::Entries;
using pickle::Entry;
using pickle::Graph;
using pickle::Id;
using pickle::Kind;
using pickle::kNone;

/// "a.b" of "a.b.weight"; nothing of "weight", which is of the module at the top.
std::string module_of(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos ? std::string() : name.substr(0, dot);
}

std::string last_of(const std::string& name) { return name.substr(name.rfind('.') + 1); }  // npos + 1 is 0

/// What names in a module begin with.
std::string prefix_of(const std::string& module) { return module.empty() ? std::string() : module + "."; }

bool is_below(Bytes name, Bytes prefix) { return name.substr(0, prefix.size()) == prefix; }

/// The dict that a tensor is an entry of: the object itself, or what is under "state_dict" in it.
Id state_dict_of(const Graph& graph, const Survey::Tensor& tensor) {
  const View top = view_at(graph, graph.root_slot());
  if (tensor.home == 0) return top.id;
  const auto entry = pickle::find(graph, top.id, "state_dict");
  return entry ? view_at(graph, entry->value_slot()).id : kNone;
}

Id metadata_of(const Graph& graph, Id state_dict) {
  const Id state = state_dict == kNone ? kNone : graph.state(state_dict);
  if (state == kNone || graph.kind(state) != Kind::dict) return kNone;
  const auto entry = pickle::find(graph, state, "_metadata");
  return entry ? entry->value : kNone;
}

}  // namespace

void follow_prefixes(const Graph& graph, pickle::Editor& edit, const Tensors& tensors, Tensors::Index i,
                     const std::string& key) {
  // Modules that the tensor was in, and is in now, from the innermost up to where their names part.
  std::vector<std::pair<std::string, std::string>> moved;
  std::string from = module_of(tensors.name(i)), to = module_of(key);
  while (from != to) {
    const std::string old = prefix_of(from), now = prefix_of(to);
    const bool deeper = !now.empty() && is_below(now, old);
    if (tensors.has_below(old, deeper ? now : std::string(), i)) break;  // so is then each that it is in
    moved.emplace_back(from, to);
    if (from.empty() || to.empty() || last_of(from) != last_of(to)) break;
    from = module_of(from);
    to = module_of(to);
  }
  if (moved.empty()) return;
  const Id metadata = metadata_of(graph, state_dict_of(graph, tensors.place(i)));
  if (metadata == kNone) return;

  std::set<std::string> keys;
  Entries all(graph, metadata);
  for (Entry e; all.next(e);)
    if (graph.kind(e.key) == Kind::text) keys.emplace(graph.text(e.key));
  Entries entries(graph, metadata);
  for (Entry e; entries.next(e);) {
    if (graph.kind(e.key) != Kind::text) continue;
    const std::string old(graph.text(e.key));
    // Of the modules that moved, the outermost says all: the others are in it.
    const auto& [module, target] = moved.back();
    const std::string prefix = prefix_of(module);
    const bool there = !target.empty() && is_below(prefix_of(old), prefix_of(target)) && is_below(target, prefix);
    if (there || !is_below(prefix_of(old), prefix)) continue;
    const std::string rest = old == module ? std::string() : old.substr(prefix.size());
    const std::string fresh = rest.empty() ? target : prefix_of(target) + rest;
    if (!keys.insert(fresh).second) continue;
    edit.replace(e.key_slot(), edit.text(fresh));
  }
}

}  // namespace ckptree::torch
