#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <xtl/xspan.hpp>

#include "ckptree/recipe.hpp"

/// NumPy's .npy files. @see NEP 1, "A Simple File Format for NumPy Arrays"
namespace ckptree::npy {

/// More dimensions than any NumPy has (32 until 1.26, 64 since 2.0).
constexpr std::size_t kMaxRank = 64;

struct Header {
  std::string descr;  // as NumPy spells a type: "<f4", "|b1", "<U5", "<M8[ns]"
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;  // slowest-varying first; empty for a scalar
  std::uint64_t data_offset = 0;     // bytes before the first element
};

/// The header text for an array in C order (or Fortran order), byte for byte what numpy.save writes: padded so that the
/// data starts at a multiple of 64, with room for the first dimension to grow.
std::string make_header(const std::string& descr, xtl::span<const std::uint64_t> shape, bool fortran_order = false);

/// Reads the header of a .npy file, versions 1.0 to 3.0, and checks that the file has exactly the bytes of its shape.
/// Structured and object types are refused: a pickle would be needed.
/// @throws Error Errc::rejected with `place`; Errc::incomplete when the file ends before its header or data does
Header parse_header(const Recipe& file, const std::string& place);

/// Bytes of one element, e.g. 4 of "<f4", 20 of "<U5". @throws Error Errc::rejected for a spelling NumPy does not know,
/// and for elements of no bytes, of which nobody can tell how many there are
std::uint64_t item_size(const std::string& descr);
/// Product of the shape times the item size. @throws Error Errc::corrupt with `place` when it overflows 63 bits (an
/// extent of 0 does not hide an overflow, as in NumPy), or the rank is over kMaxRank
std::uint64_t byte_size(xtl::span<const std::uint64_t> shape, const std::string& descr, const std::string& place);

/// "<f4" -> "float32", ">f8" -> ">f8", "<U5" -> "<U5", "<M8[ns]" -> "datetime64[ns]": as str(numpy.dtype) prints it,
/// and back.
/// @throws Error as item_size
std::string dtype_name(const std::string& descr);
/// Takes the spelling of .npy files as well. @throws Error Errc::corrupt with `place` for a name that is no plain dtype
std::string descr_of(const std::string& dtype_name, const std::string& place);

/// The data of an array as C order, whatever the order it is stored in (computed when Fortran, with 16 MiB of memory).
/// @throws Error Errc::unsupported for Fortran order of elements that are larger than that
Recipe data_in_c_order(const Recipe& file, const Header& header);

}  // namespace ckptree::npy
