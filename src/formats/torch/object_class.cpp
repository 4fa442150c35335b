#include "formats/torch/object_class.hpp"

#include <string>

#include "formats/torch/object_view.hpp"

namespace ckptree::torch {

using pickle::Global;
using pickle::Graph;
using pickle::Id;
using pickle::Kind;
using pickle::kNone;

namespace {

struct Known {
  Bytes module, name;  // no module: whatever it is
  Class is;
};

constexpr Known kKnown[] = {
    {"collections", "OrderedDict", Class::dict},
    {"collections", "defaultdict", Class::dict},
    {"collections", "Counter", Class::counter},
    {"", "DotDict", Class::dict},        // anemoi.utils.config
    {"", "AttributeDict", Class::dict},  // Lightning's, which has moved more than once
    {"builtins", "set", Class::sequence},
    {"builtins", "frozenset", Class::sequence},
    {"torch", "Size", Class::sequence},
    {"argparse", "Namespace", Class::holder},
    {"types", "SimpleNamespace", Class::holder},
    {"omegaconf.dictconfig", "DictConfig", Class::omega_tree},
    {"omegaconf.listconfig", "ListConfig", Class::omega_tree},
    {"copyreg", "_reconstructor", Class::reconstructor},
    {"_codecs", "encode", Class::bytes},
    {"builtins", "bytes", Class::bytes},
    {"builtins", "bytearray", Class::bytes},
    {"builtins", "complex", Class::complex},
    {"builtins", "getattr", Class::attribute},
    {"numpy._core.multiarray", "_reconstruct", Class::numpy_array},
    {"numpy.core.multiarray", "_reconstruct", Class::numpy_array},
    {"numpy._core.numeric", "_frombuffer", Class::numpy_array},
    {"numpy.core.numeric", "_frombuffer", Class::numpy_array},
    {"numpy._core.multiarray", "scalar", Class::numpy_scalar},
    {"numpy.core.multiarray", "scalar", Class::numpy_scalar},
};

bool begins_with(Bytes text, Bytes with) { return text.substr(0, with.size()) == with; }

}  // namespace

Class class_named(const Global& global) {
  // torch.tensor is what torch._tensor was called before 1.9.
  const bool of_torch =
      global.module == "torch._utils" || global.module == "torch._tensor" || global.module == "torch.tensor";
  if (of_torch && begins_with(global.name, "_rebuild_")) return Class::tensor;
  if (global.module == "omegaconf.nodes") return Class::omega_leaf;
  for (const Known& known : kKnown)
    if (known.name == global.name && (known.module.empty() || known.module == global.module)) return known.is;
  return Class::other;
}

Id maker_of(const Graph& graph, Id id) {
  switch (graph.kind(id)) {
    case Kind::reduce:
    case Kind::newobj:
    case Kind::newobj_ex: return graph.child(id, 0);
    default: return kNone;
  }
}

Class class_of(const Graph& graph, Id id) {
  const Id maker = maker_of(graph, id);
  if (maker == kNone || graph.kind(maker) != Kind::global) return Class::other;
  return class_named(graph.known_as(maker));
}

Id argument(const Graph& graph, Id call, std::size_t n) {
  const Id arguments = graph.child(call, 1);
  return graph.kind(arguments) == Kind::tuple && n < graph.count(arguments) ? graph.child(arguments, n) : kNone;
}

std::string dotted_name(const Graph& graph, Id id) {
  if (graph.kind(id) == Kind::global) {
    const Global name = graph.known_as(id);
    return std::string(name.module).append(".").append(name.name);
  }
  if (graph.kind(id) != Kind::reduce || class_of(graph, id) != Class::attribute) return {};
  // A class in a class, as protocols 0 to 3 spell it.
  const Id outer = argument(graph, id, 0), inner = argument(graph, id, 1);
  if (inner == kNone || graph.kind(inner) != Kind::text || graph.kind(outer) != Kind::global) return {};
  return dotted_name(graph, outer).append(".").append(graph.text(inner));
}

}  // namespace ckptree::torch
