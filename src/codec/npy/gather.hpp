#pragma once

#include <cstdint>
#include <vector>

#include "ckptree/recipe.hpp"

namespace ckptree::npy {

/// An array in some bytes: element (i, j, ...) begins at offset + i * strides[0] + j * strides[1] + ...
struct Strided {
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> strides;  // bytes, as many as the shape has; 0 where an extent repeats
  std::uint64_t offset = 0;            // bytes
};

/// The data of an array in C order, computed as it is read: with 16 MiB of memory for the last read, of all such arrays
/// four times that. The caller knows that every element is within `stored`, and that the size does not overflow.
/// @param item  bytes of an element
/// @throws Error Errc::unsupported for elements of more than 16 MiB
Recipe gather(const Recipe& stored, const Strided& array, std::uint64_t item);

}  // namespace ckptree::npy
