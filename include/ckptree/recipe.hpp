#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ckptree/bytes.hpp"
#include "ckptree/file.hpp"

namespace ckptree {

/// Bytes that are worked out when they are read: an inflated member, a gathered tensor, zarr chunks. Safe to call from
/// several threads.
struct Computed {
  virtual ~Computed() = default;
  /// Fills the whole buffer from offset `at` of this piece.
  virtual void read(std::uint64_t at, Buffer into) const = 0;
};

/// The content of a file as pieces: literal bytes, extents of files, computed bytes. One idea for showing, splicing,
/// committing and cloning, so that no tensor goes through memory.
struct Recipe {
  struct Piece {
    std::variant<std::string, std::pair<Ptr<File>, std::uint64_t>, Ptr<Computed>> from;
    std::uint64_t size;  // bytes
  };

  std::vector<Piece> pieces;
  /// Equal tag, equal bytes. Decides inode numbers, what the kernel may keep cached, and "same bytes, no commit".
  std::string tag;

  static Recipe literal(std::string text);  // its tag is a hash of the text
  static Recipe extent(Ptr<File> file, std::uint64_t at, std::uint64_t size, std::string tag);

  std::uint64_t size() const;
  /// Up to into.size() bytes from `at`; fewer only at the end. @return bytes read
  std::size_t read(std::uint64_t at, Buffer into) const;
  /// All of it as a string. @throws Error Errc::too_large over `limit` bytes, naming `what`
  std::string text(std::uint64_t limit, const std::string& what) const;
};

/// The tag of a text: 128 bits of hash in hex, and the size.
std::string tag_of(Bytes text);

}  // namespace ckptree
