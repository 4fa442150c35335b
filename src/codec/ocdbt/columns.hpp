#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ckptree/cursor.hpp"

/// Tables of OCDBT are stored by columns: all values of the first field, then all of the second.
namespace ckptree::ocdbt {

/// LEB128: seven bits a byte, lowest first, the top bit set on all but the last. `bits` is the width of the field.
inline std::uint64_t varint(Cursor& cursor, const char* field, unsigned bits = 64) {
  std::uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(cursor.take(1, field)[0]);
    const std::uint64_t part = byte & 0x7F;
    if (shift > 63 || (shift == 63 && part > 1)) cursor.fail(std::string(field) + " has more than 64 bits");
    value |= part << shift;
    if ((byte & 0x80) == 0) break;
  }
  if (bits < 64 && value >> bits != 0)
    cursor.fail(std::string(field) + " is " + std::to_string(value) + ", which needs more than " +
                std::to_string(bits) + " bits");
  return value;
}

using Column = std::vector<std::uint64_t>;

inline Column varints(Cursor& cursor, std::size_t n, const char* field, unsigned bits = 64) {
  Column column;
  column.reserve(cursor.count(n, 1, field));
  for (std::size_t i = 0; i < n; ++i) column.push_back(varint(cursor, field, bits));
  return column;
}

}  // namespace ckptree::ocdbt
