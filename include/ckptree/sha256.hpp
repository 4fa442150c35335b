#pragma once

#include <string>

#include "ckptree/bytes.hpp"

namespace ckptree {

/// The SHA-256 of the bytes, as 64 hexadecimal digits. @see FIPS 180-4
std::string sha256(Bytes bytes);

}  // namespace ckptree
