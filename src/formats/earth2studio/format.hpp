#pragma once

#include "ckptree/format.hpp"

namespace ckptree {

/// The commit stores of Earth2Studio: a directory with a catalog. formats/earth2studio.md has the bytes.
const Format& earth2studio_format();

}  // namespace ckptree
