// Renames: of scratch, of scratch onto the checkpoint (how most editors save), within the checkpoint, and away from it.

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "ckptree/error.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {
namespace {

void rename_real(const std::string& from, const std::string& to, unsigned flags, const std::string& name) {
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) != 0) throw_errno(name);
}

}  // namespace

void Mount::rename(Ino parent, const std::string& name, Ino new_parent, const std::string& new_name, unsigned flags,
                   const Caller& caller) {
  if (flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE))
    throw Error(Errc::invalid, new_name + ": rename flag " + std::to_string(flags) + " is not known");
  std::unique_lock<std::mutex> lock(s_->mutex);
  State::Found to = s_->look(lock, new_parent, new_name, caller);
  to.scratch = nullptr;  // looking up `from` may let go of the mutex
  State::Found from = s_->look(lock, parent, name, caller);
  if (!to.in_scratch_dir) {
    auto& names = s_->inodes.at(new_parent).scratch_names;
    const auto found = names.find(new_name);
    to.scratch = found == names.end() ? nullptr : s_->inodes.find(found->second);
  } else {
    to.scratch = s_->inodes.named(new_parent, new_name);
  }
  const std::string place = to_string(from.spot.path), target = to_string(to.spot.path);
  s_->refuse_if_read_only(target);
  if (from.in_control || to.in_control) throw Error(Errc::immutable, target + ": .ckptree/ cannot be rearranged");
  if (from.nothing() || (from.node && from.hidden)) throw Error(Errc::not_found, place + ": no such entry");
  const bool occupied = !to.nothing() && !to.hidden;
  if ((flags & RENAME_NOREPLACE) && occupied) throw Error(Errc::exists, target + ": exists already");
  if ((flags & RENAME_EXCHANGE) && !occupied) throw Error(Errc::not_found, target + ": no such entry");
  if (from.spot.view != to.spot.view && (from.node || to.node))
    throw Error(Errc::cross_checkpoint, target + ": is in another checkpoint");
  const bool exchange = flags & RENAME_EXCHANGE;

  if (!from.node) {
    if (to.node) return s_->rename_scratch_onto(lock, from, to, exchange, caller);
    if (!to.scratch && !to.in_scratch_dir) {
      lock.unlock();
      const auto vacant = s_->vacant(to.spot);
      lock.lock();
      struct stat st;
      if (vacant && ::lstat(from.real.c_str(), &st) == 0) {
        if (S_ISDIR(st.st_mode))
          throw Error(Errc::cross_checkpoint, target + ": a scratch directory is copied, not moved");
        to.node = *vacant;
        if (S_ISREG(st.st_mode) && st.st_size > 0) return s_->rename_scratch_onto(lock, from, to, false, caller);
        to.node.reset();
      }
    }
    return s_->rename_scratch(from, to, flags);
  }

  from.spot.view->session->check_editable();
  const bool to_scratch = to.scratch || to.in_scratch_dir || (!to.node && is_scratch_name(new_name));
  std::optional<Node> vacant = to.node;
  if (!to_scratch && !vacant) {
    lock.unlock();
    vacant = s_->vacant(to.spot);
    lock.lock();
  }
  if (from.node->is_directory() || (!to_scratch && vacant)) return s_->rename_stored(lock, from, to, exchange, caller);
  if (exchange) throw Error(Errc::unsupported, target + ": a file of the checkpoint cannot be exchanged with scratch");
  return s_->rename_away(lock, from, to, caller);
}

/// Scratch to scratch: the real filesystem does it.
void Mount::State::rename_scratch(const Found& from, const Found& to, unsigned flags) {
  const bool existed = to.scratch || (to.in_scratch_dir && to.exists_really());
  const std::string real = existed || to.in_scratch_dir ? to.real : scratch.fresh_path();
  const std::uint64_t freed = flags & RENAME_EXCHANGE ? 0 : Scratch::freed_by_removing(real);
  rename_real(from.real, real, flags, to.name);
  scratch.release(freed);
  Inode* moved = inodes.named(from.parent, from.name);
  Inode* other = inodes.named(to.parent, to.name);
  if (moved) inodes.put_first(*moved, from.parent, from.name);
  if (other) inodes.put_first(*other, to.parent, to.name);
  inodes.at(from.parent).scratch_names.erase(from.name);
  if (flags & RENAME_EXCHANGE) {
    if (moved && other) {
      const Ino a = moved->ino, b = other->ino;
      const std::string a_real = moved->real, b_real = other->real;
      inodes.unbind(from.parent, from.name);
      inodes.unbind(to.parent, to.name);
      settle_scratch_name(inodes.at(a), to, b_real.empty() && !to.in_scratch_dir ? real : b_real);
      settle_scratch_name(inodes.at(b), from, a_real);
    }
    return;
  }
  if (other) forget_scratch_name(to.parent, to.name);
  moved = inodes.named(from.parent, from.name);
  if (moved) {
    settle_scratch_name(*moved, to, to.in_scratch_dir ? std::string() : real);
  } else {
    place_scratch(to.parent, to.name, real);
  }
}

void Mount::State::settle_scratch_name(Inode& inode, const Found& to, const std::string& real) {
  if (inode.draft && inode.kind == Inode::Kind::scratch)
    drop_draft(inode.draft);  // what it was to become was tied to its name
  inodes.move(inode, to.parent, to.name);
  inode.real = to.in_scratch_dir ? std::string() : real;
  if (!to.in_scratch_dir) inodes.at(to.parent).scratch_names[to.name] = inode.ino;
}

/// Who still has the temporary open goes on in the document that it became: as its draft, saved as it is.
void Mount::State::go_on_as_draft(Inode& moved, const Found& from, const Found& to, Node stored, const Caller& caller) {
  const auto file = moved.open_file.lock();
  inodes.unbind(from.parent, from.name);
  inodes.move(moved, to.parent, to.name);
  inodes.unbind(to.parent, to.name);
  moved.kind = Inode::Kind::draft;
  moved.linked = false;
  moved.real.clear();
  const auto draft =
      new_draft(moved, std::move(stored), processes.of(caller.thread), file, to.spot.view->session->epoch());
  draft->progress = Draft::Progress::saved;
  draft->saved_as = draft->base.content.tag;
  for (auto& [number, handle] : handles) {
    if (handle->ino != moved.ino || !handle->file) continue;
    handle->draft = draft;
    ++draft->opens;
  }
}

/// A temporary takes the place of a file of the checkpoint: how most editors save.
void Mount::State::rename_scratch_onto(std::unique_lock<std::mutex>& lock, const Found& from, const Found& to,
                                       bool exchange, const Caller& caller) {
  const std::string target = to_string(to.spot.path);
  if (to.node->is_directory()) throw Error(Errc::is_directory, target + ": is a directory");
  if (to.node->saving == Node::Saving::none) throw Error(Errc::immutable, target + ": cannot be edited");
  const Node old = *to.node;
  if (old.kind == Node::Kind::link) {
    char link[PATH_MAX];
    const ssize_t n = ::readlink(from.real.c_str(), link, sizeof link);
    if (n < 0 || exchange) throw Error(Errc::rejected, target + ": only a symbolic link can take its place");
    store_link(lock, std::string(link, static_cast<std::size_t>(n)), to, caller);
  } else {
    store_scratch(lock, from.real, to, old.saving, caller);
  }
  if (exchange) {
    const std::string swapped = scratch.fresh_path();
    const mode_t mode = mode_of_copies();
    lock.unlock();
    copy_out(old, swapped, mode);
    lock.lock();
    scratch.release(Scratch::freed_by_removing(from.real));
    rename_real(swapped, from.real, 0, from.name);
    return;
  }
  lock.unlock();
  auto node = find(to.spot);
  let_go(to.spot.view);
  lock.lock();
  scratch.release(Scratch::freed_by_removing(from.real));
  ::unlink(from.real.c_str());
  Inode* moved = inodes.named(from.parent, from.name);
  if (!moved || !node || !moved->aliases.empty()) {  // with other names it stays scratch under those
    forget_scratch_name(from.parent, from.name);
    return;
  }
  inodes.at(from.parent).scratch_names.erase(from.name);
  if (moved->draft) drop_draft(moved->draft);
  if (!moved->open_file.expired()) {
    go_on_as_draft(*moved, from, to, std::move(*node), caller);
    return;
  }
  // The kernel moves its entry of the temporary onto the name: number and cached bytes are right as they are.
  moved->kind = Inode::Kind::model;
  moved->node = std::move(*node);
  moved->real.clear();
  inodes.move(*moved, to.parent, to.name);
}

/// A key that was made to take the place of another: `sed > lr.new; mv lr.new lr`. One edit, so that no reader outside
/// meets the temporary.
void Mount::State::write_over(const Found& from, const Found& to, const ProcessPtr& who) {
  Op write, remove;
  write.path = to.spot.path;
  write.content = from.node->content;
  remove.kind = Op::Kind::remove;
  remove.path = from.spot.path;
  try {
    store(from.spot.view, {write, remove}, from.spot.view->session->epoch(), false, who);
  } catch (...) {
    from.spot.view->session->note_error(to.spot.path, current_failure().text);
    throw;
  }
  {
    const std::lock_guard<std::mutex> guard(mutex);
    hidden.erase({to.parent, to.name});
    made.erase({from.parent, from.name});
    inodes.unbind(from.parent, from.name);
  }
  let_go(from.spot.view);
}

/// Both names are the checkpoint's.
void Mount::State::rename_stored(std::unique_lock<std::mutex>& lock, const Found& from, const Found& to, bool exchange,
                                 const Caller& caller) {
  const ProcessPtr who = processes.of(caller.thread);
  const auto maker = made.find({from.parent, from.name});
  const bool own = maker != made.end() && maker->second == who;
  const bool values = to.node && from.node->saving == Node::Saving::value && to.node->saving == Node::Saving::value &&
                      !from.node->is_directory() && !to.node->is_directory();
  lock.unlock();
  const bool is_temporary =
      values && !exchange && (own || !from.spot.view->session->committed()->model->find(from.spot.path));
  if (is_temporary) return write_over(from, to, who);
  Op op;
  op.kind = exchange ? Op::Kind::exchange : Op::Kind::rename;
  op.path = from.spot.path;
  op.to = to.spot.path;
  // A directory that is saved as a whole is one document: `mv next rows/`.
  const bool whole = from.node->is_directory() && from.node->saving == Node::Saving::whole;
  store(from.spot.view, {op}, from.spot.view->session->epoch(), whole, who);
  lock.lock();
  hidden.erase({to.parent, to.name});
  Inode* moved = inodes.named(from.parent, from.name);
  Inode* other = inodes.named(to.parent, to.name);
  if (exchange && moved && other) {
    const Ino a = moved->ino, b = other->ino;
    inodes.unbind(from.parent, from.name);
    inodes.unbind(to.parent, to.name);
    inodes.move(inodes.at(a), to.parent, to.name);
    inodes.move(inodes.at(b), from.parent, from.name);
  } else if (moved) {
    inodes.move(*moved, to.parent, to.name);
  }
  lock.unlock();
  let_go(from.spot.view);
}

/// A rename away is never a removal: the new name gets a copy, the mover no longer sees the old one.
void Mount::State::rename_away(std::unique_lock<std::mutex>& lock, const Found& from, const Found& to,
                               const Caller& caller) {
  const std::string target = to_string(to.spot.path);
  if (from.node->saving == Node::Saving::none)
    throw Error(Errc::immutable, to_string(from.spot.path) + ": cannot be moved");
  const ProcessPtr who = processes.of(caller.thread);
  const Node node = *from.node;
  const mode_t mode = mode_of_copies();
  lock.unlock();
  const std::string copy = scratch.fresh_path();
  copy_out(node, copy, mode);
  adopt_owner(copy, caller);
  lock.lock();
  std::string real = copy;
  if (to.scratch || to.in_scratch_dir) {
    scratch.release(Scratch::freed_by_removing(to.real));
    rename_real(copy, to.real, 0, target);
    real = to.real;
  }
  if (inodes.named(to.parent, to.name)) forget_scratch_name(to.parent, to.name);
  place_scratch(to.parent, to.name, real);
  hide({from.parent, from.name}, who, false);
  lock.unlock();
  wake();
}

}  // namespace ckptree
