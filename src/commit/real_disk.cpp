#include "commit/real_disk.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

#include "ckptree/error.hpp"
#include "ckptree/fd.hpp"
#include "commit/attributes.hpp"
#include "commit/copy.hpp"
#include "commit/execute.hpp"

namespace ckptree {
namespace {

// Below this an extent goes through a buffer: one pread and one pwrite, no look at what the filesystem can do.
constexpr std::uint64_t kWorthCopyingInKernel = 128u << 10;
constexpr std::size_t kBuffer = 1u << 20;

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Fd open_or_throw(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd) throw_errno("open " + path);
  return fd;
}

struct stat status_of(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) throw_errno("stat " + path);
  return st;
}

bool is_full_or_broken(int error) {
  return error == ENOSPC || error == EDQUOT || error == EIO || error == EROFS || error == ENOMEM;
}

bool has_the_name(int fd, const std::string& path) {
  struct stat ours, named;
  if (::fstat(fd, &ours) != 0) throw_errno("stat " + path);
  if (::stat(path.c_str(), &named) != 0) return false;
  return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

std::int64_t nanoseconds(const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; }

struct FileLock final : Disk::Lock {
  explicit FileLock(Fd f) : fd(std::move(f)) {}
  Fd fd;  // closing it releases the flock
};

/// A new file of ours with its lock held, so that no sweep takes it for a dead process's.
Fd create_locked(const std::string& path) {
  for (;;) {
    // O_EXCL follows no symbolic link that someone put there.
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) throw_errno("create " + path);
    while (::flock(fd.get(), LOCK_EX) != 0)
      if (errno != EINTR) throw_errno("lock " + path);
    // A sweep may have had it between the two calls: then it is gone, and nobody has the name.
    if (has_the_name(fd.get(), path)) return fd;
  }
}

/// Shares the first block of `path`, or all of it when it is smaller.
bool shares_blocks(int to, const std::string& path) {
  const Fd from = open_or_throw(path, O_RDONLY);
  struct stat st;
  if (::fstat(from.get(), &st) != 0) throw_errno("stat " + path);
  file_clone_range range{};
  range.src_fd = from.get();
  range.src_length = st.st_size >= st.st_blksize ? static_cast<std::uint64_t>(st.st_blksize) : 0;
  return ::ioctl(to, FICLONERANGE, &range) == 0;
}

class RealDisk final : public Disk {
 public:
  explicit RealDisk(std::chrono::milliseconds patience) : patience_(patience) {}

  std::string resolve(const std::string& path) override {
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), &std::free);
    if (!real) throw_errno("find " + path);
    return real.get();
  }

  Ptr<File> open(const std::string& path) override { return open_file(path); }
  Ptr<File> open_below(const std::string& directory, const std::string& relative) override {
    return open_file_below(directory, relative);
  }

  Fingerprint fingerprint(const std::string& path) override {
    const struct stat st = status_of(path);
    return {st.st_dev, st.st_ino, static_cast<std::uint64_t>(st.st_size), nanoseconds(st.st_mtim),
            nanoseconds(st.st_ctim)};
  }

  std::uint64_t links(const std::string& path) override { return status_of(path).st_nlink; }

  void check_replaceable(const std::string& path) override;
  bool can_reflink(const std::string& path) override;
  std::unique_ptr<Lock> lock(const std::string& path) override;

  void clone(const std::string& from, const std::string& path, std::uint64_t size) override {
    const int to = remember(path, create_locked(path));
    if (!from.empty()) clone_bytes(open_or_throw(from, O_RDONLY).get(), to, size, path);
  }

  void write(const std::string& path, std::uint64_t at, const Recipe& content) override;

  void truncate(const std::string& path, std::uint64_t size) override {
    if (::ftruncate(descriptor(path), static_cast<off_t>(size)) != 0) throw_errno("set the size of " + path);
  }

  void copy_attributes(const std::string& from, const std::string& path) override {
    ckptree::copy_attributes(open_or_throw(from, O_RDONLY).get(), descriptor(path), from);
  }

  void sync(const std::string& path) override {
    if (::fsync(descriptor(path)) != 0) throw_errno("sync " + path);
    // In a directory of ours, whose lock is enough, thousands of files may follow.
    if (is_ours(directory_of(path))) forget(path);
  }

  void rename(const std::string& from, const std::string& path) override {
    if (::rename(from.c_str(), path.c_str()) != 0) throw_errno("rename " + from + " to " + path);
    forget_below(from);
  }

  bool exchange(const std::string& from, const std::string& path) override {
    if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) return true;
    if (errno == EINVAL || errno == ENOSYS || errno == ENOTTY || errno == EOPNOTSUPP) return false;
    throw_errno("exchange " + from + " with " + path);
  }

  bool link(const std::string& from, const std::string& path, const Fingerprint& seen) override {
    if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      if (errno == EEXIST || is_full_or_broken(errno)) throw_errno("link " + from + " to " + path);
      return false;  // EXDEV, EPERM, EMLINK, ...: whatever it is, a copy tells
    }
    const Fingerprint linked = fingerprint(path);
    if (linked.device == seen.device && linked.inode == seen.inode) return true;
    ::unlink(path.c_str());
    return false;
  }

  void make_dir(const std::string& path) override {
    if (::mkdir(path.c_str(), 0700) != 0) throw_errno("make the directory " + path);
    Fd fd = open_or_throw(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    while (::flock(fd.get(), LOCK_EX) != 0)  // so that no sweep takes it for a dead process's
      if (errno != EINTR) throw_errno("lock " + path);
    remember(path, std::move(fd));
  }

  bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  bool is_directory(const std::string& path) override { return S_ISDIR(status_of(path).st_mode); }

  Names list(const std::string& path) override { return open_source(path)->list(""); }
  Names list_below(const std::string& directory, const std::string& relative) override {
    return ckptree::list_below(directory, relative);
  }

  void set_mtime(const std::string& path, std::int64_t nanoseconds) override {
    constexpr std::int64_t second = 1'000'000'000;
    std::int64_t seconds = nanoseconds / second, rest = nanoseconds % second;
    if (rest < 0) {
      --seconds;
      rest += second;
    }
    struct timespec times[2]{};
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = static_cast<time_t>(seconds);
    times[1].tv_nsec = static_cast<long>(rest);
    const Fd fd = open_or_throw(path, O_RDONLY | O_DIRECTORY);
    // EPERM: of another owner's directory that we may write to; the commit is no worse than any program's then.
    if (::futimens(fd.get(), times) != 0 && errno != EPERM) throw_errno("set the time of " + path);
  }

  void sync_dir(const std::string& path) override {
    const Fd fd = open_or_throw(path, O_RDONLY | O_DIRECTORY);
    // EINVAL: a filesystem that makes names durable by itself.
    if (::fsync(fd.get()) != 0 && errno != EINVAL) throw_errno("sync the directory " + path);
  }

  void remove_tree(const std::string& path) override {
    forget_below(path);
    ckptree::remove_tree(path);
  }

  void remove(const std::string& path) override {
    const int error = ::unlink(path.c_str()) == 0 ? 0 : errno;
    forget(path);  // after the unlink: its lock kept it from being swept
    if (error != 0 && error != ENOENT) throw std::system_error(error, std::generic_category(), "remove " + path);
  }

 private:
  int remember(const std::string& path, Fd fd) {
    const std::lock_guard<std::mutex> guard(mutex_);
    const int number = fd.get();
    ours_[path] = std::move(fd);
    return number;
  }
  void forget(const std::string& path) {
    const std::lock_guard<std::mutex> guard(mutex_);
    ours_.erase(path);
  }
  void forget_below(const std::string& path) {
    const std::lock_guard<std::mutex> guard(mutex_);
    ours_.erase(path);
    const std::string below = path + "/";
    auto it = ours_.lower_bound(below);
    while (it != ours_.end() && it->first.compare(0, below.size(), below) == 0) it = ours_.erase(it);
  }
  bool is_ours(const std::string& path) {
    const std::lock_guard<std::mutex> guard(mutex_);
    return ours_.count(path) > 0;
  }
  /// Of a file made by clone. Stays open, and locked, until it is renamed or removed.
  int descriptor(const std::string& path) {
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto found = ours_.find(path);
    if (found == ours_.end()) throw Error(Errc::invalid, path + ": only a file made by this commit is written");
    return found->second.get();
  }

  const std::chrono::milliseconds patience_;
  std::mutex mutex_;  // guards ours_; nothing else is taken while it is held
  std::map<std::string, Fd> ours_;
};

void RealDisk::check_replaceable(const std::string& path) {
  const auto check = [&](const std::string& what, int mode, const std::string& refusal) {
    if (::faccessat(AT_FDCWD, what.c_str(), mode, AT_EACCESS) == 0) return;
    if (errno == ENOENT) return;  // gone: whoever opens it is told so
    if (errno == EROFS) throw Error(Errc::read_only, path + ": its filesystem is mounted read-only");
    if (errno == EACCES || errno == EPERM) throw Error(Errc::no_permission, path + ": " + refusal);
    throw_errno("look at the permissions of " + what);
  };
  const std::string dir = directory_of(path);
  check(dir, W_OK | X_OK, "no permission to write its directory " + dir + ", where a commit puts the new file");
  if (!exists(path)) return;
  check(path, W_OK, "no permission to write it");
  const uid_t owner = status_of(path).st_uid, me = ::geteuid();
  if (me != 0 && me != owner)
    throw Error(Errc::no_permission, path + ": belongs to user " + std::to_string(owner) + "; a commit by user " +
                                         std::to_string(me) + " would change its owner");
}

bool RealDisk::can_reflink(const std::string& path) {
  const std::string dir = directory_of(path);
  // A file without a name leaves nothing behind, not even a new time on the directory.
  if (const Fd nameless(::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)); nameless)
    return shares_blocks(nameless.get(), path);
  const std::string name = temporary_name(path);
  const Fd named = create_locked(name);
  const bool can = shares_blocks(named.get(), path);
  ::unlink(name.c_str());
  return can;
}

std::unique_ptr<Disk::Lock> RealDisk::lock(const std::string& path) {
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  int mode = O_RDONLY;
  for (;;) {
    Fd fd = open_or_throw(path, mode | O_NONBLOCK);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      // A commit that ended while we waited has put another file under the name: that one is to be locked.
      if (has_the_name(fd.get(), path)) return std::make_unique<FileLock>(std::move(fd));
    } else if (errno == EBADF && mode == O_RDONLY) {
      mode = O_RDWR;  // NFS gives exclusive locks to writers only
      continue;
    } else if (errno != EWOULDBLOCK && errno != EINTR) {
      throw_errno("lock " + path);
    }
    if (std::chrono::steady_clock::now() >= deadline)
      throw Error(Errc::busy, path + ": another program has held its lock for " + std::to_string(patience_.count()) +
                                  " ms; nothing was written");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void RealDisk::write(const std::string& path, std::uint64_t at, const Recipe& content) {
  const int to = descriptor(path);
  std::string buffer;
  for (const Recipe::Piece& piece : content.pieces) {
    const auto* text = std::get_if<std::string>(&piece.from);
    const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&piece.from);
    if (text) {
      write_bytes(to, at, text->data(), static_cast<std::size_t>(piece.size), path);
    } else if (extent && piece.size >= kWorthCopyingInKernel && extent->first->descriptor() >= 0) {
      const auto& [file, begin] = *extent;
      copy_bytes(file->descriptor(), begin, to, at, piece.size, path);
      char last;  // read through the File, which notices when it was rewritten meanwhile
      file->read(begin + piece.size - 1, Buffer(&last, 1));
    } else {
      const Recipe one{{piece}, ""};
      buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size, kBuffer)));
      for (std::uint64_t done = 0; done < piece.size;) {
        const std::size_t n = one.read(done, Buffer(buffer.data(), buffer.size()));
        if (n == 0)
          throw Error(Errc::io, path + ": its content ends " + std::to_string(piece.size - done) + " bytes early");
        write_bytes(to, at + done, buffer.data(), n, path);
        done += n;
      }
    }
    at += piece.size;
  }
}

}  // namespace

std::unique_ptr<Disk> make_real_disk(std::chrono::milliseconds patience) {
  return std::make_unique<RealDisk>(patience);
}

Disk& real_disk() {
  static RealDisk disk(std::chrono::seconds(10));
  return disk;
}

}  // namespace ckptree
