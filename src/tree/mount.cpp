// What is where: names to inodes, inodes to attributes.

#include "ckptree/mount.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <climits>

#include "tree/control.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {
namespace {

// A process that removed a name and lives on has this long to put another file in its place.
constexpr auto kReplaceWithin = std::chrono::seconds(1);

constexpr const char* kControl = ".ckptree";

struct stat stat_path(const std::string& real) {
  struct stat st;
  if (::lstat(real.c_str(), &st) != 0) throw_errno(real);
  return st;
}

}  // namespace

Mount::State::State(std::shared_ptr<Session> session, MountOptions o)
    : options(o), top(std::move(session)), scratch(top->path(), options.scratch_limit) {
  auto view = std::make_shared<View>();
  view->session = top;
  view->root = kRoot;
  views.push_back(view);
  inodes.at(kRoot).view = view;
  look_at_checkpoint();
  wake_up = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_up) throw_errno("eventfd");
  settler = std::thread([this] { run_settler(); });
}

Mount::State::~State() {
  {
    const std::lock_guard<std::mutex> guard(mutex);
    stopping = true;
  }
  wake();
  if (settler.joinable()) settler.join();
}

Mount::Mount(std::shared_ptr<Session> session, MountOptions options)
    : s_(std::make_unique<State>(std::move(session), std::move(options))) {}

Mount::~Mount() = default;

void Mount::State::look_at_checkpoint() {
  struct stat st;
  if (::stat(top->path().c_str(), &st) == 0) checkpoint = st;
}

void Mount::State::refuse_if_read_only(const std::string& name) const {
  if (options.read_only) throw Error(Errc::read_only, name + ": mounted read-only (-o ro)");
}

void Mount::State::refuse_if_not_editable(Ino ino) {
  std::shared_ptr<View> view;
  {
    const std::lock_guard<std::mutex> guard(mutex);
    const Inode& inode = inodes.at(ino);
    if (inode.kind != Inode::Kind::model || inode.node.saving == Node::Saving::none) return;
    refuse_if_read_only(to_string(inodes.path_of(inode)));
    view = inodes.view_of(inode);
  }
  view->session->check_editable();
}

Mount::State::Spot Mount::State::spot_of(const Inode& inode) { return {inodes.view_of(inode), inodes.path_of(inode)}; }

Mount::State::Spot Mount::State::spot_of(Ino parent, const std::string& name) {
  Spot spot = spot_of(inodes.at(parent));
  spot.path.push_back(name);
  return spot;
}

bool Mount::State::is_hidden(const Name& name, const Caller& caller) {
  const auto found = hidden.find(name);
  return found != hidden.end() && processes.of(caller.thread) == found->second.who;
}

void Mount::State::hide(const Name& name, ProcessPtr who, bool removes) {
  hidden[name] = {std::move(who), removes, Clock::now() + kReplaceWithin};
}

std::shared_ptr<Draft> Mount::State::own_replacement(const Name& name, const Caller& caller) {
  const auto found = drafts.find(name);
  if (found == drafts.end()) return nullptr;
  const ProcessPtr who = processes.of(caller.thread);
  for (auto it = found->second.rbegin(); it != found->second.rend(); ++it)
    if ((*it)->is_new && (*it)->owner == who && (*it)->progress != Draft::Progress::saved) return *it;
  return nullptr;
}

bool Mount::State::in_flux(const Name& name) { return hidden.count(name) > 0 || drafts.count(name) > 0; }

std::shared_ptr<View> Mount::State::view_at(Ino parent, const TreePath& path, const Node& node) {
  Session& outer = *inodes.view_of(inodes.at(parent))->session;
  TreePath whole = outer.within();
  whole.insert(whole.end(), path.begin(), path.end());
  // The kernel may forget a checkpoint and ask for it again: edits of it that are not committed are there still.
  for (const auto& view : views)
    if (view->session->within() == whole && view->session->pending_edits() > 0) return view;
  const auto view = std::make_shared<View>();
  outer.contain(path, view->session = node.open_nested());
  return views.emplace_back(view);
}

Inode& Mount::State::version_of(Ino parent, const std::string& name, const TreePath& path, Node node) {
  Inode* known = inodes.named(parent, name);
  const bool same = known && known->kind == Inode::Kind::model && known->node.kind == node.kind &&
                    (node.kind != Node::Kind::file || known->node.content.tag == node.content.tag) &&
                    known->node.target == node.target;
  if (same) {
    known->node = std::move(node);
    return *known;
  }
  const bool is_nested = node.kind == Node::Kind::nested && node.open_nested;
  const auto view = is_nested ? view_at(parent, path, node) : nullptr;
  Inode& fresh = inodes.add(Inode::Kind::model, parent, name);
  fresh.shown_ino = shown_number(path, node.kind == Node::Kind::file ? node.content.tag : "");
  fresh.node = std::move(node);
  if ((fresh.view = view)) view->root = fresh.ino;
  inodes.bind(fresh);
  return fresh;
}

Inode& Mount::State::scratch_inode(Ino parent, const std::string& name, const std::string& real) {
  Inode& inode = inodes.add(Inode::Kind::scratch, parent, name);
  inode.real = real;
  inodes.bind(inode);
  if (!real.empty()) inodes.at(parent).scratch_names[name] = inode.ino;
  return inode;
}

struct stat Mount::State::stat_of(const Inode& inode) {
  struct stat st {};
  if (inode.kind == Inode::Kind::scratch) {
    const std::shared_ptr<Fd> open = inode.linked ? nullptr : inode.open_file.lock();
    if (inode.linked) st = stat_path(inodes.real_of(inode));
    else if (!open) throw Error(Errc::stale, inode.name + ": has no name any more");
    else if (::fstat(open->get(), &st) != 0) throw_errno("stat " + inode.name);
    st.st_ino = inode.shown_ino;
    return st;
  }
  const bool is_draft = inode.kind == Inode::Kind::draft && inode.draft;
  const Node& node = is_draft ? inode.draft->base : inode.node;
  const mode_t rights = checkpoint.st_mode & 0777 & ~options.umask;
  const mode_t search = (rights & 0444) >> 2;  // a directory whose entries may be listed may be entered
  const bool writable = node.saving != Node::Saving::none && !options.read_only;
  st.st_ino = inode.shown_ino;
  st.st_uid = options.uid.value_or(checkpoint.st_uid);
  st.st_gid = options.gid.value_or(checkpoint.st_gid);
  st.st_blksize = 4096;
  st.st_nlink = 1;
  st.st_atim = st.st_mtim = st.st_ctim = node.mtime.tv_sec || node.mtime.tv_nsec ? node.mtime : checkpoint.st_mtim;
  switch (node.kind) {
    case Node::Kind::directory:
    case Node::Kind::nested:
      st.st_mode = S_IFDIR | (options.read_only ? rights & ~0222u : rights) | search;
      st.st_nlink = 2;
      st.st_size = 4096;
      break;
    case Node::Kind::link:
      st.st_mode = S_IFLNK | 0777;
      st.st_size = static_cast<off_t>(node.target.size());
      break;
    case Node::Kind::file:
      st.st_mode = S_IFREG | (writable ? rights : rights & ~0333u);
      st.st_mode &= ~0111u;
      st.st_size = static_cast<off_t>(node.content.size());
      if (inode.mtime) st.st_mtim = *inode.mtime;
      break;
  }
  if (is_draft) {
    struct stat real;
    if (::fstat(inode.draft->file->get(), &real) != 0) throw_errno("stat a draft");
    st.st_size = real.st_size;
    // What will be stored has whole seconds; a writer that compares before and after must not see a difference.
    st.st_mtim = inode.draft->mtime.value_or(std::timespec{real.st_mtim.tv_sec, 0});
    st.st_ctim = real.st_ctim;
  }
  st.st_blocks = (st.st_size + 511) / 512;
  return st;
}

Entry Mount::State::entry_of(Inode& inode) {
  Entry e;
  e.ino = inode.ino;
  e.attributes = stat_of(inode);
  e.attribute_timeout_s = inode.kind == Inode::Kind::control ? 0 : options.attribute_timeout_s;
  // An edit changes what stands under other names as well: a value the document, the document its values and tables.
  // Telling the kernel so takes the lock of their directory, which somebody may hold who waits for the very request that
  // tells (a rename of the file that is synced), and waits for ever when the daemon is killed. So the kernel remembers
  // no name where there are edits, and asks each time.
  e.entry_timeout_s = options.read_only && inode.kind != Inode::Kind::control ? options.entry_timeout_s : 0;
  return e;
}

std::optional<Entry> Mount::lookup(Ino parent, const std::string& name, const Caller& caller) {
  if (name.size() > NAME_MAX)
    throw Error(Errc::name_too_long, name.substr(0, 32) + "...: a name has at most 255 bytes");
  std::unique_lock<std::mutex> lock(s_->mutex);
  const auto counted = [](Inode& inode, Entry entry) {
    ++inode.lookups;
    return entry;
  };
  Inode& dir = s_->inodes.at(parent);

  if (dir.kind == Inode::Kind::scratch) {
    const std::string real = s_->inodes.real_of(dir) + "/" + name;
    struct stat st;
    if (::lstat(real.c_str(), &st) != 0) return std::nullopt;
    Inode* known = s_->inodes.named(parent, name);
    Inode& inode = known ? *known : s_->scratch_inode(parent, name, "");
    return counted(inode, s_->entry_of(inode));
  }

  const bool is_control = dir.kind == Inode::Kind::control || (dir.view && name == kControl);
  const Name key{parent, name};
  if (!is_control) {
    const auto want = s_->wanted.find(caller.thread);
    if (want != s_->wanted.end() && want->second.parent == parent && want->second.name == name) {
      Inode& draft = s_->inodes.at(want->second.draft);
      return counted(draft, s_->entry_of(draft));
    }
    const auto scratch = dir.scratch_names.find(name);
    if (scratch != dir.scratch_names.end()) {
      Inode& inode = s_->inodes.at(scratch->second);
      return counted(inode, s_->entry_of(inode));
    }
    if (const auto own = s_->own_replacement(key, caller)) {
      Inode& inode = s_->inodes.at(own->ino);
      return counted(inode, s_->entry_of(inode));
    }
    if (s_->is_hidden(key, caller)) return std::nullopt;
  }

  const State::Spot spot = s_->spot_of(parent, name);
  if (is_control) {
    lock.unlock();
    const TreePath below(spot.path.begin() + 1, spot.path.end());
    auto node = control::find(*spot.view->session, below);
    if (!node) return std::nullopt;
    lock.lock();
    Inode* known = s_->inodes.named(parent, name);
    Inode& inode = known ? *known : s_->inodes.add(Inode::Kind::control, parent, name);
    if (!known) s_->inodes.bind(inode);
    inode.node = std::move(*node);
    return counted(inode, s_->entry_of(inode));
  }
  lock.unlock();
  // An edit between asking and telling would leave the kernel with what was before it.
  std::optional<Node> node;
  for (Ptr<Model> asked; asked != spot.view->session->working();) {
    if (lock.owns_lock()) lock.unlock();
    asked = spot.view->session->working();
    try {
      node = s_->find(spot);
    } catch (const Error& e) {
      // What is not there for a reason; that most names are not needs none.
      if (e.code() == Errc::not_found) spot.view->session->note_error(spot.path, e.what());
      throw;
    }
    lock.lock();
  }
  if (!node) return std::nullopt;
  Inode& inode = s_->version_of(parent, name, spot.path, std::move(*node));
  return counted(inode, s_->entry_of(inode));
}

void Mount::forget(Ino ino, std::uint64_t lookups) {
  const std::lock_guard<std::mutex> guard(s_->mutex);
  Inode* inode = s_->inodes.find(ino);
  if (!inode) return;
  inode->lookups -= std::min(inode->lookups, lookups);
  s_->inodes.collect(ino);
}

Entry Mount::attributes(Ino ino) {
  std::unique_lock<std::mutex> lock(s_->mutex);
  Inode& inode = s_->inodes.at(ino);
  if (inode.kind == Inode::Kind::model && inode.node.kind != Node::Kind::file && ino != kRoot) {
    // A directory may have changed its time, or be gone.
    const State::Spot spot = s_->spot_of(inode);
    lock.unlock();
    auto node = spot.path.empty() ? std::nullopt : s_->find(spot);
    lock.lock();
    Inode& again = s_->inodes.at(ino);
    if (node && node->kind == again.node.kind) again.node = std::move(*node);
    else if (!spot.path.empty()) throw Error(Errc::not_found, to_string(spot.path) + ": is gone");
    return s_->entry_of(again);
  }
  if (inode.kind == Inode::Kind::control && ino != kRoot) {
    const State::Spot spot = s_->spot_of(inode);
    lock.unlock();
    auto node = control::find(*spot.view->session, TreePath(spot.path.begin() + 1, spot.path.end()));
    lock.lock();
    Inode& again = s_->inodes.at(ino);
    if (node) again.node = std::move(*node);
    return s_->entry_of(again);
  }
  return s_->entry_of(inode);
}

std::string Mount::read_link(Ino ino) {
  const std::lock_guard<std::mutex> guard(s_->mutex);
  const Inode& inode = s_->inodes.at(ino);
  if (inode.kind != Inode::Kind::scratch) {
    if (inode.node.kind != Node::Kind::link) throw Error(Errc::invalid, inode.name + ": is no symbolic link");
    return inode.node.target;
  }
  char target[PATH_MAX];
  const std::string real = s_->inodes.real_of(inode);
  const ssize_t n = ::readlink(real.c_str(), target, sizeof target);
  if (n < 0) throw_errno(inode.name);
  return std::string(target, static_cast<std::size_t>(n));
}

struct statvfs Mount::space() {
  struct statvfs fs;
  if (::statvfs(s_->top->path().c_str(), &fs) != 0) throw_errno(s_->top->path());
  return fs;
}

std::shared_ptr<Handle> Mount::State::handle_at(std::uint64_t handle) {
  const std::lock_guard<std::mutex> guard(mutex);
  const auto found = handles.find(handle);
  if (found == handles.end()) throw Error(Errc::stale, "handle " + std::to_string(handle) + ": is not open");
  return found->second;
}

std::uint64_t Mount::State::keep_handle(std::shared_ptr<Handle> handle) {
  inodes.pin(handle->ino);
  const std::uint64_t number = next_handle++;
  handles.emplace(number, std::move(handle));
  return number;
}

void Mount::note_failure(Ino ino, const std::string& name, const std::string& sentence, bool is_refused_edit) {
  State::Spot spot;
  {
    const std::lock_guard<std::mutex> guard(s_->mutex);
    const Inode* inode = s_->inodes.find(ino);
    if (!inode) return;
    spot = s_->spot_of(*inode);
  }
  if (!name.empty()) spot.path.push_back(name);
  spot.view->session->note_error(spot.path, sentence);
  if (is_refused_edit) spot.view->session->note_refused(spot.path, sentence);
}

}  // namespace ckptree
