#pragma once

#include <memory>
#include <string>

#include "ckptree/plan.hpp"
#include "ckptree/source.hpp"

namespace ckptree {

/// The few things a commit does to a disk. One implementation is the real one; the one in memory keeps what was not
/// synced apart, so that a test can cut the power between any two calls.
struct Disk {
  /// Released when destroyed.
  struct Lock {
    virtual ~Lock() = default;
  };

  virtual ~Disk() = default;
  /// Absolute, symbolic links resolved: a commit replaces what a link leads to, not the link.
  virtual std::string resolve(const std::string& path) = 0;
  virtual Ptr<File> open(const std::string& path) = 0;
  /// @throws std::system_error ENOENT
  virtual Fingerprint fingerprint(const std::string& path) = 0;
  /// How many names the file has.
  virtual std::uint64_t links(const std::string& path) = 0;
  /// @throws Error Errc::read_only, Errc::no_permission with the sentence when a commit could not replace `path`
  virtual void check_replaceable(const std::string& path) = 0;
  /// Whether files beside `path` can share blocks with it. Tried, not guessed: callers remember the answer.
  virtual bool can_reflink(const std::string& path) = 0;
  /// Keeps other committers away from `path` (an exclusive flock of the file itself), or throws Errc::busy after a
  /// while.
  virtual std::unique_ptr<Lock> lock(const std::string& path) = 0;
  /// `path` comes to be, readable by its owner alone, with the first `size` bytes of `from` (of nothing when `from` is
  /// empty). @throws std::system_error EEXIST
  virtual void clone(const std::string& from, const std::string& path, std::uint64_t size) = 0;
  /// `path` becomes another name of the regular file `from`, if that is still the file that `seen` tells of.
  /// @return false where the filesystem gives a file no second name, or it is another file by now
  virtual bool link(const std::string& from, const std::string& path, const Fingerprint& seen) = 0;
  /// `path` comes to be, an empty directory of its owner alone. @throws std::system_error EEXIST
  virtual void make_dir(const std::string& path) = 0;
  virtual void write(const std::string& path, std::uint64_t at, const Recipe& content) = 0;
  virtual void truncate(const std::string& path, std::uint64_t size) = 0;
  virtual void copy_attributes(const std::string& from, const std::string& path) = 0;
  virtual void sync(const std::string& path) = 0;
  virtual void rename(const std::string& from, const std::string& path) = 0;
  /// Each becomes what the other was, in one step. @return false where the filesystem cannot
  virtual bool exchange(const std::string& from, const std::string& path) = 0;
  /// Of a directory.
  virtual void set_mtime(const std::string& path, std::int64_t nanoseconds) = 0;
  virtual void sync_dir(const std::string& path) = 0;
  /// No error when there is none.
  virtual void remove(const std::string& path) = 0;
  /// With all that is below it. No error when there is none.
  virtual void remove_tree(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual bool is_directory(const std::string& path) = 0;
  /// Names in a directory, sorted. @throws std::system_error
  virtual Names list(const std::string& path) = 0;
  /// As open_file_below() and list_below(); a disk without symbolic links needs none of its own.
  virtual Ptr<File> open_below(const std::string& directory, const std::string& relative) {
    return open(directory + "/" + relative);
  }
  virtual Names list_below(const std::string& directory, const std::string& relative) {
    return list(relative.empty() ? directory : directory + "/" + relative);
  }
};

}  // namespace ckptree
