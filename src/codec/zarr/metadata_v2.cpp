#include <numeric>

#include "codec/zarr/dtype.hpp"
#include "codec/zarr/metadata.hpp"

namespace ckptree::zarr {
namespace {

void read_compressor(ZarrArray& array, const Fields& fields) {
  const auto compressor = fields.find("compressor");
  if (!compressor || compressor->type() == json::Type::null) return;
  const std::string id = Fields(*compressor, fields.place() + ": compressor").string("id");
  if (id == "zstd") array.codecs.packings.push_back(Packing::zstd);
  else if (id == "gzip" || id == "zlib") array.codecs.packings.push_back(Packing::gzip);
  else if (id == "blosc") array.codecs.packings.push_back(Packing::blosc);
  else refuse(array, "compressor '" + id + "'");
}

void read_dtype(ZarrArray& array, const Fields& fields) {
  const Value spelling = fields.at("dtype");
  if (spelling.type() != json::Type::string) {  // a structured one
    array.dtype = spelling.literal();
  } else {
    array.dtype = json::unescape(spelling.literal());
    const V2Dtype known = dtype_of_v2(array.dtype);
    if (known.dtype) {
      array.dtype = known.dtype->name;
      array.codecs.big_endian = known.big_endian;
    } else if (dtype_named(array.dtype)) {
      return refuse(array, "type '" + array.dtype + "' in zarr 2");
    }
  }
  set_type(array, fields.find("fill_value"));
}

}  // namespace

ZarrArray parse_v2(const Fields& fields) {
  ZarrArray array;
  array.shape = fields.extents("shape");
  array.chunk_shape = fields.extents("chunks");
  read_dtype(array, fields);
  read_compressor(array, fields);
  if (const auto filters = fields.find("filters"))
    if (filters->type() != json::Type::null && !items(*filters).empty()) refuse(array, "filters");
  if (const auto order = fields.find("order")) {
    if (order->literal() == "\"F\"") {
      array.codecs.order.resize(array.shape.size());
      std::iota(array.codecs.order.rbegin(), array.codecs.order.rend(), std::size_t{0});
    } else if (order->literal() != "\"C\"") {
      fields.fail("order", "\"C\" or \"F\"", order->literal());
    }
  }
  array.v2_keys = true;
  array.separator = '.';
  if (const auto separator = fields.find("dimension_separator")) {
    if (separator->literal() == "\"/\"") array.separator = '/';
    else if (separator->literal() != "\".\"")
      fields.fail("dimension_separator", "\".\" or \"/\"", separator->literal());
  }
  return array;
}

}  // namespace ckptree::zarr
