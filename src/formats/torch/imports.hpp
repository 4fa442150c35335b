#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "codec/pickle/pickle.hpp"

namespace ckptree::torch {

/// A class or function that the object refers to, by the name Python 3 looks up.
struct Import {
  std::string module, name;
  std::string module_file, name_file;  // the same as file names
  std::vector<pickle::Id> ids;         // of its nodes; the pickler may have written several
  std::size_t uses = 0;                // places where it stands
};

/// Every class and function of a graph, in the order of their file names.
class Imports {
 public:
  /// Walks all of the object, without recursion.
  /// @throws Error Errc::too_large for longer names, or more, than are listed
  explicit Imports(const pickle::Graph& graph);

  const std::vector<Import>& all() const noexcept { return all_; }
  /// Those of a module: half-open range of indices, empty when there are none.
  std::pair<std::size_t, std::size_t> in(const std::string& module_file) const;
  /// Null when there is none.
  const Import* find(const std::string& module_file, const std::string& name_file) const;

 private:
  std::vector<Import> all_;
};

/// Why a class or function cannot have another name, whatever stands there; empty when it can. torch makes tensors and
/// storages of what it knows by name, so under another one they would be other tensors, or none.
std::string why_not_renameable(const pickle::Graph& graph, const Import& import, const std::string& module,
                               const std::string& name);

/// Why objects of a class could not be loaded any longer with a placeholder in its place, as far as the pickle tells;
/// empty when they could. The placeholder of anemoi takes any arguments and keeps the state it is given as attributes,
/// but is no container.
std::string why_no_placeholder(const pickle::Graph& graph, const Import& import);

/// Whether torch.load(weights_only=True) takes the name without being told to.
bool loads_weights_only(const std::string& module, const std::string& name);

}  // namespace ckptree::torch
