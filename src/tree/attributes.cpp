// Attributes that callers set, and extended attributes.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ckptree/error.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {
namespace {

constexpr const char* kErrorAttribute = "user.ckptree.error";
constexpr const char* kTypeAttribute = "user.ckptree.type";
constexpr const char* kKeyAttribute = "user.ckptree.key";

std::timespec resolve(const std::timespec& wanted) {
  if (wanted.tv_nsec != UTIME_NOW) return wanted;
  std::timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

bool belongs_to_user(const std::string& name) { return name.compare(0, 5, "user.") == 0; }

/// On the open file where there is one (it may have no name any more), else by name; never through a symbolic link.
void set_on_scratch(int fd, const std::string& real, const NewAttributes& wanted) {
  const auto check = [](int result, const char* what) {
    if (result != 0) throw_errno(what);
  };
  if (wanted.mode) {
    const mode_t mode = *wanted.mode & 07777;
    check(fd >= 0 ? ::fchmod(fd, mode) : ::fchmodat(AT_FDCWD, real.c_str(), mode, AT_SYMLINK_NOFOLLOW), "chmod");
  }
  if (wanted.uid || wanted.gid) {
    const uid_t uid = wanted.uid.value_or(-1);
    const gid_t gid = wanted.gid.value_or(-1);
    check(fd >= 0 ? ::fchown(fd, uid, gid) : ::lchown(real.c_str(), uid, gid), "chown");
  }
  if (wanted.atime || wanted.mtime) {
    const std::timespec leave{0, UTIME_OMIT};
    const std::timespec times[2] = {wanted.atime.value_or(leave), wanted.mtime.value_or(leave)};
    check(fd >= 0 ? ::futimens(fd, times) : ::utimensat(AT_FDCWD, real.c_str(), times, AT_SYMLINK_NOFOLLOW), "utimens");
  }
}

}  // namespace

std::optional<Entry> Mount::set_attributes(Ino ino, const NewAttributes& wanted, const Caller& caller) {
  if (wanted.size) s_->refuse_if_not_editable(ino);
  std::unique_lock<std::mutex> lock(s_->mutex);
  Inode* inode = &s_->inodes.at(ino);
  const std::string place = to_string(s_->inodes.path_of(*inode));
  std::shared_ptr<Draft> draft = inode->draft;

  switch (inode->kind) {
    case Inode::Kind::control: return s_->entry_of(*inode);  // `echo x > F` truncates first; nothing to do
    case Inode::Kind::scratch: {
      std::shared_ptr<Fd> file = inode->open_file.lock();
      const std::string real = inode->linked ? s_->inodes.real_of(*inode) : std::string();
      if (real.empty() && !file) throw Error(Errc::stale, place + ": has no name any more");
      set_on_scratch(file ? file->get() : -1, real, wanted);
      if (wanted.size) {
        if (!file) file = std::make_shared<Fd>(::open(real.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
        if (!*file) throw_errno(place);
        s_->scratch.resize(file->get(), *wanted.size, place);
        if (draft) {
          draft->progress = *wanted.size == 0 ? Draft::Progress::emptied : Draft::Progress::written;
          ++draft->writes;
        }
      }
      return s_->entry_of(*inode);
    }
    case Inode::Kind::model: {
      if (inode->node.kind != Node::Kind::file) {
        // Directories keep their mode and owner; times are those of the document. Tools that copy trees set them all.
        return s_->entry_of(*inode);
      }
      s_->refuse_if_read_only(place);
      if (inode->node.saving == Node::Saving::none)
        throw Error(Errc::immutable, place + ": is derived, cannot be changed");
      if (wanted.size) {
        s_->reserve(*s_->begin_draft(lock, ino, *wanted.size == 0, caller), caller);
        return std::nullopt;
      }
      if (wanted.mtime) inode->mtime = resolve(*wanted.mtime);
      return s_->entry_of(*inode);
    }
    case Inode::Kind::draft: {
      if (!draft) return s_->entry_of(*inode);  // saved, and closed by everybody
      if (wanted.mtime) draft->mtime = whole_seconds(resolve(*wanted.mtime));
      if (!wanted.size) return s_->entry_of(*inode);
      s_->scratch.resize(draft->file->get(), *wanted.size, place);
      draft->progress = *wanted.size == 0 ? Draft::Progress::emptied : Draft::Progress::written;
      draft->mtime.reset();
      ++draft->writes;
      const bool by_path = s_->is_reserved(*draft, caller);
      s_->claim(*draft, caller);
      // truncate(2) by path: nobody has it open, so this is the close too.
      const bool save = by_path && draft->opens == 0 && draft->progress == Draft::Progress::written;
      if (save) {
        ++draft->opens;
        lock.unlock();
        try {
          s_->save_draft(draft);
        } catch (...) {
          s_->close_draft(draft);
          throw;
        }
        s_->close_draft(draft);
        lock.lock();
      }
      return s_->entry_of(s_->inodes.at(ino));
    }
  }
  return std::nullopt;
}

std::string Mount::get_attribute(Ino ino, const std::string& name) {
  std::unique_lock<std::mutex> lock(s_->mutex);
  const Inode& inode = s_->inodes.at(ino);
  if (!belongs_to_user(name)) throw Error(Errc::no_data, name + ": no such attribute");
  const State::Spot spot = s_->spot_of(inode);
  const Node node = inode.node;
  const bool is_scratch = inode.kind == Inode::Kind::scratch;
  const std::string real = is_scratch && inode.linked ? s_->inodes.real_of(inode) : std::string();
  lock.unlock();
  std::string value;
  if (name == kErrorAttribute) {
    value = spot.view->session->error_of(spot.path);
    for (const Kept& kept : spot.view->session->rejected())
      if (spot.path.size() == 3 && spot.path[0] == ".ckptree" && spot.path[2] == kept.name) value = kept.reason;
  } else if (!real.empty()) {
    char buffer[65536];
    const ssize_t n = ::lgetxattr(real.c_str(), name.c_str(), buffer, sizeof buffer);
    if (n < 0) throw_errno(name);
    return std::string(buffer, static_cast<std::size_t>(n));
  } else if (name == kTypeAttribute) {
    value = node.type;
  } else if (name == kKeyAttribute) {
    value = node.key;
  }
  if (value.empty()) throw Error(Errc::no_data, name + ": no such attribute");
  return value;
}

std::vector<std::string> Mount::list_attributes(Ino ino) {
  std::vector<std::string> names;
  {
    const std::lock_guard<std::mutex> guard(s_->mutex);
    const Inode& inode = s_->inodes.at(ino);
    if (inode.kind == Inode::Kind::scratch && inode.linked) {
      char buffer[65536];
      const ssize_t n = ::llistxattr(s_->inodes.real_of(inode).c_str(), buffer, sizeof buffer);
      for (ssize_t at = 0; at < n; at += static_cast<ssize_t>(names.back().size()) + 1) names.push_back(buffer + at);
      std::vector<std::string> users;
      for (const std::string& name : names)
        if (belongs_to_user(name)) users.push_back(name);
      names = users;
    } else {
      if (!inode.node.type.empty()) names.push_back(kTypeAttribute);
      if (!inode.node.key.empty()) names.push_back(kKeyAttribute);
    }
  }
  try {
    get_attribute(ino, kErrorAttribute);
    names.push_back(kErrorAttribute);
  } catch (const Error& e) {
    if (e.code() != Errc::no_data) throw;
  }
  return names;
}

void Mount::set_attribute(Ino ino, const std::string& name, Bytes value, int flags) {
  const std::lock_guard<std::mutex> guard(s_->mutex);
  const Inode& inode = s_->inodes.at(ino);
  if (inode.kind != Inode::Kind::scratch || !inode.linked || !belongs_to_user(name))
    throw Error(Errc::unsupported, name + ": a checkpoint stores no extended attributes");
  if (::lsetxattr(s_->inodes.real_of(inode).c_str(), name.c_str(), value.data(), value.size(), flags) != 0)
    throw_errno(name);
}

void Mount::remove_attribute(Ino ino, const std::string& name) {
  const std::lock_guard<std::mutex> guard(s_->mutex);
  const Inode& inode = s_->inodes.at(ino);
  if (inode.kind != Inode::Kind::scratch || !inode.linked || !belongs_to_user(name))
    throw Error(Errc::no_data, name + ": no such attribute");
  if (::lremovexattr(s_->inodes.real_of(inode).c_str(), name.c_str()) != 0) throw_errno(name);
}

}  // namespace ckptree
