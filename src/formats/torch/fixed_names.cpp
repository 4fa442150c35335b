// Classes and functions that have to be called what they are called, because torch makes tensors with them.

#include <algorithm>
#include <string>
#include <vector>

#include "formats/torch/dtype.hpp"
#include "formats/torch/imports.hpp"
#include "formats/torch/object_class.hpp"

namespace ckptree::torch {
namespace {

using pickle::Graph;
using pickle::Id;
using pickle::Kind;
using pickle::kNone;

// Of a call that makes a tensor; the longest has eight.
constexpr std::size_t kMaxArguments = 16;

std::size_t few(const Graph& graph, Id tuple) { return std::min(graph.count(tuple), kMaxArguments); }

/// @param wanted  in ascending order
bool holds(const Graph& graph, Id tuple, const std::vector<Id>& wanted) {
  for (std::size_t i = 0; i < few(graph, tuple); ++i)
    if (std::binary_search(wanted.begin(), wanted.end(), graph.child(tuple, i))) return true;
  return false;
}

/// Whether it is an argument of a call that makes a tensor, or in a tuple that is one, as the scheme of a quantizer is.
bool is_of_a_tensor(const Graph& graph, const Import& import) {
  for (Id call = 0; call < graph.size(); ++call) {
    if (graph.kind(call) != Kind::reduce || class_of(graph, call) != Class::tensor) continue;
    const Id arguments = graph.child(call, 1);
    if (graph.kind(arguments) != Kind::tuple) continue;
    if (holds(graph, arguments, import.ids)) return true;
    for (std::size_t i = 0; i < few(graph, arguments); ++i)
      if (const Id tuple = graph.child(arguments, i);
          tuple != kNone && graph.kind(tuple) == Kind::tuple && holds(graph, tuple, import.ids))
        return true;
  }
  return false;
}

bool ends_in_storage(Bytes name) {
  constexpr Bytes kEnd = "Storage";
  return name.size() >= kEnd.size() && name.substr(name.size() - kEnd.size()) == kEnd;
}

}  // namespace

std::string why_not_renameable(const Graph& graph, const Import& import, const std::string& module,
                               const std::string& name) {
  if (module == import.module && name == import.name) return {};
  if (graph.protocol() < 3) {
    const pickle::Global loaded = pickle::python3_name({module, name});
    if (loaded.module != module || loaded.name != name)
      return "Python takes " + module + "." + name + " in a pickle of protocol " + std::to_string(graph.protocol()) +
             " for Python 2's, and loads " + std::string(loaded.module) + "." + std::string(loaded.name);
  }
  // torch takes the types of storages by their name, in whatever module.
  const bool is_storage =
      dtype_of_storage(import.name) || (import.module.compare(0, 5, "torch") == 0 && ends_in_storage(import.name));
  const bool makes = is_storage || class_named({import.module, import.name}) == Class::tensor;
  const bool loads_alike = loads_weights_only(module, name) || !loads_weights_only(import.module, import.name);
  if (makes && !(name == import.name && loads_alike))
    return "torch makes tensors with " + import.module + "." + import.name + ", and could not with " + module + "." +
           name;
  if (import.module == "torch" && name != import.name && is_of_a_tensor(graph, import))
    return "says what a tensor is made of; with " + name + " it would be another";
  return {};
}

}  // namespace ckptree::torch
