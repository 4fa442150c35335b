#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ckptree/disk.hpp"

namespace ckptree {

/// A disk in memory that tells what programs see from what survives power loss: writes, sizes, attributes and names
/// stay pending until they are synced, and each pending one may be lost, kept, or (a write) torn, whatever the others
/// are. It promises less than any real filesystem does, so a plan that holds here holds there.
class MemoryDisk : public Disk {
 public:
  struct Entry {
    std::string content, attributes;
    bool operator==(const Entry& o) const { return content == o.content && attributes == o.attributes; }
  };
  /// What is on the disk when it is looked at again: path -> file. Directories are there by what is in them.
  using Image = std::map<std::string, Entry>;

  MemoryDisk();
  /// A file that has been there for long: durable, with the directories it is in.
  void add(const std::string& path, Entry entry);
  /// What another program does to a file: at once and durable, with a new fingerprint.
  void overwrite(const std::string& path, const std::string& content);
  void set_links(const std::string& path, std::uint64_t links);
  /// As programs see it now.
  Image seen() const;
  /// How many changes were made.
  std::size_t changes() const noexcept { return changes_; }

  /// Called after each change: here the power may go.
  std::function<void()> after_change;
  /// Called before each change with its number, from 0; what it throws is the change's failure.
  std::function<void(std::size_t number)> before_change;

  /// The changes that power loss may undo, oldest first within a file: how many fates each can have. Fate 0: lost.
  /// Fate 1: kept. Of a write there are more: parts of it, at sector boundaries and at odd bytes.
  std::vector<std::size_t> fates() const;
  /// The disk after power loss. @param choice  a fate for each pending change, in the order of fates()
  Image after_power_loss(const std::vector<std::size_t>& choice) const;

  std::string resolve(const std::string& path) override { return path; }
  Ptr<File> open(const std::string& path) override;
  Fingerprint fingerprint(const std::string& path) override;
  std::uint64_t links(const std::string& path) override;
  void check_replaceable(const std::string&) override {}
  bool can_reflink(const std::string&) override { return false; }
  /// Never waits: a second lock is Errc::busy.
  std::unique_ptr<Lock> lock(const std::string& path) override;
  void clone(const std::string& from, const std::string& path, std::uint64_t size) override;
  void write(const std::string& path, std::uint64_t at, const Recipe& content) override;
  void truncate(const std::string& path, std::uint64_t size) override;
  void copy_attributes(const std::string& from, const std::string& path) override;
  void sync(const std::string& path) override;
  bool link(const std::string& from, const std::string& path, const Fingerprint& seen) override;
  void make_dir(const std::string& path) override;
  void rename(const std::string& from, const std::string& path) override;
  bool exchange(const std::string& from, const std::string& path) override;
  void set_mtime(const std::string& path, std::int64_t nanoseconds) override;
  void sync_dir(const std::string& path) override;
  void remove(const std::string& path) override;
  void remove_tree(const std::string& path) override;
  bool exists(const std::string& path) override { return find(path).has_value(); }
  bool is_directory(const std::string& path) override { return inode(path).is_directory; }
  Names list(const std::string& path) override;

 private:
  using Number = std::size_t;                    // of a file or directory, whatever its names
  using Place = std::pair<Number, std::string>;  // a name in a directory
  using Tree = std::map<Place, Number>;

  /// A change of a file's bytes, size or attributes.
  struct Change {
    enum class Kind { write, truncate, attributes } kind;
    std::uint64_t at;  // of a write; of a truncate: the new size
    std::string bytes;
  };
  struct Inode {
    Entry now, durable;
    std::vector<Change> pending;
    std::uint64_t links = 1;
    std::int64_t changed = 0;  // on the disk's own clock
    bool is_directory = false;
  };
  /// A change of names, all of it or none: a rename gives one name and takes one. It is durable once the directory
  /// that it gave a name in is synced, or the one that it only took a name from.
  struct Naming {
    Number directory;
    std::map<Place, std::optional<Number>> names;
  };

  Inode& inode(const std::string& path);
  const Inode& inode(const std::string& path) const;
  void begin();
  void change(Inode& file, Change what);
  void change_names(Naming what);
  void end();
  std::set<Number> reachable() const;
  std::optional<Number> find(const std::string& path) const;
  /// Of a path whose directory is there.
  Place place(const std::string& path) const;
  Number make(const std::string& path, bool is_directory);
  template <class EntryOf>
  static Image image_of(const Tree& names, const std::vector<Inode>& inodes, const EntryOf& entry_of);

  std::vector<Inode> inodes_;  // the first is the top directory
  Tree names_, durable_names_;
  std::vector<Naming> pending_names_;
  std::set<std::string> locked_;
  std::size_t changes_ = 0;
  std::int64_t clock_ = 0;
};

}  // namespace ckptree
