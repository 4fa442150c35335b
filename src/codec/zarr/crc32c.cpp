#include "codec/zarr/crc32c.hpp"

#include <array>

namespace ckptree::zarr {
namespace {

// Eight tables, so that eight bytes go in at once: nodes of a hundred megabytes exist.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

Tables make_tables() noexcept {
  Tables t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    t[0][i] = crc;
  }
  for (std::size_t k = 1; k < t.size(); ++k)
    for (std::size_t i = 0; i < 256; ++i) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xFF];
  return t;
}

}  // namespace

std::uint32_t crc32c(Bytes bytes, std::uint32_t before) noexcept {
  static const Tables t = make_tables();
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  std::uint32_t crc = ~before;
  for (; left >= 8; left -= 8, p += 8) {
    crc ^= p[0] | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
    crc = t[7][crc & 0xFF] ^ t[6][crc >> 8 & 0xFF] ^ t[5][crc >> 16 & 0xFF] ^ t[4][crc >> 24] ^ t[3][p[4]] ^
          t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
  }
  for (; left > 0; --left) crc = crc >> 8 ^ t[0][(crc ^ *p++) & 0xFF];
  return ~crc;
}

}  // namespace ckptree::zarr
