#include "codec/zarr/metadata.hpp"

#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/zarr/dtype.hpp"

namespace ckptree::zarr {
namespace {

// TensorStore's own documents have some hundred bytes.
constexpr std::size_t kMaxText = 1 << 20;

std::string spelled(const std::vector<std::uint64_t>& shape) {
  std::string text;
  for (const std::uint64_t extent : shape) text += (text.empty() ? "" : "x") + std::to_string(extent);
  return text.empty() ? "scalar" : text;
}

/// Bytes of this many elements, below 2^63.
void check_size(const std::vector<std::uint64_t>& shape, std::uint64_t item, const char* what,
                const std::string& place) {
  constexpr std::uint64_t kMax = INT64_MAX;
  std::uint64_t size = std::max<std::uint64_t>(item, 1);
  for (const std::uint64_t extent : shape) {
    if (extent > kMax / size)
      throw Error(Errc::corrupt,
                  place + ": " + what + " of " + spelled(shape) + " needs more bytes than 63 bits can count");
    if (extent > 0) size *= extent;  // an extent of 0 does not hide an overflow
  }
}

}  // namespace

std::string metadata_key(const std::string& name, bool zarr3) {
  const std::string front = name.empty() || name.back() == '/' ? name : name + "/";
  return front + (zarr3 ? "zarr.json" : ".zarray");
}

ZarrArray parse_zarr(Bytes text, bool zarr3, const std::string& place) {
  if (text.size() > kMaxText)
    throw Error(Errc::corrupt, place + ": has " + std::to_string(text.size()) + " bytes, at most " +
                                   std::to_string(kMaxText) + " are expected");
  const Fields fields = Fields::document(text, place);
  const Value format = fields.at("zarr_format");
  if (format.literal() != (zarr3 ? "3" : "2")) fields.fail("zarr_format", zarr3 ? "3" : "2", format.literal());
  ZarrArray array = zarr3 ? parse_v3(fields) : parse_v2(fields);
  array.zarr3 = zarr3;
  check_shapes(array, place);
  return array;
}

void set_type(ZarrArray& array, const std::optional<Value>& fill) {
  const Dtype* dtype = dtype_named(array.dtype);
  if (!dtype) return refuse(array, "type '" + array.dtype + "'");
  array.item_size = dtype->size;
  array.fill = fill_of(*dtype, fill);
}

void check_shapes(const ZarrArray& array, const std::string& place) {
  const auto check_chunk = [&](const std::vector<std::uint64_t>& chunk, const char* what) {
    if (chunk.size() != array.shape.size() || std::count(chunk.begin(), chunk.end(), 0u) > 0)
      throw Error(Errc::corrupt,
                  place + ": " + what + " of " + spelled(chunk) + " cannot divide " + spelled(array.shape));
    check_size(chunk, array.item_size, what, place);
  };
  check_size(array.shape, array.item_size, "an array", place);
  check_chunk(array.chunk_shape, "a chunk");
  if (!array.shards) return;
  check_chunk(array.shards->shape, "a shard");
  for (std::size_t i = 0; i < array.shape.size(); ++i)
    if (array.shards->shape[i] % array.chunk_shape[i] != 0)
      throw Error(Errc::corrupt, place + ": a chunk of " + spelled(array.chunk_shape) + " cannot divide a shard of " +
                                     spelled(array.shards->shape));
}

std::optional<std::string> npy_descr(const ZarrArray& array) {
  const Dtype* dtype = dtype_named(array.dtype);
  if (!array.unsupported.empty() || !dtype) return std::nullopt;
  return dtype->descr;
}

}  // namespace ckptree::zarr
