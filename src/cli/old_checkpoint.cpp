#include "cli/old_checkpoint.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "ckptree/error.hpp"
#include "ckptree/fd.hpp"
#include "cli/status.hpp"
#include "commit/copy.hpp"
#include "commit/execute.hpp"

namespace ckptree::cli {

namespace {

/// As much as there is, up to the size of the buffer.
std::size_t read_at(int file, std::uint64_t at, std::vector<char>& into, const std::string& name) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = ::pread(file, into.data() + done, into.size() - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno(name);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

bool has_same_bytes(int file, int other, const std::string& name) {
  std::vector<char> ours(1 << 20), theirs(1 << 20);
  for (std::uint64_t at = 0;;) {
    const std::size_t n = read_at(file, at, ours, name);
    if (read_at(other, at, theirs, name) != n ||
        !std::equal(ours.begin(), ours.begin() + static_cast<long>(n), theirs.begin()))
      return false;
    if (n == 0) return true;
    at += n;
  }
}

void finish(int copy, const struct stat& st, const std::string& name) {
  const timespec times[] = {st.st_atim, st.st_mtim};
  if (::fchmod(copy, st.st_mode & 07777) != 0 || ::futimens(copy, times) != 0 || ::fsync(copy) != 0) throw_errno(name);
}

/// @return whether it took the name, which nobody else had
bool give_name(const std::string& temporary, const std::string& path) {
  if (::syscall(SYS_renameat2, AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EINVAL && errno != ENOSYS) throw_errno(path);
  // A filesystem that cannot do both at once.
  struct stat st;
  if (::lstat(path.c_str(), &st) == 0) return false;
  if (::rename(temporary.c_str(), path.c_str()) != 0) throw_errno(path);
  return true;
}

Stop is_taken(const std::string& path) {
  return Stop(Status::failure, path +
                                   ": exists already, and is not the checkpoint as it is now, which a migration keeps "
                                   "under this name; move it away");
}

}  // namespace

OldCheckpoint::OldCheckpoint(const std::string& checkpoint, const std::string& path) : path_(path) {
  const Fd from(::open(checkpoint.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st, there;
  if (!from || ::fstat(from.get(), &st) != 0) throw_errno(checkpoint);
  const Fd left(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (left || errno != ENOENT) {
    if (!left || ::fstat(left.get(), &there) != 0 || !S_ISREG(there.st_mode) || there.st_size != st.st_size ||
        !has_same_bytes(left.get(), from.get(), path))
      throw is_taken(path);
    finish(left.get(), st, path);
    return;
  }
  const std::string temporary = temporary_name(checkpoint);
  const Fd to(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to) throw_errno(path);
  try {
    ::flock(to.get(), LOCK_EX | LOCK_NB);  // its owner lives
    clone_bytes(from.get(), to.get(), static_cast<std::uint64_t>(st.st_size), path);
    finish(to.get(), st, path);
    if (!give_name(temporary, path)) throw is_taken(path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  is_mine_ = true;
}

OldCheckpoint::~OldCheckpoint() {
  if (is_mine_) ::unlink(path_.c_str());
}

}  // namespace ckptree::cli
