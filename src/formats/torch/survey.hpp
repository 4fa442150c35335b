#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/name.hpp"
#include "formats/torch/object_view.hpp"

namespace ckptree::torch {

/// A walk over the whole object, once, without recursion: which tensors there are and where, and the place of each
/// directory, so that an object that stands in several places (or in itself) is shown at the first and linked from the
/// others. Its cost is that of the graph, however often things are shared.
///
/// It serves the graph it was made from, and those in which entries were erased or values replaced since.
class Survey {
 public:
  struct Tensor {
    std::string name;         // as tensors/ calls it, before it is made a file name
    pickle::Slot slot = 0;    // where the tensor stands
    pickle::Slot entry = 0;   // pickle::Entry::at, when `renameable`
    std::uint32_t home = 0;   // the directory that it stands in
    bool renameable = false;  // an entry of a state dict: its key is its name
  };

  /// @throws Error Errc::too_large for more tensors, or longer names of them, than are listed
  /// @param before  of a graph this one comes from, whose lists look now as they looked then; may be null
  explicit Survey(const pickle::Graph& graph, const Survey* before = nullptr);

  /// Those of the state dict first, in its order, then the others as they are met.
  const std::vector<Tensor>& tensors() const noexcept { return tensors_; }
  /// The first tensor at a slot; null when there is none.
  const Tensor* tensor_at(pickle::Slot slot) const;
  /// Which of the tensors are still there in a later graph: neither it nor a directory above it was erased.
  std::vector<bool> alive(const pickle::Graph& later) const;

  /// The dict, or other directory, that a tensor stands in, in this or a later graph.
  pickle::Id directory_of(const Tensor& tensor, const pickle::Graph& later) const {
    return later.at(homes_[tensor.home].content);
  }

  /// Whether a directory is shown at this slot; else it is a link to path_of. One that came later is at home anywhere.
  bool is_home(pickle::Id directory, pickle::Slot slot) const;
  /// The names that lead to a directory's home, from object/ on; nothing when they are longer than a path may be.
  std::optional<TreePath> path_of(const pickle::Graph& graph, pickle::Id directory) const;
  /// Whether a directory that is linked from somewhere has its home here or below.
  bool holds_shared(pickle::Id directory) const;
  /// Which lists are files.
  const ListLooks& list_looks() const noexcept { return looks_; }

 private:
  // One per directory object, those above before those below.
  struct Home {
    pickle::Slot slot;     // where it stands
    pickle::Slot content;  // where what is shown of it stands: View::slot
    std::uint32_t parent;  // index of the home that it is in; its own for the top
    bool typed;
    bool in_module = false;  // a dict of a torch.nn.Module, which its state_dict() does not mention in its names
    bool is_shared = false;  // or holds one that is
    pickle::Id key;          // as in Child
    std::string literal;     // as in Child
  };
  class Walk;

  std::vector<Tensor> tensors_;
  std::vector<std::uint32_t> by_slot_;  // indices of tensors_
  std::vector<Home> homes_;
  std::vector<std::uint32_t> home_of_;  // by Id; kNone: not a directory, or not reached
  ListLooks looks_;                     // by Id
};

}  // namespace ckptree::torch
