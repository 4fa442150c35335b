#include <algorithm>

#include "formats/earth2studio/payload.hpp"

namespace ckptree::earth2studio {

// .npy: 6 bytes of magic, 2 of version, then the size of the header, little-endian: 2 bytes in version 1, 4 later.
std::string structured_header(const Recipe& file) {
  constexpr std::size_t kPrefix = 12, kMaxHeader = 1 << 16;
  constexpr char kMagic[] = "\x93NUMPY";
  std::string start(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kPrefix)), '\0');
  if (start.size() < kPrefix || file.read(0, Buffer(start.data(), start.size())) != start.size()) return {};
  if (start.compare(0, 6, kMagic, 6) != 0) return {};
  const auto byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(start[i])}; };
  const bool first = byte(6) == 1;
  const std::size_t begin = first ? 10 : 12;
  const std::size_t size = first ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (size > kMaxHeader || file.size() < begin + size) return {};
  std::string header(begin + size, '\0');
  file.read(0, Buffer(header.data(), header.size()));
  return header.find("'descr': [") == std::string::npos ? std::string() : header;
}

}  // namespace ckptree::earth2studio
