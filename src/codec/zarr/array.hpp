#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/recipe.hpp"
#include "codec/zarr/chunk_cache.hpp"
#include "codec/zarr/store.hpp"

/// Arrays of zarr, versions 2 and 3, as orbax and TensorStore write them.
/// @see https://zarr-specs.readthedocs.io/
namespace ckptree::zarr {

/// As the metadata of orbax allows; NumPy before 2.0 had as many.
constexpr std::size_t kMaxRank = 32;

/// How the bytes of a chunk were packed, in this order.
enum class Packing { zstd, gzip, blosc, crc32c };

/// How a chunk became bytes.
struct Codecs {
  std::vector<std::size_t> order;  // dimensions from the slowest-varying on, as they are stored; empty: as they are
  bool big_endian = false;
  std::vector<Packing> packings;
};

/// A stored chunk that holds several to be read one by one, behind an index.
struct Shards {
  std::vector<std::uint64_t> shape;  // elements of a shard; multiples of the chunk's
  bool index_at_start = false;
  bool index_crc = false;
};

/// What the metadata of an array says.
struct ZarrArray {
  bool zarr3 = false;
  std::vector<std::uint64_t> shape;        // slowest-varying first; empty for a scalar
  std::vector<std::uint64_t> chunk_shape;  // of what is read at once: in a shard, the inner chunk
  std::string dtype;                       // as orbax names it: "bfloat16", "float32"; an unknown one as it is spelled
  std::uint64_t item_size = 0;             // bytes of an element; 0 of an unknown type
  std::optional<std::string> fill;         // one element; nothing when it cannot be told
  Codecs codecs;
  std::optional<Shards> shards;
  bool v2_keys = false;  // "0.1" instead of "c/0/1"
  char separator = '/';
  std::string unsupported;  // why its data cannot be read: "codec 'blosc'"; empty when it can
};

/// The key of an array's metadata: "NAME/.zarray", "NAME/zarr.json"; a name that is empty or ends in '/' gets no slash.
std::string metadata_key(const std::string& name, bool zarr3);

/// Reads .zarray or zarr.json.
/// @param place  named in errors
/// @throws Error Errc::corrupt, Errc::unsupported (a node that is no array, a chunk grid of another kind)
ZarrArray parse_zarr(Bytes text, bool zarr3, const std::string& place);

/// How a .npy file spells its type: "<f4", "|b1"; "|V2" of bfloat16, "|V1" of float8, int4 and the like, which NumPy
/// has no name for. Nothing when the data cannot be read; `unsupported` says why.
std::optional<std::string> npy_descr(const ZarrArray& array);

/// The array as a .npy file: its header, and data computed from the chunks when it is read. Its size is exact, and no
/// more chunks are decoded than a read touches.
/// @param name  of the array, as in metadata_key
/// @param missing_is_damage  whether a chunk that is not there is Errc::corrupt instead of the fill value
/// @param tag   of the recipe: equal tag, equal bytes; the cache knows the array by it
/// @throws Error Errc::unsupported when npy_descr has nothing
Recipe npy_of(Ptr<KeyValues> values, const std::string& name, Ptr<ZarrArray> array, Ptr<ChunkCache> cache,
              bool missing_is_damage, std::string tag);

}  // namespace ckptree::zarr
