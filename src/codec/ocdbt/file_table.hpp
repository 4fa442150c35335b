#pragma once

#include <string>
#include <vector>

#include "ckptree/cursor.hpp"

namespace ckptree::ocdbt {

/// A file that a manifest or a node refers to.
struct DataFile {
  std::string path;           // below the folder of the database
  std::size_t base_size = 0;  // of the path: what the paths in its own nodes are relative to
  std::string base() const { return path.substr(0, base_size); }
};

/// Where some bytes are.
struct Location {
  DataFile file;
  std::uint64_t offset = 0, size = 0;
};

/// Reads the table of files of a manifest or a node.
///
///   n; of each but the first: bytes shared with the path before; of each: bytes that follow; of each: bytes of its
///   base; the bytes that follow, of all
///
/// @param base  of the file that the table is in
/// The paths are as they are stored: who opens one looks where it leads. (That of an empty database is empty.)
/// @throws Error Errc::corrupt
std::vector<DataFile> read_file_table(Cursor& cursor, const std::string& base);

}  // namespace ckptree::ocdbt
