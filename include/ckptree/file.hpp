#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ckptree/bytes.hpp"

namespace ckptree {

/// What a file looked like when it was read; compared before a commit, and to notice changes made outside.
struct Fingerprint {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t mtime_ns = 0, ctime_ns = 0;

  bool operator==(const Fingerprint& o) const noexcept {
    return device == o.device && inode == o.inode && size == o.size && mtime_ns == o.mtime_ns && ctime_ns == o.ctime_ns;
  }
  bool operator!=(const Fingerprint& o) const noexcept { return !(*this == o); }
};

/// A file open for reading. It stays readable when its name is replaced or removed; a file rewritten in place under us
/// gives Errc::stale, so that nobody sees half of one state and half of another.
class File {
 public:
  virtual ~File() = default;
  /// As a user would name it; for errors.
  virtual const std::string& name() const = 0;
  virtual std::uint64_t size() const = 0;
  virtual Fingerprint fingerprint() const = 0;
  /// Fills the whole buffer from `at`. @throws Error Errc::corrupt past the end, Errc::stale when the file changed
  virtual void read(std::uint64_t at, Buffer into) const = 0;
  /// A descriptor for copy_file_range and splice, or -1. Owned by the File.
  virtual int descriptor() const { return -1; }
  /// Keeps it open as long as the answer lives, whatever happens to its name. Null: it is open anyway.
  /// @throws Error Errc::stale
  virtual std::shared_ptr<const void> pin() const { return nullptr; }
};

/// Opens a file of the real disk. @throws std::system_error with the path
Ptr<File> open_file(const std::string& path);
/// The same for a path below a directory, whose own has no symbolic links: those below it are followed as long as they
/// stay there. @throws Error Errc::corrupt when one leads out
Ptr<File> open_file_below(const std::string& directory, const std::string& relative);
/// Takes an open descriptor (closed with the File) under a name of the caller's. The file may grow and change: it is
/// ours (a draft), so it is never stale.
Ptr<File> adopt_private_file(int descriptor, std::string name);
/// The file `seen`, open only while it is read or pinned: a directory of thousands can be shown at once. What has
/// another fingerprint when it is opened again (but for the ctime) is Errc::stale.
Ptr<File> reopening_file(const File& seen, std::function<Ptr<File>()> open);
/// A file that is a string: tests, fuzzers, the memory disk.
Ptr<File> memory_file(std::string name, std::string content, Fingerprint fingerprint = {});

}  // namespace ckptree
