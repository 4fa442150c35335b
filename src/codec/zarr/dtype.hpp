#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "codec/zarr/fields.hpp"

namespace ckptree::zarr {

/// A type of elements that orbax can write.
struct Dtype {
  enum Kind { boolean, integer, natural, real, brain, complex, other };

  const char* name;   // as orbax and zarr3 name it
  const char* v2;     // as .zarray spells it, without the byte order; null: by its name
  const char* descr;  // as a .npy file spells it
  Kind kind;
  std::uint8_t size;  // bytes of an element
  std::uint8_t word;  // bytes that big-endian data has in the other order
};

/// By its name; null when there is none.
const Dtype* dtype_named(Bytes name) noexcept;
/// By the spelling of .zarray, and whether that says big-endian.
struct V2Dtype {
  const Dtype* dtype = nullptr;  // null when there is none
  bool big_endian = false;
};
V2Dtype dtype_of_v2(Bytes spelling) noexcept;

/// One element of a fill value, little-endian; nothing when it cannot be told (a number of a type that has no numbers
/// here). No value, or null, is zero.
std::optional<std::string> fill_of(const Dtype& dtype, const std::optional<Value>& value);

}  // namespace ckptree::zarr
