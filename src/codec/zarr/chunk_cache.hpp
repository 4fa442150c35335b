#pragma once

#include "ckptree/recipe.hpp"
#include "codec/once_cache.hpp"

namespace ckptree::zarr {

/// The decoded chunks used last, of whatever arrays; one for a process. A key is an array and the number of a chunk of
/// it; a value of null is a chunk that is not stored.
class ChunkCache : public OnceCache<Computed> {
 public:
  using Chunk = Made;
  explicit ChunkCache(std::uint64_t limit = std::uint64_t{256} << 20) : OnceCache(limit) {}
};

}  // namespace ckptree::zarr
