#pragma once

#include <string>

#include "formats/torch/archive.hpp"
#include "formats/torch/tensor_info.hpp"

namespace ckptree::torch {

/// Whether values of a tensor can be an array: not where they are in parts (sparse, nested), nowhere (meta), several in
/// a byte, or made in a way that is not known. Of a broken tensor nobody knows: yes.
bool has_array(const TensorInfo& tensor) noexcept;

/// The .npy file of a tensor: a header and an extent of its storage where that is in C or Fortran order, so that no
/// byte is copied; gathered as it is read where it is not. Types that NumPy does not have are raw bytes, those in
/// little-endian order always.
/// @param place  for errors
/// @throws Error Errc::corrupt with the numbers: no storage, one of another size, one that ends before the tensor does
Recipe array_of_tensor(const Archive& archive, const TensorInfo& tensor, bool big_endian, const std::string& place);

}  // namespace ckptree::torch
