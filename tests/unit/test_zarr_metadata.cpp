#include "catch.hpp"
#include "ckptree/error.hpp"
#include "zarr_store.hpp"

using namespace ckptree;
using namespace ckptree_test;
using zarr::ZarrArray;

namespace {

using Shape = std::vector<std::uint64_t>;

ZarrArray read(const std::string& text) {
  const bool zarr3 = text.find("\"zarr_format\": 3") != text.npos;
  return zarr::parse_zarr(text, zarr3, zarr3 ? "w/zarr.json" : "w/.zarray");
}

std::string v3_codecs(const std::string& codecs) { return v3("[8]", "[8]", "int32", codecs); }
std::string bytes_then(const std::string& codec) { return "[" + (kBytes + (", " + codec)) + "]"; }

void refuses(const std::string& text, const std::string& sentence, Errc code = Errc::corrupt) {
  try {
    read(text);
    FAIL_CHECK("accepted, expected: " << sentence);
  } catch (const Error& e) {
    CHECK_THAT(std::string(e.what()), says(sentence));
    CHECK(e.code() == code);
  }
}

void shows_only(const std::string& text, const std::string& reason) {
  const ZarrArray array = read(text);
  CHECK(array.unsupported == reason);
  CHECK_FALSE(zarr::npy_descr(array).has_value());
  CHECK_THROWS_WITH(zarr::npy_of(std::make_shared<TestValues>(), "w", std::make_shared<ZarrArray>(array),
                                 std::make_shared<zarr::ChunkCache>(), false, "t"),
                    says("w: " + reason + " is not supported"));
}

}  // namespace

TEST_CASE("the key of an array's metadata is below its name", "[zarr]") {
  CHECK(zarr::metadata_key("a.b", true) == "a.b/zarr.json");
  CHECK(zarr::metadata_key("a.b", false) == "a.b/.zarray");
  CHECK(zarr::metadata_key("", true) == "zarr.json");
  CHECK(zarr::metadata_key("trail/", true) == "trail/zarr.json");
}

TEST_CASE("what orbax writes as .zarray is read", "[zarr]") {
  const ZarrArray array =
      read(R"({"chunks":[8,2],"compressor":{"id":"zstd","level":1},"dimension_separator":".","dtype":"<i4",)"
           R"("fill_value":null,"filters":null,"order":"C","shape":[16,4],"zarr_format": 2})");
  CHECK_FALSE(array.zarr3);
  CHECK(array.shape == Shape{16, 4});
  CHECK(array.chunk_shape == Shape{8, 2});
  CHECK(array.dtype == "int32");
  CHECK(array.item_size == 4);
  CHECK(array.codecs.packings == std::vector<zarr::Packing>{zarr::Packing::zstd});
  CHECK(array.fill == std::string(4, '\0'));
  CHECK(zarr::npy_descr(array) == "<i4");
}

TEST_CASE("what orbax writes as zarr.json is read, with the chunks in its shards", "[zarr]") {
  const ZarrArray array =
      read(v3("[8, 6]", "[8, 6]", "bfloat16", sharded("[4, 6]", bytes_then(kZstd)), "\"fill_value\": 0.0"));
  CHECK(array.zarr3);
  CHECK(array.chunk_shape == Shape{4, 6});
  REQUIRE(array.shards.has_value());
  CHECK(array.shards->shape == Shape{8, 6});
  CHECK(array.shards->index_crc);
  CHECK_FALSE(array.shards->index_at_start);
  CHECK(array.dtype == "bfloat16");
  CHECK(zarr::npy_descr(array) == "|V2");
}

TEST_CASE("every type that orbax writes has a spelling in .npy files", "[zarr]") {
  struct Row {
    const char *v2, *v3, *descr;
    std::uint64_t size;
  };
  const Row rows[] = {{"|b1", "bool", "|b1", 1},
                      {"|i1", "int8", "|i1", 1},
                      {"<i2", "int16", "<i2", 2},
                      {"<i8", "int64", "<i8", 8},
                      {"|u1", "uint8", "|u1", 1},
                      {"<u4", "uint32", "<u4", 4},
                      {"<f2", "float16", "<f2", 2},
                      {"<f8", "float64", "<f8", 8},
                      {"<c8", "complex64", "<c8", 8},
                      {"<c16", "complex128", "<c16", 16},
                      {"bfloat16", "bfloat16", "|V2", 2},
                      {"int4", "int4", "|V1", 1},
                      {"int2", "int2", "|V1", 1},
                      {"float8_e4m3fn", "float8_e4m3fn", "|V1", 1},
                      {"float8_e8m0fnu", "float8_e8m0fnu", "|V1", 1}};
  for (const Row& row : rows) {
    INFO(row.v3);
    const std::string fill = std::string(row.v3).find("complex") == 0 ? "\"fill_value\": [0.0, 0.0]" : "\"a\": 1";
    for (const ZarrArray& array :
         {read(v2("[3]", "[2]", row.v2)), read(v3("[3]", "[2]", row.v3, std::string("[") + kBytes + "]", fill))}) {
      CHECK(array.dtype == row.v3);
      CHECK(array.item_size == row.size);
      CHECK(zarr::npy_descr(array) == row.descr);
      CHECK(array.fill == std::string(row.size, '\0'));
    }
  }
}

TEST_CASE("a fill value is one element, whatever its type", "[zarr]") {
  const auto fill = [](const std::string& type, const std::string& value) {
    return read(v3("[3]", "[2]", type, std::string("[") + kBytes + "]", "\"fill_value\": " + value)).fill;
  };
  CHECK(fill("bool", "true") == std::string(1, '\1'));
  CHECK(fill("int8", "-3") == "\xfd");
  CHECK(fill("uint64", "18446744073709551615") == std::string(8, '\xff'));
  CHECK(fill("int64", "-9223372036854775808") == std::string(7, '\0') + "\x80");
  CHECK(fill("float32", "1.5") == std::string("\0\0\xc0\x3f", 4));
  CHECK(fill("float32", "\"NaN\"") == std::string("\0\0\xc0\x7f", 4));
  CHECK(fill("float64", "\"-Infinity\"") == std::string("\0\0\0\0\0\0\xf0\xff", 8));
  CHECK(fill("float16", "-1.5") == std::string("\0\xbe", 2));
  CHECK(fill("bfloat16", "3.14159") == std::string("\x49\x40", 2));
  CHECK(fill("bfloat16", "\"0x7fc1\"") == std::string("\xc1\x7f", 2));
  CHECK(fill("complex64", "[1.5, 0]") == std::string("\0\0\xc0\x3f\0\0\0\0", 8));
  CHECK(fill("float8_e4m3fn", "\"0x38\"") == "\x38");
  // No number that its type has.
  CHECK_FALSE(fill("int8", "128").has_value());
  CHECK_FALSE(fill("uint8", "-1").has_value());
  CHECK_FALSE(fill("int32", "1.5").has_value());
  CHECK_FALSE(fill("float32", "\"zero\"").has_value());
  CHECK_FALSE(fill("float8_e4m3fn", "1.5").has_value());
  CHECK_FALSE(fill("complex64", "[1.5]").has_value());
  CHECK_FALSE(fill("bool", "1").has_value());
}

TEST_CASE("what cannot be decoded is shown without its data", "[zarr]") {
  shows_only(v3_codecs(bytes_then(R"({"name": "lz4", "configuration": {}})")), "codec 'lz4'");
  shows_only(v3_codecs(std::string("[") + kZstd + "]"), "codec 'zstd'");
  shows_only(v3_codecs("[]"), "no codec 'bytes'");
  shows_only(v3_codecs(sharded("[4]", sharded("[2]", bytes_then(kZstd)))), "codec 'sharding_indexed'");
  shows_only(v3("[8]", "[8]", "float128", bytes_then(kZstd)), "type 'float128'");
  shows_only(v3("[8]", "[8]", "int8", bytes_then(kZstd), R"("storage_transformers": [{"name": "x"}])"),
             "storage_transformers");
  shows_only(v2("[8]", "[8]", "<i4", R"("compressor": {"id": "bz2"})"), "compressor 'bz2'");
  shows_only(v2("[8]", "[8]", "|S5"), "type '|S5'");
  shows_only(v2("[8]", "[8]", "|i4"), "type '|i4'");
  shows_only(v2("[8]", "[8]", "float32"), "type 'float32' in zarr 2");
}

TEST_CASE("metadata that is damaged is refused with the place", "[zarr]") {
  const std::string bytes = std::string("[") + kBytes + "]";
  refuses("", "w/.zarray:1:1: expected");
  refuses("[1]", "w/.zarray: expected an object, got [1]");
  refuses("{}", "w/.zarray: has no 'zarr_format'");
  refuses(R"({"zarr_format": 1})", "'zarr_format': expected 2, got 1");
  refuses(R"({"zarr_format": 3, "node_type": "group"})", "w/zarr.json: expected an array, got node_type 'group'",
          Errc::unsupported);
  refuses(v2("[8]", "[0]", "<i4"), "a chunk of 0 cannot divide 8");
  refuses(v2("[8, 2]", "[8]", "<i4"), "a chunk of 8 cannot divide 8x2");
  refuses(v2("8", "[8]", "<i4"), "'shape': expected an array, got 8");
  refuses(v2("[-1]", "[8]", "<i4"), "'shape': expected whole numbers below 2^62, got -1");
  refuses(v2("[9223372036854775807]", "[8]", "<i4"), "whole numbers below 2^62");
  refuses(v2("[1099511627776, 0, 1099511627776]", "[8, 8, 8]", "<i4"), "needs more bytes than 63 bits can count");
  refuses(v2("[8]", "[4611686018427387903]", "<i4"), "a chunk of 4611686018427387903 needs more bytes");
  refuses(v2("[8]", "[8]", "<i4", "\"order\": \"A\""), "'order': expected \"C\" or \"F\", got \"A\"");
  refuses(v2("[8]", "[8]", "<i4", "\"dimension_separator\": \"x\""), "'dimension_separator': expected");
  std::string deep = "[1";
  for (int i = 0; i < 32; ++i) deep += ",1";
  refuses(v2(deep + "]", "[8]", "<i4"), "'shape': expected at most 32 dimensions, got 33");
  refuses(v3("[8]", "[8]", "int32", sharded("[3]", bytes)), "a chunk of 3 cannot divide a shard of 8");
  refuses(v3("[8]", "[8]", "int32", sharded("[0]", bytes)), "a chunk of 0 cannot divide 8");
  refuses(v3("[8]", "[8]", "int32", sharded("[4]", bytes, "middle")), "'index_location': expected 'start' or 'end'");
  refuses(v3_codecs(R"([{"name": "transpose", "configuration": {"order": [1]}}, {"name": "bytes"}])"),
          "'order': expected a permutation of 1 dimensions, got [1]");
  refuses(v3_codecs(R"([{"name": "bytes", "configuration": {"endian": "middle"}}])"), "'endian': expected 'little'");
  refuses(v3_codecs(R"(["sharding_indexed"])"), "sharding_indexed without a configuration");
  refuses(v3_codecs(R"([7])"), "w/zarr.json: codecs: expected an object, got 7");
  refuses(std::string(1 << 20, ' ') + "{}", "at most 1048576 are expected");
}
