// New names: create, mkdir, link. renames.cpp and removals.cpp have the rest. A name belongs to the checkpoint (a
// Node of the model), or it is scratch: a real file that lives as long as the mount.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "ckptree/error.hpp"
#include "tree/control.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {
namespace {

void check_name(const std::string& name) {
  if (name.size() > NAME_MAX)
    throw Error(Errc::name_too_long, name.substr(0, 32) + "...: a name has at most 255 bytes");
}

}  // namespace

bool Mount::State::Found::exists_really() const {
  struct stat st;
  return ::lstat(real.c_str(), &st) == 0;
}

Mount::State::Found Mount::State::look(std::unique_lock<std::mutex>& lock, Ino parent, const std::string& name,
                                       const Caller& caller) {
  check_name(name);
  Found f;
  f.parent = parent;
  f.name = name;
  const Inode& dir = inodes.at(parent);
  f.in_scratch_dir = dir.kind == Inode::Kind::scratch;
  f.in_control = dir.kind == Inode::Kind::control || (dir.view && name == ".ckptree");
  f.spot = spot_of(parent, name);
  if (f.in_scratch_dir) {
    f.real = inodes.real_of(dir) + "/" + name;
    f.scratch = inodes.named(parent, name);
    if (f.scratch) inodes.put_first(*f.scratch, parent, name);
    return f;
  }
  const auto overlay = dir.scratch_names.find(name);
  if (overlay != dir.scratch_names.end()) {
    f.scratch = &inodes.at(overlay->second);
    inodes.put_first(*f.scratch, parent, name);  // of its names, the one that is meant
    f.real = inodes.real_of(*f.scratch);
    return f;
  }
  f.hidden = is_hidden({parent, name}, caller);
  if (f.in_control) return f;
  lock.unlock();
  std::optional<Node> node;
  try {
    node = find(f.spot);
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt && e.code() != Errc::not_found) throw;
    node = vacant(f.spot);  // damaged: a good one may take its place
    if (!node && e.code() == Errc::corrupt) throw;
  }
  lock.lock();
  f.node = std::move(node);
  return f;
}

Inode& Mount::State::place_scratch(Ino parent, const std::string& name, const std::string& real) {
  const bool below_scratch = inodes.at(parent).kind == Inode::Kind::scratch;
  return scratch_inode(parent, name, below_scratch ? std::string() : real);
}

std::string Mount::State::real_for(const Found& f) { return f.in_scratch_dir ? f.real : scratch.fresh_path(); }

void Mount::State::refuse_new_name(const Found& f) const {
  refuse_if_read_only(to_string(f.spot.path));
  if (f.in_control) throw Error(Errc::immutable, to_string(f.spot.path) + ": nothing can be made in .ckptree/");
}

std::pair<Entry, Opened> Mount::create(Ino parent, const std::string& name, mode_t mode, int flags,
                                       const Caller& caller) {
  std::unique_lock<std::mutex> lock(s_->mutex);
  State::Found f = s_->look(lock, parent, name, caller);
  s_->refuse_new_name(f);
  auto handle = std::make_shared<Handle>();
  handle->synchronous = flags & (O_SYNC | O_DSYNC);

  if (f.node) {
    if (!f.hidden && (flags & O_EXCL)) throw Error(Errc::exists, to_string(f.spot.path) + ": exists already");
    if (f.node->saving == Node::Saving::none || f.node->kind != Node::Kind::file)
      throw Error(Errc::immutable, to_string(f.spot.path) + ": cannot be written");
    // A new file in place of one its creator removed (or of one that came to be meanwhile): a draft of it.
    const auto session = f.spot.view->session;
    lock.unlock();
    auto file = s_->scratch.private_file();
    const std::uint64_t epoch = session->epoch();
    lock.lock();
    Inode& inode = s_->inodes.add(Inode::Kind::draft, parent, name);
    inode.shown_ino = shown_number(f.spot.path, f.node->content.tag);
    const auto draft = s_->new_draft(inode, *f.node, s_->processes.of(caller.thread), file, epoch);
    draft->is_new = true;
    draft->progress = Draft::Progress::emptied;
    ++draft->opens;
    handle->ino = inode.ino;
    handle->draft = draft;
    handle->file = file;
    ++inode.lookups;
    return {s_->entry_of(inode), Opened{s_->keep_handle(handle), false, false}};
  }

  const auto session = f.spot.view->session;
  std::optional<Node> vacant;
  if (!f.in_scratch_dir && !f.scratch) {
    lock.unlock();
    vacant = s_->vacant(f.spot);
    lock.lock();
  }
  const std::string real = f.scratch ? f.real : s_->real_for(f);
  Fd file(::open(real.c_str(), O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC | (flags & (O_EXCL | O_TRUNC)),
                 (mode & ~caller.umask & 07777) | S_IRUSR | S_IWUSR));
  if (!file) throw_errno(name);
  handle->file = s_->scratch.share(std::move(file));
  if (::fchown(handle->file->get(), caller.uid, caller.gid) != 0 && ::geteuid() == 0) throw_errno(name);
  ::fchmod(handle->file->get(), mode & ~caller.umask & 07777);
  Inode& inode = f.scratch ? *f.scratch : s_->place_scratch(parent, name, real);
  inode.open_file = handle->file;
  handle->ino = inode.ino;
  if (vacant) {
    const auto draft = s_->new_draft(inode, *vacant, s_->processes.of(caller.thread), handle->file, session->epoch());
    draft->is_new = true;
    draft->progress = Draft::Progress::emptied;
    ++draft->opens;
    handle->draft = draft;
  }
  ++inode.lookups;
  return {s_->entry_of(inode), Opened{s_->keep_handle(handle), false, false}};
}

void Mount::make_directory(Ino parent, const std::string& name, mode_t mode, const Caller& caller, Entry& made) {
  std::unique_lock<std::mutex> lock(s_->mutex);
  State::Found f = s_->look(lock, parent, name, caller);
  s_->refuse_new_name(f);
  if (!f.nothing()) throw Error(Errc::exists, to_string(f.spot.path) + ": exists already");
  const Inode& dir = s_->inodes.at(parent);
  const bool editable = dir.kind == Inode::Kind::model && dir.node.saving != Node::Saving::none;
  if (editable && !is_scratch_name(name)) {
    const ProcessPtr who = s_->processes.of(caller.thread);
    lock.unlock();
    Op op;
    op.kind = Op::Kind::make_dir;
    op.path = f.spot.path;
    s_->store(f.spot.view, {op}, f.spot.view->session->epoch(), false, who);
    const auto node = s_->find(f.spot);
    s_->let_go(f.spot.view);
    lock.lock();
    if (!node) throw Error(Errc::stale, to_string(f.spot.path) + ": was removed again");
    Inode& inode = s_->version_of(parent, name, f.spot.path, *node);
    ++inode.lookups;
    made = s_->entry_of(inode);
    return;
  }
  const std::string real = s_->real_for(f);
  if (::mkdir(real.c_str(), mode & ~caller.umask & 07777) != 0) throw_errno(name);
  s_->adopt_owner(real, caller);
  Inode& inode = s_->place_scratch(parent, name, real);
  ++inode.lookups;
  made = s_->entry_of(inode);
}

void Mount::State::adopt_owner(const std::string& real, const Caller& caller) {
  if (::geteuid() == 0 && ::lchown(real.c_str(), caller.uid, caller.gid) != 0) throw_errno(real);
}

void Mount::make_link(Ino parent, const std::string& name, const std::string& target, const Caller& caller,
                      Entry& made) {
  std::unique_lock<std::mutex> lock(s_->mutex);
  State::Found f = s_->look(lock, parent, name, caller);
  s_->refuse_new_name(f);
  if (!f.nothing() && !(f.node && f.hidden)) throw Error(Errc::exists, to_string(f.spot.path) + ": exists already");
  if (f.node && f.node->kind == Node::Kind::link) {  // `unlink L; symlink T L`: the link of the checkpoint leads to T
    s_->store_link(lock, target, f, caller);
    lock.unlock();
    s_->let_go(f.spot.view);
    const auto entry = lookup(parent, name, caller);
    if (!entry) throw Error(Errc::stale, to_string(f.spot.path) + ": was removed again");
    made = *entry;
    return;
  }
  const std::string real = s_->real_for(f);
  if (::symlink(target.c_str(), real.c_str()) != 0) throw_errno(name);
  s_->adopt_owner(real, caller);
  Inode& inode = s_->place_scratch(parent, name, real);
  ++inode.lookups;
  made = s_->entry_of(inode);
}

void Mount::make_node(Ino parent, const std::string& name, mode_t mode, dev_t device, const Caller& caller,
                      Entry& made) {
  if (S_ISREG(mode)) {
    auto [entry, opened] = create(parent, name, mode & 07777, O_EXCL | O_WRONLY, caller);
    made = entry;
    return release(opened.handle);
  }
  std::unique_lock<std::mutex> lock(s_->mutex);
  State::Found f = s_->look(lock, parent, name, caller);
  s_->refuse_new_name(f);
  if (!f.nothing()) throw Error(Errc::exists, to_string(f.spot.path) + ": exists already");
  const std::string real = s_->real_for(f);
  if (::mknod(real.c_str(), mode & ~caller.umask, device) != 0) throw_errno(name);
  s_->adopt_owner(real, caller);
  Inode& inode = s_->place_scratch(parent, name, real);
  ++inode.lookups;
  made = s_->entry_of(inode);
}

/// A link of the checkpoint is made to lead elsewhere.
void Mount::State::store_link(std::unique_lock<std::mutex>& lock, const std::string& target, const Found& to,
                              const Caller& caller) {
  const ProcessPtr who = processes.of(caller.thread);
  lock.unlock();
  Op op;
  op.path = to.spot.path;
  op.content = Recipe::literal(target);
  try {
    store(to.spot.view, {op}, to.spot.view->session->epoch(), false, who);
  } catch (...) {
    to.spot.view->session->note_error(to.spot.path, current_failure().text);
    throw;
  }
  lock.lock();
  hidden.erase({to.parent, to.name});
}

/// The content of a scratch file goes under a name of the checkpoint: rename or link onto it.
void Mount::State::store_scratch(std::unique_lock<std::mutex>& lock, const std::string& real, const Found& to,
                                 Node::Saving saving, const Caller& caller) {
  const ProcessPtr who = processes.of(caller.thread);
  lock.unlock();
  struct stat st;
  if (::lstat(real.c_str(), &st) != 0) throw_errno(to_string(to.spot.path));
  // Before it is opened: opening a FIFO waits for a writer, opening a device may do anything.
  if (!S_ISREG(st.st_mode)) throw Error(Errc::rejected, to_string(to.spot.path) + ": only a file can take its place");
  const Fd file(::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) throw_errno(to_string(to.spot.path));
  Op op;
  op.path = to.spot.path;
  op.mtime = whole_seconds(st.st_mtim);
  op.content = scratch.freeze(file.get(), to_string(op.path));
  const Recipe content = op.content;
  Session& session = *to.spot.view->session;
  try {
    const bool same = to.node && to.node->kind == Node::Kind::file && to.node->content.tag == content.tag;
    if (!same) store(to.spot.view, {std::move(op)}, session.epoch(), saving == Node::Saving::whole, who);
    else if (to.hidden) settle_replaced({to.parent, to.name});
  } catch (...) {
    const std::string sentence = current_failure().text;
    session.note_error(to.spot.path, sentence);
    if (content.size() > 0) session.reject(to.spot.path, content, sentence);
    throw;
  }
  session.note_error(to.spot.path, "");
  lock.lock();
  hidden.erase({to.parent, to.name});
}

void Mount::State::settle_replaced(const Name& name) {
  const std::lock_guard<std::mutex> guard(mutex);
  hidden.erase(name);
}

void Mount::hard_link(Ino ino, Ino parent, const std::string& name, const Caller& caller, Entry& made) {
  std::unique_lock<std::mutex> lock(s_->mutex);
  State::Found to = s_->look(lock, parent, name, caller);
  s_->refuse_new_name(to);
  if (!to.nothing() && !to.hidden) throw Error(Errc::exists, to_string(to.spot.path) + ": exists already");
  const Inode& from = s_->inodes.at(ino);
  std::optional<Node> target = to.node;
  if (!target && !to.in_scratch_dir) {
    lock.unlock();
    target = s_->vacant(to.spot);
    lock.lock();
  }
  const bool from_scratch = from.kind == Inode::Kind::scratch && from.linked;
  if (target && from_scratch) {  // `ln -f t F`: a write of F
    s_->store_scratch(lock, s_->inodes.real_of(s_->inodes.at(ino)), to, target->saving, caller);
    lock.unlock();
    s_->let_go(to.spot.view);
    const auto entry = lookup(parent, name, caller);
    if (!entry) throw Error(Errc::stale, to_string(to.spot.path) + ": was removed again");
    made = *entry;
    return;
  }
  const std::string real = s_->real_for(to);
  Inode* inode = nullptr;
  if (from_scratch && !from.draft) {
    inode = &s_->inodes.at(ino);
    if (::link(s_->inodes.real_of(*inode).c_str(), real.c_str()) != 0) throw_errno(name);
    s_->inodes.add_alias(*inode, {parent, name, to.in_scratch_dir ? std::string() : real});
    if (!to.in_scratch_dir) s_->inodes.at(parent).scratch_names[name] = ino;
  } else {
    Node copied = from.draft ? from.draft->base : from.node;
    // A file that is about to become part of the checkpoint leaves scratch then; its other name gets a copy.
    if (from_scratch) copied.content = s_->scratch.freeze(from.draft->file->get(), name);
    const mode_t mode = s_->mode_of_copies();
    lock.unlock();
    s_->copy_out(copied, real, mode);
    lock.lock();
    inode = &s_->place_scratch(parent, name, real);
  }
  ++inode->lookups;
  made = s_->entry_of(*inode);
}

/// A scratch copy of a file of the checkpoint: what a rename away or a link of it leaves.
void Mount::State::copy_out(const Node& node, const std::string& real, mode_t mode) {
  if (node.kind != Node::Kind::file)
    throw Error(Errc::immutable, "only files can be copied out of the checkpoint by a link");
  const Fd file(::open(real.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!file) throw_errno(real);
  try {
    std::vector<char> buffer(1 << 17);
    for (std::uint64_t at = 0;;) {
      const std::size_t n = node.content.read(at, Buffer(buffer.data(), buffer.size()));
      if (n == 0) break;
      scratch.write(file.get(), at, Bytes(buffer.data(), n), "a copy");
      at += n;
    }
  } catch (...) {
    scratch.release(Scratch::freed_by_removing(real));
    ::unlink(real.c_str());
    throw;
  }
  const std::timespec times[2] = {node.mtime, node.mtime};
  ::futimens(file.get(), times);
}

}  // namespace ckptree
