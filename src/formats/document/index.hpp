#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ckptree/recipe.hpp"
#include "codec/json/json.hpp"

namespace ckptree {

/// How a value is shown: objects and lists of more than scalars as directories, all others as files.
enum class Shape : std::uint8_t { object, list, flat_list, string, number, boolean, null };

inline bool is_directory(Shape shape) noexcept { return shape == Shape::object || shape == Shape::list; }

/// The entries of one object or list of a document, found in one pass over its bytes. Offsets count from the beginning
/// of the container, so that an edit elsewhere in the document leaves it as it is: documents share their containers.
/// Of a document that is a scalar: no entries.
class Container {
 public:
  struct Entry {
    std::uint32_t key, key_size;  // the literal with its quotes; no size in a list
    std::uint32_t value, value_size;
    Shape shape;
    bool shadowed;  // by a later entry of the same key
  };

  /// @param text  a valid document of less than 4 GiB
  Container(Bytes text, json::Extent container);

  bool is_object() const noexcept { return shape_ == Shape::object; }
  bool is_list() const noexcept { return shape_ == Shape::list || shape_ == Shape::flat_list; }
  /// Of the whole container.
  Shape shape() const noexcept { return shape_; }
  const std::vector<Entry>& entries() const noexcept { return entries_; }

  /// The entry shown under a name: of equal keys the last. @param bytes  those of this container
  std::optional<std::uint32_t> find(Bytes bytes, const std::string& name) const;
  /// The entry with this key, unescaped.
  std::optional<std::uint32_t> find_key(Bytes bytes, Bytes key) const;

  /// The key of entry `i`, unescaped; "" in a list.
  std::string key(Bytes bytes, std::uint32_t i) const;
  /// Entry `i` and those it shadows, in order.
  std::vector<std::uint32_t> same_key(Bytes bytes, std::uint32_t i) const;

  /// The container in entry `i`; read when first asked for.
  Ptr<Container> child(Bytes bytes, std::uint32_t i) const;
  /// The content of entry `i` as a file; large ones are kept.
  Recipe content(Bytes bytes, std::uint32_t i) const;

  /// This container with a value of another size in entry `i`, everything else moved along.
  Ptr<Container> with_value(std::uint32_t i, std::size_t size, Shape shape, Ptr<Container> child) const;

 private:
  /// Where keys are found: entries by hash, and the names that had to be cut.
  struct Lookup {
    std::vector<std::uint32_t> slots;  // open addressing; an entry's number plus one, or 0
    std::map<std::string, std::uint32_t> cut;
  };

  Container(const Container& other);
  std::shared_ptr<const Lookup> make_lookup(Bytes bytes);
  void find_shape() noexcept;

  Shape shape_;
  std::vector<Entry> entries_;
  std::shared_ptr<const Lookup> lookup_;  // of an object

  mutable std::mutex mutex_;  // guards what is below; nothing else is locked while it is held
  mutable std::unordered_map<std::uint32_t, Ptr<Container>> children_;
  mutable std::unordered_map<std::uint32_t, Recipe> contents_;
};

/// Whether a value that is not nested is a directory, and of which kind.
Shape shape_of(const json::Member& member) noexcept;

}  // namespace ckptree
