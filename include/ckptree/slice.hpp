#pragma once

#include "ckptree/recipe.hpp"

namespace ckptree {

/// Bytes [at, at + size) of a recipe, without a copy of extents. They must be within it.
Recipe slice(const Recipe& whole, std::uint64_t at, std::uint64_t size);

}  // namespace ckptree
