#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/bytes.hpp"
#include "ckptree/name.hpp"

namespace ckptree::orbax {

/// A leaf of a tree, as _METADATA tells of it.
struct Leaf {
  std::string name;        // keys joined by dots: what its array is called
  std::string value_type;  // "jax.Array", "scalar", ...; as stored
  bool skip = false;       // skip_deserialize
  std::string write_shape = "null";

  /// Whether an array belongs to it.
  bool has_array() const;
  /// Whether it stands for an empty container.
  bool is_empty_container() const;
};

/// _METADATA of a pytree, as a tree of names.
struct Pytree {
  struct Entry {
    std::string name, value_name;  // in tree/, in values/
    std::string key;               // the whole one when a name had to be cut
    std::size_t place;
  };
  struct Place {
    std::vector<Entry> entries;
    std::map<std::string, std::size_t> by_name, by_value_name;  // names come from a file
    std::optional<std::size_t> leaf;
  };

  /// @throws Error Errc::corrupt
  static Pytree parse(Bytes text, const std::string& file, bool has_manifest);

  std::optional<std::size_t> find(const TreePath& path) const;
  std::optional<std::size_t> find_value(const TreePath& path) const;

  std::vector<Leaf> leaves;
  std::vector<Place> places;  // the first is the top
  bool ocdbt = false, zarr3 = false;
  bool missing_is_damage = false;  // of chunks; else they are the fill value
  std::string problem;             // why Orbax cannot rebuild the tree; empty when it can
};

}  // namespace ckptree::orbax
