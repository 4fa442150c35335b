#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "ckptree/error.hpp"
#include "ckptree/fd.hpp"
#include "ckptree/log.hpp"
#include "commit/execute.hpp"

namespace ckptree {
namespace {

// ".NAME.ckptree-commit-PID-" and 16 digits stay below 255 bytes, the limit of a file name, with this much of NAME.
constexpr std::size_t kLongestName = 200;

using Names = std::vector<std::string>;

bool starts_with(const std::string& text, const std::string& prefix) { return text.rfind(prefix, 0) == 0; }

Fd open_below(int dir, const std::string& name, int flags) {
  return Fd(::openat(dir, name.c_str(), flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

/// Names in an open directory but "." and "..".
Names names_in(int dir) {
  Fd again = open_below(dir, ".", O_DIRECTORY);
  if (!again) throw_errno("open a directory to be swept");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(again.get()), &::closedir);
  if (!stream) throw_errno("read a directory to be swept");
  again.release();  // the stream owns it now
  Names names;
  while (const dirent* entry = ::readdir(stream.get()))
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      names.emplace_back(entry->d_name);
  return names;
}

void unlink_or_throw(int dir, const std::string& name, int flags) {
  if (::unlinkat(dir, name.c_str(), flags) != 0 && errno != ENOENT) throw_errno("remove " + name);
}

/// Whether an entry is a directory that has entries; whatever else it is, it is gone.
bool is_left(int dir, const std::string& name) {
  if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return false;
  if (errno != EISDIR && errno != EPERM) throw_errno("remove " + name);
  if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return false;
  if (errno != ENOTEMPTY && errno != EEXIST) throw_errno("remove " + name);
  return true;
}

/// Empties a directory. Directories within a directory are moved up before they are emptied in their turn, so that a
/// deep tree takes neither stack nor descriptors; no path is walked, so no symbolic link put there meanwhile is
/// followed.
void empty(int top) {
  for (std::uint64_t moved = 0;;) {
    Names full;
    for (const std::string& name : names_in(top))
      if (is_left(top, name)) full.push_back(name);
    if (full.empty()) return;
    for (const std::string& name : full) {
      // Its user may have taken the permissions away.
      ::fchmodat(top, name.c_str(), 0700, AT_SYMLINK_NOFOLLOW);
      const Fd dir = open_below(top, name, O_DIRECTORY);
      if (!dir) throw_errno("open " + name);
      for (const std::string& inner : names_in(dir.get())) {
        if (!is_left(dir.get(), inner)) continue;
        ::fchmodat(dir.get(), inner.c_str(), 0700, AT_SYMLINK_NOFOLLOW);
        // A name of the tree's own may be in the way: then another number.
        while (::renameat(dir.get(), inner.c_str(), top, ("up-" + std::to_string(moved++)).c_str()) != 0)
          if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) throw_errno("move " + inner);
      }
      unlink_or_throw(top, name, AT_REMOVEDIR);
    }
  }
}

/// @return whether it was a dead process's, and is gone
bool sweep(int dir, const std::string& name, bool is_directory) {
  const Fd fd = open_below(dir, name, is_directory ? O_DIRECTORY : 0);
  struct stat st;
  if (!fd || ::fstat(fd.get(), &st) != 0) return false;
  if (is_directory ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)) return false;
  // The lock shows that the owner is dead. A link count of 0: another sweep was faster.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(fd.get(), &st) != 0 || st.st_nlink == 0) return false;
  if (is_directory) empty(fd.get());
  unlink_or_throw(dir, name, is_directory ? AT_REMOVEDIR : 0);
  return true;
}

}  // namespace

void remove_tree(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const Fd dir(
      ::open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) throw_errno("remove " + path);
  const std::string name = path.substr(slash + 1);
  if (!is_left(dir.get(), name)) return;
  {
    const Fd top = open_below(dir.get(), name, O_DIRECTORY);
    if (!top) throw_errno("remove " + path);
    empty(top.get());
  }
  unlink_or_throw(dir.get(), name, AT_REMOVEDIR);
}

std::string temporary_prefix(const std::string& path) {
  return "." + path.substr(path.rfind('/') + 1).substr(0, kLongestName) + ".ckptree-";
}

std::string temporary_name(const std::string& path, bool is_directory) {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) throw_errno("make a name for a temporary file");
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(random));
  return path.substr(0, path.rfind('/') + 1) + temporary_prefix(path) + (is_directory ? "stage-" : "commit-") +
         std::to_string(::getpid()) + "-" + digits;
}

std::size_t sweep_temporaries(const std::string& path) {
  const std::string above = path.substr(0, path.rfind('/') + 1), prefix = temporary_prefix(path);
  const Fd dir(::open(above.empty() ? "." : above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::size_t swept = 0;
  if (!dir) return swept;
  for (const std::string& name : names_in(dir.get())) {
    const bool stage =
        starts_with(name, prefix + "stage-");  // of a directory: another one, or the one file that is new
    const bool is_directory = starts_with(name, prefix + "scratch-") || stage;
    if (!is_directory && !starts_with(name, prefix + "commit-")) continue;
    try {
      if (sweep(dir.get(), name, is_directory) || (stage && sweep(dir.get(), name, false))) ++swept;
    } catch (const std::exception& e) {
      log(above + name + ": left by a process that is gone, cannot be swept: " + e.what());
    }
  }
  return swept;
}

}  // namespace ckptree
