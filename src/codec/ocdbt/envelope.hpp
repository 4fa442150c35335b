#pragma once

#include <cstdint>
#include <string>

#include "ckptree/bytes.hpp"

namespace ckptree::ocdbt {

constexpr std::uint32_t kManifestMagic = 0x0cdb3a2a, kNodeMagic = 0x0cdb20de;

/// TensorStore makes nodes of at most 100,000,000 bytes unless told otherwise, and orbax fills them.
constexpr std::uint64_t kMaxNode = std::uint64_t{128} << 20;

/// The body of a manifest or a node: checked, and decompressed.
///
///   0  4  magic, big-endian
///   4  8  bytes of all, little-endian
///  12  .  version, varint: 0
///   .  .  compression, varint: 0 none, 1 zstd
///   .  .  body
///   .  4  CRC-32C of all before it, little-endian
///
/// @param place  named in errors
/// @throws Error Errc::corrupt, Errc::unsupported (another version or compression)
std::string open_envelope(Bytes encoded, std::uint32_t magic, const std::string& place);

}  // namespace ckptree::ocdbt
