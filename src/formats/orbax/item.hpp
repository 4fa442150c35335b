#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/source.hpp"
#include "codec/zarr/array.hpp"
#include "formats/lazy.hpp"
#include "formats/orbax/pytree.hpp"
#include "formats/orbax/sidecars.hpp"

namespace ckptree::orbax {

/// A checkpointable of a checkpoint, an item of such a one, or a checkpoint that is a tree itself: a directory that is
/// written once. Read when asked for; what is damaged fails alone. Safe to use from several threads.
class Item {
 public:
  enum class Kind { tree, json, items, error };

  /// @param directory  relative to the source; "" of a direct checkpoint
  Item(Ptr<Source> source, std::string directory);

  const std::string& directory() const noexcept { return directory_; }
  /// "." of a direct checkpoint: `directory` of its leaves.
  std::string shown_directory() const { return directory_.empty() ? "." : directory_; }
  Kind kind() const;
  /// Why it is broken; empty when it is not. Looks at its files and its first array, not at all of them.
  std::string error() const;
  bool has_tree() const noexcept;

  /// Its JSON document, whatever its file is called; null when it has none.
  Ptr<File> json() const;
  /// Names of items in this item; none of a tree.
  Names children() const;
  std::shared_ptr<const Item> child(const std::string& name) const;

  /// @throws Error Errc::corrupt
  std::shared_ptr<const Pytree> tree() const;
  /// The metadata of a leaf's array. @throws Error Errc::corrupt, Errc::unsupported
  Ptr<zarr::ZarrArray> array(std::size_t leaf) const;
  /// Why its data cannot be decoded: a compressor or a type that is not known; empty when it can.
  /// @throws Error as array()
  std::string why_unsupported(std::size_t leaf) const;
  /// The array as a .npy file. @throws Error
  Recipe npy(std::size_t leaf) const;
  /// A leaf as JSON.
  std::string leaf_json(std::size_t leaf) const;
  /// arrays.tsv
  std::string table() const;
  /// JSON texts; "null" when nothing is stored. @throws Error Errc::corrupt
  std::string sharding(const Leaf& leaf) const;

  std::timespec mtime() const noexcept { return mtime_; }

 private:
  std::string below(const std::string& name) const { return directory_.empty() ? name : directory_ + "/" + name; }
  Ptr<zarr::KeyValues> values() const;
  std::string key_kind(const Leaf& leaf) const;
  std::string string_literal(const Leaf& leaf) const;
  std::string problem() const;

  const Ptr<Source> source_;
  const std::string directory_;
  Names names_;
  std::string unreadable_;  // why there are no names
  std::timespec mtime_{};
  std::string stamp_;  // of _METADATA: tells one checkpoint of this name from the next

  struct Values {
    Ptr<zarr::KeyValues> store;
  };
  Lazy<Pytree> tree_;
  Lazy<Values> values_;
  Lazy<Shardings> shardings_;
  Lazy<KeyKinds> key_kinds_;
  Lazy<Strings> strings_;
  Lazy<std::string> error_, table_;
  mutable std::mutex mutex_;  // guards what follows; nothing else is locked while it is held
  mutable std::map<std::size_t, Ptr<zarr::ZarrArray>> arrays_;
  mutable std::map<std::string, std::shared_ptr<const Item>> children_;
};

/// The literal of a number that a .npy file of rank 0 holds; "null" where it has no spelling in JSON.
std::string scalar_literal(const std::string& dtype, const Recipe& npy);

}  // namespace ckptree::orbax
