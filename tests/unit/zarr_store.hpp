#pragma once

#include <zlib.h>
#include <zstd.h>

#include <map>
#include <mutex>
#include <string>

#include "codec/zarr/array.hpp"
#include "codec/zarr/crc32c.hpp"

/// Chunks of zarr in memory, and what packs them.
namespace ckptree_test {

struct TestValues final : ckptree::zarr::KeyValues {
  std::optional<ckptree::Recipe> find(const std::string& key) const override {
    const std::lock_guard<std::mutex> guard(mutex);
    ++asked[key];
    const auto found = values.find(key);
    if (found == values.end()) return std::nullopt;
    return ckptree::Recipe::literal(found->second);
  }
  std::map<std::string, std::string> values;
  mutable std::mutex mutex;  // guards asked
  mutable std::map<std::string, int> asked;
};

inline std::string zstd(const std::string& bytes) {
  std::string packed(ZSTD_compressBound(bytes.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 1));
  return packed;
}

inline std::string gzip(const std::string& bytes) {
  std::string packed(compressBound(bytes.size()) + 64, '\0');
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(packed.data());
  z.avail_out = static_cast<uInt>(packed.size());
  deflate(&z, Z_FINISH);
  packed.resize(z.total_out);
  deflateEnd(&z);
  return packed;
}

inline std::string words(std::uint64_t n, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(n >> 8 * i & 0xFF);
  return text;
}

inline std::string with_crc(const std::string& bytes) { return bytes + words(ckptree::zarr::crc32c(bytes), 4); }

/// Text of zarr.json.
inline std::string v3(const std::string& shape, const std::string& chunk, const std::string& type,
                      const std::string& codecs, const std::string& more = "\"fill_value\": 0") {
  return R"({"zarr_format": 3, "node_type": "array", "shape": )" + shape + R"(, "data_type": ")" + type +
         R"(", "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": )" + chunk +
         R"(}}, "chunk_key_encoding": {"name": "default"}, "codecs": )" + codecs + ", " + more + "}";
}

/// Text of .zarray.
inline std::string v2(const std::string& shape, const std::string& chunk, const std::string& type,
                      const std::string& more = R"("compressor": null, "order": "C", "fill_value": null)") {
  return R"({"zarr_format": 2, "shape": )" + shape + R"(, "chunks": )" + chunk + R"(, "dtype": ")" + type +
         R"(", "filters": null, )" + more + "}";
}

constexpr const char* kBytes = R"({"name": "bytes", "configuration": {"endian": "little"}})";
constexpr const char* kZstd = R"({"name": "zstd", "configuration": {"level": 3, "checksum": false}})";

inline std::string sharded(const std::string& inner, const std::string& codecs, const std::string& location = "end") {
  return R"([{"name": "sharding_indexed", "configuration": {"chunk_shape": )" + inner + R"(, "codecs": )" + codecs +
         R"(, "index_codecs": [)" + kBytes + R"(, {"name": "crc32c"}], "index_location": ")" + location + "\"}}]";
}

}  // namespace ckptree_test
