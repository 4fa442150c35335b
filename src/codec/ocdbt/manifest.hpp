#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "codec/ocdbt/file_table.hpp"

namespace ckptree::ocdbt {

/// The top of a tree.
struct Root {
  Location at;
  unsigned height = 0;  // of the node; leaves have 0
};

/// What is read of a manifest: its newest version.
struct Manifest {
  bool numbered = false;  // the versions are in the files manifest.0123456789abcdef
  std::uint64_t generation = 0;
  std::optional<Root> root;  // nothing: an empty database
};

/// @param encoded  the whole file
/// @param place    named in errors
Manifest parse_manifest(Bytes encoded, const std::string& place);

}  // namespace ckptree::ocdbt
