#pragma once

#include <string>

#include "ckptree/bytes.hpp"

namespace ckptree {

/// SHA-256 of a text, as 64 lower-case hexadecimal digits. @see FIPS 180-4
std::string sha256_hex(Bytes text);

}  // namespace ckptree
