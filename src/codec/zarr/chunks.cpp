#include "codec/zarr/chunks.hpp"

#include <algorithm>
#include <mutex>

#include "ckptree/cursor.hpp"
#include "ckptree/error.hpp"
#include "ckptree/slice.hpp"
#include "codec/zarr/crc32c.hpp"
#include "codec/zarr/decoded.hpp"
#include "codec/zarr/dtype.hpp"
#include "codec/zarr/unpack.hpp"

namespace ckptree::zarr {
namespace {

// Chunks up to this are decoded at once and kept; larger ones are streamed, so that memory does not grow with them.
constexpr std::uint64_t kAtOnce = 64u << 20;
// Chunks that are not packed are read where they are, unless they are so small that their rows would be a few bytes.
constexpr std::uint64_t kSmall = 1u << 20;
// What cannot be streamed, because its elements are wanted in another order, may take as much as the cache.
constexpr std::uint64_t kAtOnceAtMost = 256u << 20;
// What the kernel reads ahead of an array, for several readers, and the least of it that a chunk gets.
constexpr std::uint64_t kWindow = 8u << 20, kLeastWindow = 256u << 10;
// Past what a stream takes at its beginning: buffers grow a little.
constexpr std::uint64_t kMore = 1u << 20;
// An index has 16 bytes for a chunk; a shard of a gibibyte in chunks of 256 bytes has so many.
constexpr std::uint64_t kMaxIndex = (std::uint64_t{16} << 22) + 4;
constexpr std::uint64_t kAbsent = ~std::uint64_t{0};

std::uint64_t product(const std::vector<std::uint64_t>& extents) {
  std::uint64_t n = 1;
  for (const std::uint64_t extent : extents) n *= extent;
  return n;
}

void swap_words(std::string& bytes, std::size_t word) {
  for (std::size_t i = 0; i + word <= bytes.size(); i += word)
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i), bytes.begin() + static_cast<std::ptrdiff_t>(i + word));
}

}  // namespace

Chunks::Chunks(Ptr<KeyValues> values, std::string name, Ptr<ZarrArray> array, Ptr<ChunkCache> cache,
               bool missing_is_damage, std::string tag)
    : values_(std::move(values)),
      name_(std::move(name)),
      array_(std::move(array)),
      cache_(std::move(cache)),
      missing_is_damage_(missing_is_damage),
      chunk_bytes_(product(array_->chunk_shape) * array_->item_size),
      // With its size: whatever tags say, a chunk of another size is never read as this one.
      cache_tag_(std::move(tag) + ":" + std::to_string(chunk_bytes_)) {}

Ptr<Computed> Chunks::at(const Coordinates& coordinates) const {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < coordinates.size(); ++i)
    number = number * ((array_->shape[i] - 1) / array_->chunk_shape[i] + 1) + coordinates[i];
  return cache_->get({cache_tag_, number}, [&] { return load(coordinates); });
}

ChunkCache::Chunk Chunks::load(const Coordinates& coordinates) const {
  Coordinates stored = coordinates;
  if (array_->shards)
    for (std::size_t i = 0; i < stored.size(); ++i) stored[i] /= array_->shards->shape[i] / array_->chunk_shape[i];
  const std::string key = key_of(stored);
  std::optional<Recipe> value = values_->find(key);
  if (value && array_->shards) value = inner(*value, coordinates, key);
  if (value) return decode(*value, key);
  if (missing_is_damage_) throw Error(Errc::corrupt, key + ": this chunk is missing");
  return {};
}

std::string Chunks::key_of(const Coordinates& coordinates) const {
  std::string key = name_.empty() || name_.back() == '/' ? name_ : name_ + "/";
  std::string numbers;
  for (const std::uint64_t n : coordinates) {
    if (!numbers.empty()) numbers += array_->separator;
    numbers += std::to_string(n);
  }
  if (array_->v2_keys) return key + (numbers.empty() ? "0" : numbers);
  return key + (numbers.empty() ? "c" : std::string("c") + array_->separator + numbers);
}

/// The part of a shard that holds this chunk, by the index:
///
///      0  16 n  of each chunk, in C order: offset and size, 8 bytes each; all ones when it is absent
///   16 n     4  CRC-32C of them, when the codecs say so
std::optional<Recipe> Chunks::inner(const Recipe& shard, const Coordinates& coordinates, const std::string& key) const {
  std::uint64_t count = 1, number = 0;
  for (std::size_t i = 0; i < coordinates.size(); ++i) {
    const std::uint64_t chunks = array_->shards->shape[i] / array_->chunk_shape[i];
    count *= chunks;
    number = number * chunks + coordinates[i] % chunks;
  }
  const std::uint64_t crc = array_->shards->index_crc ? 4 : 0, size = shard.size();
  if (count > kMaxIndex / 16 || size < crc || count > (size - crc) / 16)
    throw Error(Errc::corrupt, key + ": an index of " + std::to_string(count) + " chunks does not fit into its " +
                                   std::to_string(size) + " bytes");
  const std::uint64_t index_size = 16 * count + crc;
  const Recipe stored = slice(shard, array_->shards->index_at_start ? 0 : size - index_size, index_size);
  const auto index = cache_->get({"index:" + shard.tag, count}, [&]() -> ChunkCache::Chunk {
    std::string bytes = stored.text(kMaxIndex, key);
    if (crc > 0) {
      Cursor end(Bytes(bytes).substr(bytes.size() - 4), key + ": index");
      if (end.le<std::uint32_t>("crc32c") != crc32c(Bytes(bytes).substr(0, bytes.size() - 4)))
        throw Error(Errc::corrupt, key + ": the index of its chunks has another crc32c than it says");
    }
    return {bytes_in_memory(std::move(bytes)), index_size};
  });
  char entry[16];
  index->read(16 * number, Buffer(entry, sizeof entry));
  Cursor cursor(Bytes(entry, sizeof entry), key + ": index");
  const auto at = cursor.le<std::uint64_t>("offset"), length = cursor.le<std::uint64_t>("size");
  if (at == kAbsent && length == kAbsent) return std::nullopt;
  if (at > size || length > size - at)
    throw Error(Errc::corrupt, key + ": chunk " + std::to_string(number) + " has " + std::to_string(length) +
                                   " bytes from " + std::to_string(at) + ", the shard has " + std::to_string(size));
  return slice(shard, at, length);
}

ChunkCache::Chunk Chunks::decode(const Recipe& stored, const std::string& key) const {
  const Codecs& codecs = array_->codecs;
  const std::size_t word = codecs.big_endian ? dtype_named(array_->dtype)->word : 1;
  const bool as_it_is = codecs.order.empty() && word == 1;
  if (codecs.packings.empty() && as_it_is && chunk_bytes_ > kSmall) {
    if (stored.size() != chunk_bytes_)
      throw Error(Errc::corrupt,
                  key + ": has " + std::to_string(stored.size()) + " bytes, expected " + std::to_string(chunk_bytes_));
    return {bytes_of_recipe(stored), 0};
  }
  const auto open = [stored, packings = codecs.packings, key] { return unpack(stored, packings, key); };
  if (chunk_bytes_ > kAtOnce && as_it_is) {
    // A row of the array goes through the chunks side by side: they share what is read ahead.
    std::uint64_t beside = 1;
    for (std::size_t i = 1; i < array_->shape.size(); ++i)
      beside *= (array_->shape[i] - 1) / array_->chunk_shape[i] + 1;
    const auto window = static_cast<std::size_t>(std::max(kWindow / beside, kLeastWindow));
    const auto stream = open();
    char first;
    stream->read(Buffer(&first, 1));
    const std::uint64_t memory = stream->memory() + kMore;
    return {bytes_of_stream(open, chunk_bytes_, key, window, memory), 2 * window + memory};
  }
  if (chunk_bytes_ > kAtOnceAtMost)
    throw Error(Errc::unsupported, key + ": a chunk of " + std::to_string(chunk_bytes_) +
                                       " bytes in another order; at most " + std::to_string(kAtOnceAtMost) +
                                       " are possible");
  // Large ones are made one after the other: they are on top of what the cache keeps.
  static std::mutex large;
  std::unique_lock<std::mutex> alone(large, std::defer_lock);
  if (chunk_bytes_ > kAtOnce) alone.lock();
  std::string bytes = read_exactly(*open(), chunk_bytes_, key);
  if (word > 1) swap_words(bytes, word);
  return {bytes_in_memory(std::move(bytes)), chunk_bytes_};
}

}  // namespace ckptree::zarr
