#pragma once

#include <string>

#include "codec/zarr/array.hpp"
#include "codec/zarr/fields.hpp"

/// What the readers of the two versions share.
namespace ckptree::zarr {

ZarrArray parse_v2(const Fields& fields);
ZarrArray parse_v3(const Fields& fields);

/// Takes note of the first reason why the data cannot be read; the metadata is shown all the same.
inline void refuse(ZarrArray& array, const std::string& reason) {
  if (array.unsupported.empty()) array.unsupported = reason;
}

/// The bytes of an element, and of the fill value, by the name that `array` has; refuses the data of an unknown one.
void set_type(ZarrArray& array, const std::optional<Value>& fill);

/// @throws Error Errc::corrupt when the ranks differ, an extent of a chunk is 0, or a size is over 63 bits
void check_shapes(const ZarrArray& array, const std::string& place);

}  // namespace ckptree::zarr
