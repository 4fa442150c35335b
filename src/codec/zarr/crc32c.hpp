#pragma once

#include <cstdint>

#include "ckptree/bytes.hpp"

namespace ckptree::zarr {

/// The Castagnoli CRC, 0x1EDC6F41, reflected; as iSCSI has it. @param before  the CRC of the bytes before these
std::uint32_t crc32c(Bytes bytes, std::uint32_t before = 0) noexcept;

}  // namespace ckptree::zarr
