// Removals: of scratch, and of what the checkpoint holds, at once or when nothing took its place.

#include <unistd.h>

#include <algorithm>
#include <functional>

#include "ckptree/error.hpp"
#include "tree/control.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {
namespace {

/// A document stands at the top of the tree; what lies deeper (arrays, values) settles with its neighbours when
/// removed.
bool is_document(const TreePath& path, const Node& node) {
  return path.size() == 1 && node.saving == Node::Saving::whole;
}

}  // namespace

/// Takes a scratch name away; the inode stays for who has it open.
void Mount::State::forget_scratch_name(Ino parent, const std::string& name) {
  inodes.at(parent).scratch_names.erase(name);
  Inode* inode = inodes.named(parent, name);
  if (!inode || inode->kind != Inode::Kind::scratch) {
    inodes.unbind(parent, name);
    return;
  }
  if (inodes.remove_name(*inode, parent, name)) return;
  inode->linked = false;
  if (inode->draft && inode->draft->opens == 0) drop_draft(inode->draft);
  else inodes.collect(inode->ino);
}

void Mount::unlink(Ino parent, const std::string& name, const Caller& caller) {
  std::unique_lock<std::mutex> lock(s_->mutex);
  if (const auto own = s_->own_replacement({parent, name}, caller);
      own && s_->inodes.at(own->ino).kind == Inode::Kind::draft) {
    own->progress = Draft::Progress::saved;  // a replacement given up: nothing of it is to be saved
    own->is_new = false;
    return;
  }
  State::Found f = s_->look(lock, parent, name, caller);
  const std::string place = to_string(f.spot.path);
  s_->refuse_if_read_only(place);
  if (f.in_control) {
    lock.unlock();
    control::remove(*f.spot.view->session, TreePath(f.spot.path.begin() + 1, f.spot.path.end()));
    return;
  }
  if (f.scratch || f.in_scratch_dir) {
    // Bytes of a file that is open are given back when it is closed.
    const bool open = f.scratch && !f.scratch->open_file.expired();
    const std::uint64_t freed = open ? 0 : Scratch::freed_by_removing(f.real);
    if (::unlink(f.real.c_str()) != 0) throw_errno(place);
    s_->scratch.release(freed);
    s_->forget_scratch_name(parent, name);
    return;
  }
  if (!f.node || f.hidden) throw Error(Errc::not_found, place + ": no such entry");
  if (f.node->is_directory()) throw Error(Errc::is_directory, place + ": is a directory");
  const ProcessPtr who = s_->processes.of(caller.thread);
  lock.unlock();
  s_->remove_or_keep(f.spot, who, [&] {
    if (f.node->saving == Node::Saving::none) throw Error(Errc::immutable, place + ": cannot be removed");
    f.spot.view->session->check_editable();
    if (who->is_remover()) return s_->remove_stored(f.spot, *f.node, who);
    const std::lock_guard<std::mutex> guard(s_->mutex);
    s_->hide({parent, name}, who, true);
    s_->wake();
  });
}

void Mount::State::remove_or_keep(const Spot& spot, const ProcessPtr& who, const std::function<void()>& remove) {
  const auto refuse_tree = [](const TreePath& path, const TreePath& tree) {
    throw Error(Errc::immutable, to_string(path) + ": stays, as not all of " +
                                     (tree.empty() ? "the checkpoint" : to_string(tree)) + " can be removed");
  };
  {
    const std::lock_guard<std::mutex> guard(mutex);
    if (const auto tree = tree_removals.refused(who, spot.view.get(), spot.path)) refuse_tree(spot.path, *tree);
  }
  try {
    remove();
  } catch (const Error& e) {
    if (e.code() != Errc::immutable && e.code() != Errc::last_one) throw;
    std::optional<TreePath> tree;
    {
      const std::lock_guard<std::mutex> guard(mutex);
      tree = tree_removals.refuse(who, spot.view.get(), spot.path);
      for (auto it = hidden.begin(); tree && it != hidden.end();) {
        const bool mine = it->second.who == who && inodes.find(it->first.first);
        const Spot gone = mine ? spot_of(it->first.first, it->first.second) : Spot{};
        const bool below = mine && gone.view == spot.view && gone.path.size() > tree->size() &&
                           std::equal(tree->begin(), tree->end(), gone.path.begin());
        it = below ? hidden.erase(it) : std::next(it);
      }
    }
    if (tree) spot.view->session->take_back_removals(*tree, who);
    throw;
  }
}

void Mount::State::remove_stored(const Spot& spot, const Node& node, const ProcessPtr& who) {
  Op op;
  op.kind = Op::Kind::remove;
  op.path = spot.path;
  Recipe kept = scratch.keep(node.content, to_string(spot.path));
  store(spot.view, {op}, spot.view->session->epoch(), is_document(spot.path, node), who);
  spot.view->session->keep_removed(spot.path, std::move(kept));
  let_go(spot.view);
}

void Mount::remove_directory(Ino parent, const std::string& name, const Caller& caller) {
  std::unique_lock<std::mutex> lock(s_->mutex);
  State::Found f = s_->look(lock, parent, name, caller);
  const std::string place = to_string(f.spot.path);
  s_->refuse_if_read_only(place);
  if (f.in_control) throw Error(Errc::immutable, place + ": cannot be removed");
  if (f.scratch || f.in_scratch_dir) {
    if (::rmdir(f.real.c_str()) != 0) throw_errno(place);
    s_->forget_scratch_name(parent, name);
    return;
  }
  if (!f.node) throw Error(Errc::not_found, place + ": no such directory");
  if (!f.node->is_directory()) throw Error(Errc::not_directory, place + ": not a directory");
  const Inode* inode = s_->inodes.named(parent, name);
  if (inode && !inode->scratch_names.empty()) throw Error(Errc::not_empty, place + ": holds scratch files");
  const ProcessPtr who = s_->processes.of(caller.thread);
  const Ino dir = inode ? inode->ino : 0;
  lock.unlock();
  // What the same process removed in it before is removed now, so that `rm -r` of any tool ends in an empty directory.
  s_->settle_hidden([&](const Name& n, const Hidden& h) { return n.first == dir && h.who == who; });
  s_->remove_or_keep(f.spot, who, [&] {
    Op op;
    op.kind = Op::Kind::remove;
    op.path = f.spot.path;
    s_->store(f.spot.view, {op}, f.spot.view->session->epoch(), false, who);
  });
  s_->let_go(f.spot.view);
}

}  // namespace ckptree
