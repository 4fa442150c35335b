#pragma once

#include <sys/types.h>

#include <deque>
#include <memory>
#include <optional>

#include "ckptree/model.hpp"
#include "tree/processes.hpp"

namespace ckptree {

/// Trees that `rm -r`, or `mv` to another filesystem, takes away entry by entry. It is one wish: where one entry has to
/// stay, all of them do. Who removes a tree lists its top first; that is how the two are told from `rm a b`.
class TreeRemovals {
 public:
  /// A thread has listed a directory of a view. Cheap: it is asked at every listing.
  void note_listing(pid_t thread, const void* view, const TreePath& directory);
  /// An entry that a process wanted to remove has to stay.
  /// @return the top of the tree of which nothing is to be removed now; nothing when it removes single entries
  std::optional<TreePath> refuse(const ProcessPtr& who, const void* view, const TreePath& path);
  /// The top of a tree that was refused to this process and holds `path`.
  std::optional<TreePath> refused(const ProcessPtr& who, const void* view, const TreePath& path) const;

 private:
  struct Listing {
    pid_t thread;
    const void* view;
    TreePath top;
    std::weak_ptr<const Process> refused_to;
  };
  std::deque<Listing> listings_;  // the last ones; none is below another one of the same thread
};

}  // namespace ckptree
