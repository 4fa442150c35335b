#include "tree/tree_removals.hpp"

#include <algorithm>

namespace ckptree {
namespace {

// More trees than anybody removes at once.
constexpr std::size_t kListings = 64;

bool holds(const TreePath& top, const TreePath& path) {
  return path.size() >= top.size() && std::equal(top.begin(), top.end(), path.begin());
}

}  // namespace

void TreeRemovals::note_listing(pid_t thread, const void* view, const TreePath& directory) {
  for (const Listing& known : listings_)
    if (known.thread == thread && known.view == view && holds(known.top, directory)) return;
  listings_.push_back({thread, view, directory, {}});
  if (listings_.size() > kListings) listings_.pop_front();
}

std::optional<TreePath> TreeRemovals::refuse(const ProcessPtr& who, const void* view, const TreePath& path) {
  if (!who->removes_trees()) return std::nullopt;
  for (Listing& l : listings_) {
    if (l.thread != who->group() || l.view != view || !holds(l.top, path)) continue;
    l.refused_to = who;
    return l.top;
  }
  return std::nullopt;
}

std::optional<TreePath> TreeRemovals::refused(const ProcessPtr& who, const void* view, const TreePath& path) const {
  for (const Listing& l : listings_)
    if (l.view == view && holds(l.top, path) && l.refused_to.lock() == who) return l.top;
  return std::nullopt;
}

}  // namespace ckptree
