#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ckptree/bytes.hpp"
#include "codec/ocdbt/file_table.hpp"

namespace ckptree::ocdbt {

/// One node of a tree, decoded. Keys are relative to what the nodes above have in common.
class Node {
 public:
  /// @param height  that the node above, or the manifest, says it has
  /// @param base    of the file it is in
  /// @param place   named in errors
  /// @throws Error Errc::corrupt
  Node(Bytes encoded, unsigned height, const std::string& base, const std::string& place);

  struct Child {
    Location at;
    std::size_t common = 0;  // bytes of the key that all keys below begin with
  };
  /// Where the search goes on, or where the value is; the value itself when it is stored here (lives as long as this).
  using Found = std::variant<Child, Location, Bytes>;
  std::optional<Found> find(Bytes key) const;

  unsigned height() const noexcept { return height_; }
  /// Bytes of memory, about.
  std::uint64_t cost() const noexcept;

 private:
  struct Entry {
    std::size_t key_end = 0;   // in keys_
    std::uint64_t offset = 0;  // in the file, or in body_
    std::uint64_t size = 0;
    std::uint32_t file = kInline;
    std::uint32_t common = 0;  // of inner nodes
  };
  static constexpr std::uint32_t kInline = ~std::uint32_t{0};

  void read_keys(Cursor& cursor);
  void read_children(Cursor& cursor);
  void read_values(Cursor& cursor);
  std::uint32_t file(Cursor& cursor, std::uint64_t index) const;
  Bytes key(std::size_t entry) const;

  std::string body_;
  unsigned height_;
  std::vector<DataFile> files_;
  std::string keys_;
  std::vector<Entry> entries_;
};

}  // namespace ckptree::ocdbt
