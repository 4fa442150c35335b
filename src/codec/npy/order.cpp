#include "ckptree/slice.hpp"
#include "codec/npy/gather.hpp"
#include "codec/npy/npy.hpp"

namespace ckptree::npy {

Recipe data_in_c_order(const Recipe& file, const Header& header) {
  Recipe stored = slice(file, header.data_offset, file.size() - header.data_offset);
  std::size_t longer = 0;
  for (const std::uint64_t extent : header.shape) longer += extent != 1;
  if (!header.fortran_order || longer < 2 || stored.size() == 0) return stored;
  Strided array;
  array.shape = header.shape;
  std::uint64_t stride = item_size(header.descr);
  for (const std::uint64_t extent : header.shape) {
    array.strides.push_back(stride);
    stride *= extent;
  }
  return gather(stored, array, item_size(header.descr));
}

}  // namespace ckptree::npy
