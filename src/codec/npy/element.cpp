#include "codec/npy/element.hpp"

#include <cmath>
#include <cstddef>
#include <cstring>

#include "ckptree/utf8.hpp"

namespace ckptree::npy {
namespace {

/// 1 bit sign, 5 bits exponent, 10 bits fraction.
double half_of(std::uint64_t bits) {
  const int exponent = static_cast<int>(bits >> 10 & 0x1f);
  const auto fraction = static_cast<double>(bits & 0x3ff);
  const double size = exponent == 31  ? (fraction > 0 ? NAN : INFINITY)
                      : exponent == 0 ? std::ldexp(fraction, -24)
                                      : std::ldexp(fraction + 1024, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

}  // namespace

std::uint64_t bits_of(Bytes element, bool big_endian) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < element.size(); ++i) {
    const std::size_t at = big_endian ? i : element.size() - 1 - i;
    bits = bits << 8 | static_cast<unsigned char>(element[at]);
  }
  return bits;
}

std::int64_t signed_of(std::uint64_t bits, std::size_t size) {
  const auto unused = static_cast<unsigned>(64 - 8 * size);
  return static_cast<std::int64_t>(bits << unused) >> unused;
}

double real_of(std::uint64_t bits, std::size_t size) {
  if (size == 2) return half_of(bits);
  if (size == 4) {
    const auto narrow = static_cast<std::uint32_t>(bits);
    float value;
    std::memcpy(&value, &narrow, sizeof value);
    return value;
  }
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::optional<std::string> text_of(Bytes element, bool big_endian) {
  std::size_t end = element.size();
  while (end >= 4 && element.substr(end - 4, 4) == Bytes("\0\0\0\0", 4)) end -= 4;
  std::string text;
  for (std::size_t at = 0; at < end; at += 4) {
    const std::uint64_t point = bits_of(element.substr(at, 4), big_endian);
    if (point > 0x10FFFF) return std::nullopt;
    append_utf8(text, static_cast<unsigned>(point));
  }
  return text;
}

}  // namespace ckptree::npy
