#include <set>

#include "ckptree/error.hpp"
#include "codec/zarr/metadata.hpp"

namespace ckptree::zarr {
namespace {

// Each is a stream on the one before, with a window and tables of its own; writers need two.
constexpr std::size_t kMaxPackings = 4;

/// A codec: its name, and what configures it (no object: nothing does).
struct Codec {
  std::string name;
  std::string place;
  std::optional<Fields> configuration;
};

Codec codec_of(const Value& value, const std::string& place) {
  if (value.type() == json::Type::string) return {json::unescape(value.literal()), place, std::nullopt};
  const Fields fields(value, place);
  Codec codec{fields.string("name"), place, std::nullopt};
  if (fields.find("configuration")) codec.configuration = fields.object("configuration");
  return codec;
}

std::vector<Codec> codecs_of(const Fields& fields) {
  std::vector<Codec> codecs;
  for (const Value& value : fields.array("codecs")) codecs.push_back(codec_of(value, fields.place() + ": codecs"));
  return codecs;
}

/// Whether `bytes` is configured big-endian. Types of one byte need no configuration.
bool is_big_endian(const Codec& codec) {
  if (!codec.configuration || !codec.configuration->find("endian")) return false;
  const std::string endian = codec.configuration->string("endian");
  if (endian != "little" && endian != "big") codec.configuration->fail("endian", "'little' or 'big'", endian);
  return endian == "big";
}

void read_transpose(ZarrArray& array, const Codec& codec) {
  if (!codec.configuration) throw Error(Errc::corrupt, codec.place + ": transpose without a configuration");
  const auto order = codec.configuration->extents("order");
  const std::set<std::uint64_t> distinct(order.begin(), order.end());
  const std::size_t rank = array.shape.size();
  if (order.size() != rank || distinct.size() != rank || (rank > 0 && *distinct.rbegin() >= rank))
    codec.configuration->fail("order", "a permutation of " + std::to_string(rank) + " dimensions",
                              codec.configuration->at("order").literal());
  if (!array.codecs.order.empty()) return refuse(array, "several transpose codecs");
  array.codecs.order.assign(order.begin(), order.end());
}

/// The codecs of a chunk: transpose, then bytes, then what packs them.
void read_chunk_codecs(ZarrArray& array, const std::vector<Codec>& codecs) {
  bool is_bytes = false;
  for (const Codec& codec : codecs) {
    if (codec.name == "transpose" && !is_bytes) {
      read_transpose(array, codec);
    } else if (codec.name == "bytes" && !is_bytes) {
      is_bytes = true;
      array.codecs.big_endian = is_big_endian(codec);
    } else if (codec.name == "zstd" && is_bytes) {
      array.codecs.packings.push_back(Packing::zstd);
    } else if (codec.name == "gzip" && is_bytes) {
      array.codecs.packings.push_back(Packing::gzip);
    } else if (codec.name == "blosc" && is_bytes) {
      array.codecs.packings.push_back(Packing::blosc);
    } else if (codec.name == "crc32c" && is_bytes) {
      array.codecs.packings.push_back(Packing::crc32c);
    } else {
      refuse(array, "codec '" + codec.name + "'");
    }
  }
  if (!is_bytes) refuse(array, "no codec 'bytes'");
  if (array.codecs.packings.size() > kMaxPackings)
    refuse(array, "packing " + std::to_string(array.codecs.packings.size()) + " times");
}

/// The codecs of a shard's index: bytes, perhaps with a CRC. Anything else would leave its size unknown.
void read_index_codecs(ZarrArray& array, const Fields& sharding) {
  if (!sharding.find("index_codecs")) {  // TensorStore's default
    array.shards->index_crc = true;
    return;
  }
  bool is_bytes = false;
  for (const Value& value : sharding.array("index_codecs")) {
    const Codec codec = codec_of(value, sharding.place() + ": index_codecs");
    if (codec.name == "bytes" && !is_bytes && !is_big_endian(codec)) is_bytes = true;
    else if (codec.name == "crc32c" && is_bytes && !array.shards->index_crc) array.shards->index_crc = true;
    else refuse(array, "codec '" + codec.name + "' of a shard's index");
  }
  if (!is_bytes) refuse(array, "a shard's index without codec 'bytes'");
}

void read_sharding(ZarrArray& array, const Codec& codec) {
  if (!codec.configuration) throw Error(Errc::corrupt, codec.place + ": sharding_indexed without a configuration");
  const Fields& sharding = *codec.configuration;
  array.shards = Shards{std::move(array.chunk_shape), false, false};
  array.chunk_shape = sharding.extents("chunk_shape");
  read_chunk_codecs(array, codecs_of(sharding));
  read_index_codecs(array, sharding);
  if (sharding.find("index_location")) {
    const std::string location = sharding.string("index_location");
    if (location != "start" && location != "end") sharding.fail("index_location", "'start' or 'end'", location);
    array.shards->index_at_start = location == "start";
  }
}

void read_keys(ZarrArray& array, const Fields& fields) {
  const Codec encoding = codec_of(fields.at("chunk_key_encoding"), fields.place() + ": chunk_key_encoding");
  if (encoding.name != "default" && encoding.name != "v2")
    return refuse(array, "chunk_key_encoding '" + encoding.name + "'");
  array.v2_keys = encoding.name == "v2";
  array.separator = array.v2_keys ? '.' : '/';
  if (!encoding.configuration || !encoding.configuration->find("separator")) return;
  const std::string separator = encoding.configuration->string("separator");
  if (separator != "." && separator != "/") encoding.configuration->fail("separator", "'.' or '/'", separator);
  array.separator = separator[0];
}

}  // namespace

ZarrArray parse_v3(const Fields& fields) {
  const std::string node = fields.string("node_type");
  if (node != "array")
    throw Error(Errc::unsupported, fields.place() + ": expected an array, got node_type '" + node + "'");
  ZarrArray array;
  array.shape = fields.extents("shape");
  const Value type = fields.at("data_type");
  array.dtype = type.type() == json::Type::string ? json::unescape(type.literal()) : std::string(type.literal());
  set_type(array, fields.find("fill_value"));
  const Codec grid = codec_of(fields.at("chunk_grid"), fields.place() + ": chunk_grid");
  if (grid.name != "regular" || !grid.configuration)
    throw Error(Errc::unsupported, grid.place + ": expected 'regular', got '" + grid.name + "'");
  array.chunk_shape = grid.configuration->extents("chunk_shape");
  read_keys(array, fields);
  const std::vector<Codec> codecs = codecs_of(fields);
  if (!codecs.empty() && codecs.front().name == "sharding_indexed") {
    read_sharding(array, codecs.front());
    if (codecs.size() > 1) refuse(array, "codec '" + codecs[1].name + "' around shards");
  } else {
    read_chunk_codecs(array, codecs);
  }
  if (const auto transformers = fields.find("storage_transformers"))
    if (!items(*transformers).empty()) refuse(array, "storage_transformers");
  return array;
}

}  // namespace ckptree::zarr
