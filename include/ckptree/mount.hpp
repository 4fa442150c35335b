#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/bytes.hpp"
#include "ckptree/session.hpp"

namespace ckptree {

/// Number of an inode as the kernel knows it: from a counter, never reused while mounted. Shown as st_ino only where
/// nothing better is known.
using Ino = std::uint64_t;
constexpr Ino kRoot = 1;

/// Who asks: a thread, as the kernel names it. Thread 0 is the kernel itself, or a caller of another pid namespace.
struct Caller {
  pid_t thread = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t umask = 0;
};

/// A name the kernel asked for. Timeouts in seconds.
struct Entry {
  Ino ino = 0;
  struct stat attributes {};
  double attribute_timeout_s = 0, entry_timeout_s = 0;
};

/// An open file or directory.
struct Opened {
  std::uint64_t handle = 0;
  bool direct_io = false;   // its size changes from read to read
  bool keep_cache = false;  // its bytes never change
  bool no_flush = false;    // a close has nothing to save, and no lock that others wait for
};

/// Which attributes a caller sets; nothing means "leave".
struct NewAttributes {
  std::optional<mode_t> mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<std::uint64_t> size;
  std::optional<std::timespec> atime, mtime;  // tv_nsec UTIME_NOW: now
};

/// An advisory lock on a file, or on a range of its bytes.
struct LockRequest {
  enum class Type { none, shared, exclusive };
  std::uint64_t owner = 0;
  bool whole_file = false;                           // flock(2); else fcntl(2)
  Type type = Type::none;                            // none gives back
  std::uint64_t begin = 0, end = ~std::uint64_t{0};  // half-open
  pid_t process = 0;
};

struct ListedEntry {
  std::string name;
  struct stat attributes {};  // st_ino and the type bits of st_mode are right
};

struct MountOptions {
  bool read_only = false;
  std::optional<uid_t> uid, gid;
  mode_t umask = 0;
  double attribute_timeout_s = 1.0;
  double entry_timeout_s = 0.5;  // where nothing can be edited; else names are asked for each time
  std::uint64_t scratch_limit = std::uint64_t{1} << 30;  // bytes
};

/// What happened to the edits, told at the end.
struct Report {
  bool all_committed = true;
  std::vector<std::string> lines;
};

/// A checkpoint as a filesystem: methods shaped like FUSE's, and no libfuse. What is not found, not allowed or
/// refused is thrown as Error or std::system_error; "look the name up again" (fuse.md: a private draft) is an empty
/// optional. Safe to use from several threads.
class Mount {
 public:
  Mount(std::shared_ptr<Session> session, MountOptions options);
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  std::optional<Entry> lookup(Ino parent, const std::string& name, const Caller& caller);
  void forget(Ino ino, std::uint64_t lookups);
  Entry attributes(Ino ino);
  std::optional<Entry> set_attributes(Ino ino, const NewAttributes& wanted, const Caller& caller);
  std::string read_link(Ino ino);
  struct statvfs space();

  std::optional<Opened> open(Ino ino, int flags, const Caller& caller);
  std::pair<Entry, Opened> create(Ino parent, const std::string& name, mode_t mode, int flags, const Caller& caller);
  /// @return bytes read; fewer than asked only at the end
  std::size_t read(std::uint64_t handle, std::uint64_t at, Buffer into);
  /// Where the bytes of a read lie in one file, for splicing; nothing when they are put together.
  struct Place {
    int descriptor;
    std::uint64_t at;
    std::size_t size;
    Ptr<File> file;  // keeps the descriptor open
  };
  std::optional<Place> locate(std::uint64_t handle, std::uint64_t at, std::size_t size);
  /// @return what went stale, to be told to the kernel before the reply (also of flush, sync and release)
  void write(std::uint64_t handle, std::uint64_t at, Bytes bytes, const Caller& caller);
  void flush(std::uint64_t handle, const Caller& caller);
  void sync(std::uint64_t handle, const Caller& caller);
  void release(std::uint64_t handle);
  void allocate(std::uint64_t handle, int mode, std::uint64_t at, std::uint64_t size);

  /// Takes, changes or gives back a lock. @return false when somebody else's is in the way
  bool set_lock(Ino ino, const LockRequest& wanted);
  /// A lock in the way, or nothing.
  std::optional<LockRequest> test_lock(Ino ino, const LockRequest& wanted);

  std::uint64_t open_directory(Ino ino, const Caller& caller);
  /// Entries from number `from` on, until `each` answers false.
  void list(std::uint64_t handle, std::uint64_t from,
            const std::function<bool(const ListedEntry&, std::uint64_t next)>& each);
  /// The same with every name looked up (readdirplus). An entry that `each` refuses is not counted as looked up.
  void list_entries(std::uint64_t handle, std::uint64_t from, const Caller& caller,
                    const std::function<bool(const ListedEntry&, const Entry&, std::uint64_t next)>& each);
  void release_directory(std::uint64_t handle);

  /// These change names. What went stale is returned, to be told to the kernel after the reply.
  void make_directory(Ino parent, const std::string& name, mode_t mode, const Caller& caller, Entry& made);
  void make_link(Ino parent, const std::string& name, const std::string& target, const Caller& caller, Entry& made);
  void make_node(Ino parent, const std::string& name, mode_t mode, dev_t device, const Caller& caller, Entry& made);
  void hard_link(Ino ino, Ino parent, const std::string& name, const Caller& caller, Entry& made);
  void unlink(Ino parent, const std::string& name, const Caller& caller);
  void remove_directory(Ino parent, const std::string& name, const Caller& caller);
  void rename(Ino parent, const std::string& name, Ino new_parent, const std::string& new_name, unsigned flags,
              const Caller& caller);

  /// Extended attributes. @throws Error Errc::no_data, Errc::unsupported
  std::string get_attribute(Ino ino, const std::string& name);
  std::vector<std::string> list_attributes(Ino ino);
  void set_attribute(Ino ino, const std::string& name, Bytes value, int flags);
  void remove_attribute(Ino ino, const std::string& name);

  /// Remembers the sentence of a failure for `.ckptree/last_error` and user.ckptree.error of the file at fault.
  /// A refused edit is no more than that to a session that makes many commits. @see Session::note_refused
  void note_failure(Ino ino, const std::string& name, const std::string& sentence, bool is_refused_edit = false);

  /// Commits what is pending and moves what is left in rejected/ to `$XDG_STATE_HOME/ckptree/`. Call it once, at the
  /// end, when no request is under way.
  Report finish();
  /// Where a caller of `ckptree umount` waits for the report: a descriptor to write it to, or -1.
  int report_descriptor() const;

 private:
  struct State;
  std::unique_ptr<State> s_;
};

}  // namespace ckptree
