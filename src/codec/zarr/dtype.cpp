#include "codec/zarr/dtype.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <limits>

#include <xtl/xhalf_float.hpp>

#include "codec/json/scan.hpp"

namespace ckptree::zarr {
namespace {

// int2, int4 and float4_e2m1fn have a byte per element.
const Dtype kDtypes[] = {
    {"bool", "b1", "|b1", Dtype::boolean, 1, 1},
    {"int8", "i1", "|i1", Dtype::integer, 1, 1},
    {"int16", "i2", "<i2", Dtype::integer, 2, 2},
    {"int32", "i4", "<i4", Dtype::integer, 4, 4},
    {"int64", "i8", "<i8", Dtype::integer, 8, 8},
    {"uint8", "u1", "|u1", Dtype::natural, 1, 1},
    {"uint16", "u2", "<u2", Dtype::natural, 2, 2},
    {"uint32", "u4", "<u4", Dtype::natural, 4, 4},
    {"uint64", "u8", "<u8", Dtype::natural, 8, 8},
    {"float16", "f2", "<f2", Dtype::real, 2, 2},
    {"float32", "f4", "<f4", Dtype::real, 4, 4},
    {"float64", "f8", "<f8", Dtype::real, 8, 8},
    {"complex64", "c8", "<c8", Dtype::complex, 8, 4},
    {"complex128", "c16", "<c16", Dtype::complex, 16, 8},
    {"bfloat16", nullptr, "|V2", Dtype::brain, 2, 2},
    {"int2", nullptr, "|V1", Dtype::other, 1, 1},
    {"int4", nullptr, "|V1", Dtype::other, 1, 1},
    {"float4_e2m1fn", nullptr, "|V1", Dtype::other, 1, 1},
    {"float8_e3m4", nullptr, "|V1", Dtype::other, 1, 1},
    {"float8_e4m3", nullptr, "|V1", Dtype::other, 1, 1},
    {"float8_e4m3b11fnuz", nullptr, "|V1", Dtype::other, 1, 1},
    {"float8_e4m3fn", nullptr, "|V1", Dtype::other, 1, 1},
    {"float8_e4m3fnuz", nullptr, "|V1", Dtype::other, 1, 1},
    {"float8_e5m2", nullptr, "|V1", Dtype::other, 1, 1},
    {"float8_e5m2fnuz", nullptr, "|V1", Dtype::other, 1, 1},
    {"float8_e8m0fnu", nullptr, "|V1", Dtype::other, 1, 1},
};

template <class Is>
const Dtype* first(const Is& is) noexcept {
  const auto* found = std::find_if(std::begin(kDtypes), std::end(kDtypes), is);
  return found == std::end(kDtypes) ? nullptr : found;
}

/// The lowest bytes of a number.
std::string bytes_of(std::uint64_t bits, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(bits >> 8 * i);
  return bytes;
}

template <class To, class From>
To bits_of(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "the bits of a number");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

std::optional<double> number(const Value& value) {
  Bytes text = value.literal();
  if (text.size() > 1 && text.front() == '"') text = text.substr(1, text.size() - 2);
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  double n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

/// "0x7fc0": the bits themselves, as many digits as the element has.
std::optional<std::string> hexadecimal(const Value& value, std::size_t size) {
  Bytes text = value.literal();
  if (text.size() != 2 * size + 4 || text.substr(0, 3) != "\"0x") return std::nullopt;
  std::uint64_t bits = 0;
  for (const char c : text.substr(3, 2 * size)) {
    if (json::hex_value(c) < 0) return std::nullopt;
    bits = bits << 4 | static_cast<std::uint64_t>(json::hex_value(c));
  }
  return bytes_of(bits, size);
}

std::optional<std::string> whole(const Value& value, bool has_sign, std::size_t size) {
  const Bytes text = value.literal();
  const unsigned bits = static_cast<unsigned>(8 * size);
  if (has_sign) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    const std::int64_t most = static_cast<std::int64_t>(~std::uint64_t{0} >> (65 - bits));
    if (error != std::errc() || end != text.data() + text.size() || n > most || n < -most - 1) return std::nullopt;
    return bytes_of(static_cast<std::uint64_t>(n), size);
  }
  const auto n = whole_number(value);
  if (!n || *n > ~std::uint64_t{0} >> (64 - bits)) return std::nullopt;
  return bytes_of(*n, size);
}

std::optional<std::string> real(const Value& value, std::size_t size) {
  if (auto bits = hexadecimal(value, size)) return bits;
  const auto n = number(value);
  if (!n) return std::nullopt;
  if (size == 8) return bytes_of(bits_of<std::uint64_t>(*n), size);
  const float single = static_cast<float>(*n);
  if (size == 4) return bytes_of(bits_of<std::uint32_t>(single), size);
  return bytes_of(bits_of<std::uint16_t>(xtl::half_float(single)), size);
}

/// The upper half of a float, rounded to even.
std::optional<std::string> brain(const Value& value) {
  if (auto bits = hexadecimal(value, 2)) return bits;
  const auto n = number(value);
  if (!n) return std::nullopt;
  if (*n != *n) return bytes_of(0x7fc0, 2);
  const auto bits = bits_of<std::uint32_t>(static_cast<float>(*n));
  return bytes_of((bits + 0x7fff + (bits >> 16 & 1)) >> 16, 2);
}

}  // namespace

const Dtype* dtype_named(Bytes name) noexcept {
  return first([name](const Dtype& d) { return d.name == name; });
}

V2Dtype dtype_of_v2(Bytes spelling) noexcept {
  if (spelling.empty() || Bytes("<>|").find(spelling.front()) == Bytes::npos) {
    const Dtype* named = dtype_named(spelling);
    return {named && !named->v2 ? named : nullptr, false};
  }
  const Dtype* dtype = first([&](const Dtype& d) { return d.v2 && d.v2 == spelling.substr(1); });
  if (dtype && spelling.front() == '|' && dtype->size > 1) dtype = nullptr;
  return {dtype, spelling.front() == '>'};
}

std::optional<std::string> fill_of(const Dtype& dtype, const std::optional<Value>& value) {
  if (!value || value->type() == json::Type::null || value->literal() == "0" || value->literal() == "0.0")
    return std::string(dtype.size, '\0');
  switch (dtype.kind) {
    case Dtype::boolean:
      if (value->type() != json::Type::boolean) return std::nullopt;
      return std::string(1, value->literal() == "true" ? '\1' : '\0');
    case Dtype::integer:
    case Dtype::natural: return whole(*value, dtype.kind == Dtype::integer, dtype.size);
    case Dtype::real: return real(*value, dtype.size);
    case Dtype::brain: return brain(*value);
    case Dtype::other: return hexadecimal(*value, dtype.size);
    case Dtype::complex: {
      if (value->type() != json::Type::array) return std::nullopt;
      const std::vector<Value> parts = items(*value);
      if (parts.size() != 2) return std::nullopt;
      const auto first_part = real(parts[0], dtype.word), second = real(parts[1], dtype.word);
      if (!first_part || !second) return std::nullopt;
      return *first_part + *second;
    }
  }
  return std::nullopt;
}

}  // namespace ckptree::zarr
