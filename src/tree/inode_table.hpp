#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ckptree/mount.hpp"
#include "tree/processes.hpp"
#include "tree/scratch.hpp"

namespace ckptree {

/// What one writer has written so far; invisible to readers until it is saved.
struct Draft {
  enum class Progress {
    copied,   // as it was begun: nothing to save
    emptied,  // only truncated to nothing: nothing to save
    written,  // bytes that no save has seen
    saved,
    refused,  // the last save was refused; the bytes are still here
  };

  Ino ino = 0;
  ProcessPtr owner;
  std::shared_ptr<Fd> file;  // read and write
  Node base;                 // what it replaces, or what the new name would become
  bool is_new = false;       // no file of this name when it was begun
  std::uint64_t epoch = 0;   // of the session when it was begun
  Progress progress = Progress::copied;
  std::uint64_t writes = 0;            // counts changes, so that a save knows what it saw
  std::optional<std::timespec> mtime;  // set by its writer
  unsigned opens = 0;
  bool closing = false;     // the last of them is being closed: nobody opens it until that is done
  unsigned reserved = 0;    // lookups on their way to it
  std::string saved_as;     // the tag of what was saved last
  std::string rejected_as;  // its bytes' name below rejected/
  std::string error;
  bool may_go_on = false;  // refused only because the text ended too early: the next writer may append the rest
  Clock::time_point idle_since{};
  std::mutex saving;  // one save at a time; taken before the mount's mutex
};

/// One checkpoint in the mount: the one at the top, or a nested one.
struct View {
  std::shared_ptr<Session> session;
  Ino root = 0;

  // Edits that are visible and wait to be committed together; see settle.cpp.
  bool unsettled = false;
  Clock::time_point first_edit{}, last_edit{};
  std::vector<ProcessPtr> editors;
  std::uint64_t saves = 0;  // since the last commit; flush_interval=N counts them
};

/// One more name of a scratch file (a hard link).
struct Alias {
  Ino parent;
  std::string name;
  std::string real;  // as Inode::real
};

/// One inode the kernel knows, or that somebody holds.
struct Inode {
  enum class Kind {
    model,    // shows a Node of a model; a file's version is pinned
    draft,    // private bytes of one writer, in place of a file of the model
    scratch,  // a file, directory or link of the real filesystem
    control,  // below .ckptree/
  };

  Ino ino = 0;
  Kind kind = Kind::model;
  Ino parent = 0;
  std::string name;
  std::uint64_t shown_ino = 0;  // st_ino
  Node node;                    // model and control
  std::shared_ptr<Draft>
      draft;                   // of a draft; of a scratch file that becomes part of the checkpoint once it has content
  std::string real;            // scratch directly below a directory of the model: its path on the real filesystem
  std::vector<Alias> aliases;  // scratch: its other names
  std::map<std::string, Ino> scratch_names;  // directory of the model: scratch that stands in it
  std::shared_ptr<View> view;                // where a checkpoint begins
  std::uint64_t lookups = 0;
  unsigned pins = 0;                   // handles, reservations, children: reasons to stay beside the kernel's lookups
  std::weak_ptr<Fd> open_file;         // scratch: what tells about it once it has no name
  bool linked = true;                  // it still has a name
  std::optional<std::timespec> mtime;  // set by a user on a committed file, until its bytes change
};

/// The inodes, by number and by name. Guarded by the mount's mutex.
class InodeTable {
 public:
  InodeTable();

  /// @return nullptr for a number nobody knows
  Inode* find(Ino ino);
  /// @throws Error Errc::stale for a number nobody knows
  Inode& at(Ino ino);
  /// The inode that stands under a name now, or nullptr.
  Inode* named(Ino parent, const std::string& name);

  Inode& add(Inode::Kind kind, Ino parent, const std::string& name);
  /// Makes `inode` what stands under a name (its own by default).
  void bind(Inode& inode);
  void unbind(Ino parent, const std::string& name);
  /// Gives an inode another name in place of its first one; children follow.
  void move(Inode& inode, Ino parent, const std::string& name);
  /// Gives a scratch file one more name.
  void add_alias(Inode& inode, Alias alias);
  /// Makes a name the first one, if it is another of this inode's.
  void put_first(Inode& inode, Ino parent, const std::string& name);
  /// Takes a name away. @return whether the inode has one left
  bool remove_name(Inode& inode, Ino parent, const std::string& name);
  void pin(Ino ino) { ++at(ino).pins; }
  void unpin(Ino ino);
  /// Drops an inode nobody holds any more, and its parents in turn.
  void collect(Ino ino);

  /// The path below the root of its checkpoint.
  TreePath path_of(const Inode& inode);
  std::shared_ptr<View> view_of(const Inode& inode);
  /// Where a scratch inode is on the real filesystem.
  std::string real_of(const Inode& inode);
  const std::unordered_map<Ino, Inode>& all() const { return inodes_; }
  std::unordered_map<Ino, Inode>& all() { return inodes_; }

 private:
  struct Key {
    Ino parent;
    std::string name;
    bool operator==(const Key& o) const { return parent == o.parent && name == o.name; }
  };
  struct KeyHash {
    std::size_t operator()(const Key& k) const {
      return std::hash<std::string>()(k.name) ^ (k.parent * 0x9e3779b97f4a7c15ULL);
    }
  };

  std::unordered_map<Ino, Inode> inodes_;
  std::unordered_map<Key, Ino, KeyHash> names_;
  Ino next_ = kRoot;
};

/// st_ino of a path and the tag of its content: stable as long as both are, also over unmounting.
std::uint64_t shown_number(const TreePath& path, const std::string& tag);

}  // namespace ckptree
