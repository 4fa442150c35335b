#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/zarr/array.hpp"

namespace ckptree::zarr {

/// The chunks of one array, decoded, through the cache.
class Chunks {
 public:
  /// As npy_of.
  Chunks(Ptr<KeyValues> values, std::string name, Ptr<ZarrArray> array, Ptr<ChunkCache> cache, bool missing_is_damage,
         std::string tag);

  /// The elements of the chunk at these coordinates (in chunks, not in elements), little-endian, in the order in which
  /// they are stored; null when it is not there, and the fill value stands for it.
  /// @throws Error Errc::corrupt; Errc::unsupported when it is too large to be decoded
  Ptr<Computed> at(const std::vector<std::uint64_t>& coordinates) const;

  const ZarrArray& array() const noexcept { return *array_; }

 private:
  using Coordinates = std::vector<std::uint64_t>;

  ChunkCache::Chunk load(const Coordinates& coordinates) const;
  ChunkCache::Chunk decode(const Recipe& stored, const std::string& key) const;
  std::optional<Recipe> inner(const Recipe& shard, const Coordinates& coordinates, const std::string& key) const;
  std::string key_of(const Coordinates& coordinates) const;

  const Ptr<KeyValues> values_;
  const std::string name_;
  const Ptr<ZarrArray> array_;
  const Ptr<ChunkCache> cache_;
  const bool missing_is_damage_;
  const std::uint64_t chunk_bytes_;
  const std::string cache_tag_;
};

}  // namespace ckptree::zarr
