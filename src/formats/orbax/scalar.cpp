// The value of a scalar, as Python prints it.

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>

#include "ckptree/cursor.hpp"
#include "formats/orbax/item.hpp"

namespace ckptree::orbax {
namespace {

// A header of numpy and one element.
constexpr std::uint64_t kMaxScalarFile = 4096;

template <class Bits>
Bits bits_of(Bytes element) {
  return Cursor(element, "scalar").le<Bits>("value");
}

template <class Signed, class Bits>
std::string integer(Bytes element) {
  Signed value;
  const Bits bits = bits_of<Bits>(element);
  std::memcpy(&value, &bits, sizeof value);
  return std::to_string(+value);
}

/// The shortest text that reads back the same, which no one takes for an integer.
template <class Float>
std::string text_of(Float value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  std::string out(text, end);
  return out.find_first_of(".e") == std::string::npos ? out + ".0" : out;
}

template <class Float, class Bits>
std::string floating(Bytes element) {
  Float value;
  const Bits bits = bits_of<Bits>(element);
  std::memcpy(&value, &bits, sizeof value);
  return text_of(value);
}

/// bfloat16 is the upper half of a float.
std::string brain_float(Bytes element) {
  const std::uint32_t bits = std::uint32_t{bits_of<std::uint16_t>(element)} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return text_of(value);
}

std::string half(Bytes element) {
  const std::uint16_t bits = bits_of<std::uint16_t>(element);
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float value = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return text_of((bits & 0x8000) != 0 ? -value : value);
}

}  // namespace

std::string scalar_literal(const std::string& dtype, const Recipe& npy) {
  using Read = std::string (*)(Bytes);
  struct Kind {
    std::size_t size;
    Read read;
  };
  static const std::map<std::string, Kind> kinds{
      {"bool", {1, [](Bytes e) { return std::string(e[0] != 0 ? "true" : "false"); }}},
      {"int8", {1, integer<std::int8_t, std::uint8_t>}},
      {"int16", {2, integer<std::int16_t, std::uint16_t>}},
      {"int32", {4, integer<std::int32_t, std::uint32_t>}},
      {"int64", {8, integer<std::int64_t, std::uint64_t>}},
      {"uint8", {1, integer<std::uint8_t, std::uint8_t>}},
      {"uint16", {2, integer<std::uint16_t, std::uint16_t>}},
      {"uint32", {4, integer<std::uint32_t, std::uint32_t>}},
      {"uint64", {8, integer<std::uint64_t, std::uint64_t>}},
      {"float16", {2, half}},
      {"bfloat16", {2, brain_float}},
      {"float32", {4, floating<float, std::uint32_t>}},
      {"float64", {8, floating<double, std::uint64_t>}},
  };
  const auto kind = kinds.find(dtype);
  if (kind == kinds.end() || npy.size() > kMaxScalarFile) return "null";
  const std::string file = npy.text(kMaxScalarFile, "scalar");
  if (file.size() < kind->second.size) return "null";
  return kind->second.read(Bytes(file).substr(file.size() - kind->second.size));
}

}  // namespace ckptree::orbax
