// Open files: who reads what, and what each call on a draft leads to.

#include <fcntl.h>
#include <unistd.h>

#include "ckptree/error.hpp"
#include "tree/control.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {
namespace {

using Progress = Draft::Progress;

}  // namespace

std::optional<Opened> Mount::open(Ino ino, int flags, const Caller& caller) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (writes) s_->refuse_if_not_editable(ino);
  std::unique_lock<std::mutex> lock(s_->mutex);
  if (const auto draft = s_->inodes.at(ino).draft) s_->closed.wait(lock, [&] { return !draft->closing; });
  Inode& inode = s_->inodes.at(ino);
  auto handle = std::make_shared<Handle>();
  handle->ino = ino;
  handle->synchronous = flags & (O_SYNC | O_DSYNC);
  Opened opened;

  switch (inode.kind) {
    case Inode::Kind::control: {
      const State::Spot spot = s_->spot_of(inode);
      const TreePath below(spot.path.begin() + 1, spot.path.end());
      lock.unlock();
      if (writes && !control::takes_writes(below))
        throw Error(Errc::immutable, to_string(spot.path) + ": cannot be written");
      auto node = control::find(*spot.view->session, below);
      lock.lock();
      Inode& again = s_->inodes.at(ino);
      if (node) again.node = std::move(*node);
      handle->is_control = true;
      opened.direct_io = true;
      break;
    }
    case Inode::Kind::scratch: {
      handle->file = inode.open_file.lock();
      if (!inode.linked && !handle->file) return std::nullopt;  // its name leads elsewhere by now
      const std::string real = inode.linked ? s_->inodes.real_of(inode) : std::string();
      if (!handle->file) {  // one descriptor serves all: the kernel has checked who may do what
        constexpr int kHow = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        Fd file(::open(real.c_str(), O_RDWR | kHow));
        if (!file && !writes) file = Fd(::open(real.c_str(), O_RDONLY | kHow));
        if (!file) throw_errno(inode.name);
        handle->file = s_->scratch.share(std::move(file));
      }
      inode.open_file = handle->file;
      if (writes && (flags & O_TRUNC)) s_->scratch.resize(handle->file->get(), 0, inode.name);
      if (inode.draft && writes) {
        handle->draft = inode.draft;
        ++inode.draft->opens;
        inode.draft->owner = s_->processes.of(caller.thread);
        if (flags & O_TRUNC) inode.draft->progress = Progress::emptied;
      }
      break;
    }
    case Inode::Kind::draft: {
      const auto draft = inode.draft;
      if (!draft) return std::nullopt;  // saved and closed; the name leads to what it became
      if (!s_->is_reserved(*draft, caller) && caller.thread != 0 && s_->processes.of(caller.thread) != draft->owner)
        return std::nullopt;
      s_->claim(*draft, caller);
      handle->file = draft->file;
      handle->draft = draft;
      ++draft->opens;
      if (writes && (flags & O_TRUNC)) {
        s_->scratch.resize(draft->file->get(), 0, inode.name);
        draft->progress = Progress::emptied;
        draft->mtime.reset();
        ++draft->writes;
      }
      break;
    }
    case Inode::Kind::model: {
      if (inode.node.kind != Node::Kind::file) throw Error(Errc::is_directory, inode.name + ": is a directory");
      if (writes) {
        const std::string place = to_string(s_->inodes.path_of(inode));
        s_->refuse_if_read_only(place);
        if (inode.node.saving == Node::Saving::none)
          throw Error(Errc::immutable, place + ": is derived from the checkpoint, or not editable without -o edit=all");
        s_->reserve(*s_->begin_draft(lock, ino, flags & O_TRUNC, caller), caller);
        return std::nullopt;
      }
      opened.keep_cache = true;
      // What is open stays readable, whoever removes it.
      const Recipe content = inode.node.content;
      lock.unlock();
      for (const Recipe::Piece& piece : content.pieces)
        if (const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&piece.from))
          if (auto pin = extent->first->pin()) handle->pins.push_back(std::move(pin));
      if (!handle->pins.empty()) handle->pinned = content;
      lock.lock();
      break;
    }
  }
  opened.no_flush = s_->options.read_only;
  opened.handle = s_->keep_handle(handle);
  return opened;
}

void Mount::write(std::uint64_t number, std::uint64_t at, Bytes bytes, const Caller& caller) {
  const auto handle = s_->handle_at(number);
  if (handle->is_control) {
    State::Spot spot;
    std::vector<std::shared_ptr<View>> edited;  // a flush commits those within too
    {
      const std::lock_guard<std::mutex> guard(s_->mutex);
      spot = s_->spot_of(s_->inodes.at(handle->ino));
      for (const auto& view : s_->views)
        if (view == spot.view || view->session->pending_edits() > 0) edited.push_back(view);
    }
    const TreePath below(spot.path.begin() + 1, spot.path.end());
    if (below == TreePath{"report"}) {
      s_->take_report_descriptor(bytes, caller);
      return;
    }
    control::write(*spot.view->session, below, bytes);
    for (const auto& view : edited) s_->let_go(view);
    return;
  }
  if (!handle->file) throw Error(Errc::immutable, "not open for writing");
  if (const auto draft = s_->draft_of(*handle)) {
    s_->check_value(*draft, at, bytes);
    s_->scratch.write(draft->file->get(), at, bytes, "draft");
  } else {
    s_->scratch.write(handle->file->get(), at, bytes, "scratch");
  }
  s_->note_written(*handle);  // scratch may have become a draft meanwhile
}

std::shared_ptr<Draft> Mount::State::draft_of(const Handle& handle) {
  const std::lock_guard<std::mutex> guard(mutex);
  return handle.draft;
}

void Mount::State::note_written(Handle& handle) {
  const std::lock_guard<std::mutex> guard(mutex);
  if (!handle.draft) return;
  handle.wrote = true;
  handle.draft->progress = Progress::written;
  handle.draft->mtime.reset();
  ++handle.draft->writes;
}

void Mount::flush(std::uint64_t number, const Caller& caller) {
  const auto handle = s_->handle_at(number);
  const auto draft = s_->draft_of(*handle);
  if (!draft) return;
  ProcessPtr owner;
  bool refused = false;
  {
    const std::lock_guard<std::mutex> guard(s_->mutex);
    owner = draft->owner;
    refused = draft->progress == Progress::refused && handle->wrote;
    if (draft->progress != Progress::written && !refused) return;
  }
  if (caller.thread != 0 && s_->processes.of(caller.thread) != owner && !owner->exited()) return;
  if (refused) {
    // Every close is refused, not only the first: numpy.save writes through a duplicate and ignores the error of that.
    const std::lock_guard<std::mutex> guard(s_->mutex);
    if (draft->progress == Progress::refused) draft->progress = Progress::written;
  }
  return s_->save_draft(draft);
}

void Mount::sync(std::uint64_t number, const Caller&) {
  const auto handle = s_->handle_at(number);
  const auto draft = s_->draft_of(*handle);
  if (!draft) return;
  bool is_scratch = false;
  {
    const std::lock_guard<std::mutex> guard(s_->mutex);
    is_scratch = s_->inodes.at(draft->ino).kind == Inode::Kind::scratch;
    if (draft->progress == Progress::refused) draft->progress = Progress::written;  // to be refused once more
  }
  try {
    return s_->save_draft(draft);
  } catch (const Error& e) {
    const bool not_valid = e.code() == Errc::incomplete || e.code() == Errc::rejected;
    if (!not_valid || (!handle->synchronous && !is_scratch)) throw;
    // The kernel syncs after every write of such a handle, halves too; close tells.
    const std::lock_guard<std::mutex> guard(s_->mutex);
    if (draft->progress == Progress::refused) draft->progress = Progress::written;
    return;
  }
}

void Mount::release(std::uint64_t number) {
  std::shared_ptr<Handle> handle;
  {
    const std::lock_guard<std::mutex> guard(s_->mutex);
    const auto found = s_->handles.find(number);
    if (found == s_->handles.end()) return;
    handle = found->second;
    s_->handles.erase(found);
  }
  if (const auto draft = s_->draft_of(*handle)) s_->close_draft(draft);
  const std::lock_guard<std::mutex> guard(s_->mutex);
  s_->inodes.unpin(handle->ino);
}

std::size_t Mount::read(std::uint64_t number, std::uint64_t at, Buffer into) {
  const auto handle = s_->handle_at(number);
  if (handle->file) {
    const ssize_t n = ::pread(handle->file->get(), into.data(), into.size(), static_cast<off_t>(at));
    if (n < 0) throw_errno("read a draft");
    return static_cast<std::size_t>(n);
  }
  std::shared_ptr<View> view;
  const auto content = [&] {
    const std::lock_guard<std::mutex> guard(s_->mutex);
    const Inode& inode = s_->inodes.at(handle->ino);
    view = s_->inodes.view_of(inode);
    return handle->pins.empty() ? inode.node.content : handle->pinned;
  };
  try {
    return content().read(at, into);
  } catch (const Error& e) {
    if (e.code() != Errc::stale) throw;
  }
  // Touched or rewritten in place: if the bytes of this file are the same, they are now in the new generation.
  view->session->refresh(true);
  s_->let_go(view);
  return content().read(at, into);
}

std::optional<Mount::Place> Mount::locate(std::uint64_t number, std::uint64_t at, std::size_t size) {
  const auto handle = s_->handle_at(number);
  if (handle->file || handle->is_control) return std::nullopt;
  const std::lock_guard<std::mutex> guard(s_->mutex);
  const Recipe& shown = s_->inodes.at(handle->ino).node.content;
  for (const Recipe::Piece& piece : (handle->pins.empty() ? shown : handle->pinned).pieces) {
    if (at >= piece.size) {
      at -= piece.size;
      continue;
    }
    const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&piece.from);
    if (!extent || extent->first->descriptor() < 0 || piece.size - at < size) return std::nullopt;
    try {
      extent->first->read(extent->second + at,
                          Buffer());  // nothing, but it tells whether the file is still what it was
    } catch (const Error&) {
      return std::nullopt;  // read() knows what to do
    }
    return Place{extent->first->descriptor(), extent->second + at, size, extent->first};
  }
  return std::nullopt;
}

void Mount::allocate(std::uint64_t number, int mode, std::uint64_t at, std::uint64_t size) {
  const auto handle = s_->handle_at(number);
  if (!handle->file) throw Error(Errc::unsupported, "fallocate: not a file being written");
  s_->scratch.allocate(handle->file->get(), mode, at, size, "scratch");
  s_->note_written(*handle);
}

/// Drafts and versions of one document have one key; so has a scratch file under all its names.
std::string Mount::State::lock_key(Ino ino) {
  const std::lock_guard<std::mutex> guard(mutex);
  const Inode& inode = inodes.at(ino);
  if (inode.kind == Inode::Kind::scratch) return "#" + std::to_string(ino);
  return std::to_string(inodes.view_of(inode)->root) + "/" + to_string(inodes.path_of(inode));
}

bool Mount::set_lock(Ino ino, const LockRequest& wanted) { return s_->locks.set(s_->lock_key(ino), wanted); }

std::optional<LockRequest> Mount::test_lock(Ino ino, const LockRequest& wanted) {
  return s_->locks.test(s_->lock_key(ino), wanted);
}

}  // namespace ckptree
