#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"
#include "zarr_store.hpp"

/// Arrays of zarr in memory, opened as .npy files.
namespace ckptree_test {

using Shape = std::vector<std::uint64_t>;

/// An array of 16-bit numbers 0, 1, 2, ..., in chunks, as a writer that goes element by element would store it.
struct StoredArray {
  Shape shape, chunk, order;

  std::uint64_t number(const Shape& at) const {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < at.size(); ++i) n = n * shape[i] + at[i];
    return n;
  }
  /// The bytes of a chunk; the elements outside the array are 0xEEEE.
  std::string chunk_at(const Shape& coordinates, bool big = false) const {
    std::uint64_t size = 1;
    for (const std::uint64_t c : chunk) size *= c;
    std::string bytes;
    for (std::uint64_t e = 0; e < size; ++e) {
      std::uint64_t rest = e;
      Shape at(chunk.size());
      bool inside = true;
      for (std::size_t i = chunk.size(); i-- > 0;) {
        const std::size_t d = order.empty() ? i : order[i];
        at[d] = coordinates[d] * chunk[d] + rest % chunk[d];
        rest /= chunk[d];
        inside = inside && at[d] < shape[d];
      }
      std::string item = words(inside ? number(at) : 0xEEEE, 2);
      if (big) std::swap(item[0], item[1]);
      bytes += item;
    }
    return bytes;
  }
  std::string all() const {
    std::uint64_t size = 1;
    for (const std::uint64_t c : shape) size *= c;
    std::string bytes;
    for (std::uint64_t e = 0; e < size; ++e) bytes += words(e, 2);
    return bytes;
  }
};

/// Values in memory, and the array "w" of them.
struct OpenedArray {
  std::shared_ptr<TestValues> values = std::make_shared<TestValues>();
  std::shared_ptr<const ckptree::zarr::ChunkCache> cache = std::make_shared<ckptree::zarr::ChunkCache>();
  bool missing_is_damage = false;

  ckptree::Recipe npy(const std::string& metadata) const {
    const bool zarr3 = metadata.find("\"zarr_format\": 3") != metadata.npos;
    const auto array = std::make_shared<ckptree::zarr::ZarrArray>(ckptree::zarr::parse_zarr(metadata, zarr3, "w"));
    return ckptree::zarr::npy_of(values, "w", array, cache, missing_is_damage, "w@1");
  }
  std::string data(const std::string& metadata) const {
    const ckptree::Recipe file = npy(metadata);
    const std::uint64_t header = ckptree::npy::parse_header(file, "w.npy").data_offset;
    return file.text(3 << 20, "w").substr(static_cast<std::size_t>(header));
  }
  ckptree::Errc code(const std::string& metadata, const std::string& text) const {
    try {
      data(metadata);
    } catch (const ckptree::Error& e) {
      CHECK_THAT(std::string(e.what()), says(text));
      return e.code();
    }
    FAIL("accepted, expected: " << text);
    return ckptree::Errc::io;
  }
};

inline std::string codecs(const std::string& more) { return "[" + (kBytes + more) + "]"; }

inline const std::string kPlain = v3("[4]", "[4]", "int16", codecs(std::string(", ") + kZstd));

}  // namespace ckptree_test
