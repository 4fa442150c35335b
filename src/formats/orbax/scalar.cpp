// The value of a scalar, as Python prints it.

#include <cstdint>
#include <map>

#include "codec/npy/element.hpp"
#include "codec/python/repr.hpp"
#include "formats/orbax/item.hpp"

namespace ckptree::orbax {
namespace {

// A header of numpy and one element.
constexpr std::uint64_t kMaxScalarFile = 4096;

// A .npy file of a scalar, whose elements begin with the lowest byte.
std::string integer(Bytes e) { return std::to_string(npy::signed_of(npy::bits_of(e, false), e.size())); }
std::string natural(Bytes e) { return std::to_string(npy::bits_of(e, false)); }

std::string real(Bytes e) {
  const double value = npy::real_of(npy::bits_of(e, false), e.size());
  return e.size() < sizeof value ? python::json_number(static_cast<float>(value)) : python::json_number(value);
}

/// bfloat16 is the upper half of a float.
std::string brain_float(Bytes e) {
  return python::json_number(static_cast<float>(npy::real_of(npy::bits_of(e, false) << 16, sizeof(float))));
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
      {"int8", {1, integer}},
      {"int16", {2, integer}},
      {"int32", {4, integer}},
      {"int64", {8, integer}},
      {"uint8", {1, natural}},
      {"uint16", {2, natural}},
      {"uint32", {4, natural}},
      {"uint64", {8, natural}},
      {"float16", {2, real}},
      {"bfloat16", {2, brain_float}},
      {"float32", {4, real}},
      {"float64", {8, real}},
  };
  const auto kind = kinds.find(dtype);
  if (kind == kinds.end() || npy.size() > kMaxScalarFile) return "null";
  const std::string file = npy.text(kMaxScalarFile, "scalar");
  if (file.size() < kind->second.size) return "null";
  return kind->second.read(Bytes(file).substr(file.size() - kind->second.size));
}

}  // namespace ckptree::orbax
