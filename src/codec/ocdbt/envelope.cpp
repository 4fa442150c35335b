#include "codec/ocdbt/envelope.hpp"

#include <cstdio>

#include "ckptree/cursor.hpp"
#include "ckptree/error.hpp"
#include "codec/ocdbt/columns.hpp"
#include "codec/zarr/crc32c.hpp"
#include "codec/zarr/unpack.hpp"

namespace ckptree::ocdbt {
namespace {

std::string hexadecimal(std::uint32_t magic) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(magic));
  return text;
}

}  // namespace

std::string open_envelope(Bytes encoded, std::uint32_t magic, const std::string& place) {
  Cursor cursor(encoded, place);
  std::uint32_t found = 0;
  for (const char c : cursor.take(4, "magic")) found = found << 8 | static_cast<unsigned char>(c);
  if (found != magic) cursor.fail("begins with " + hexadecimal(found) + ", expected " + hexadecimal(magic));
  const auto length = cursor.le<std::uint64_t>("length");
  if (length != encoded.size())
    cursor.fail("says that it has " + std::to_string(length) + " bytes, it has " + std::to_string(encoded.size()));
  const auto version = varint(cursor, "version", 32);
  if (version != 0) throw Error(Errc::unsupported, place + ": version " + std::to_string(version) + "; 0 is read");
  const auto compression = varint(cursor, "compression", 32);
  if (compression > 1)
    throw Error(Errc::unsupported,
                place + ": compression " + std::to_string(compression) + "; none (0) and zstd (1) are read");
  if (cursor.left() < 4) cursor.fail("ends before its crc32c");
  const Bytes body = cursor.take(cursor.left() - 4, "body");
  const auto stored = cursor.le<std::uint32_t>("crc32c"), real = zarr::crc32c(encoded.substr(0, encoded.size() - 4));
  if (stored != real) cursor.fail("its crc32c is " + std::to_string(real) + ", it says " + std::to_string(stored));
  if (compression == 0) return std::string(body);
  const auto stream = zarr::unpack(Recipe::literal(std::string(body)), {zarr::Packing::zstd}, place);
  return zarr::read_at_most(*stream, kMaxNode, place);
}

}  // namespace ckptree::ocdbt
