#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ckptree/bytes.hpp"

/// One element of an array, from its bytes.
namespace ckptree::npy {

/// An unsigned integer of at most 8 bytes.
std::uint64_t bits_of(Bytes element, bool big_endian);
/// The integer that `size` bytes (1 to 8) stand for in two's complement.
std::int64_t signed_of(std::uint64_t bits, std::size_t size);
/// The IEEE 754 float of 2, 4 or 8 bytes.
double real_of(std::uint64_t bits, std::size_t size);
/// A str_: four bytes a character, filled up with zeros. WTF-8 when one is a lone surrogate; nothing for a character
/// beyond Unicode.
std::optional<std::string> text_of(Bytes element, bool big_endian);

}  // namespace ckptree::npy
