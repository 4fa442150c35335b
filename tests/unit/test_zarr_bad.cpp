#include "zarr_array.hpp"

using namespace ckptree;
using namespace ckptree_test;

TEST_CASE("a chunk that is damaged is refused with its key", "[zarr]") {
  const auto refuses = [](const std::string& metadata, const std::string& value, const std::string& text) {
    OpenedArray w;
    w.values->values["w/c/0"] = value;
    CHECK(w.code(metadata, text) == Errc::corrupt);
    CHECK(w.cache->cost() == 0);
  };
  refuses(kPlain, zstd("short"), "w/c/0: has 5 bytes, expected 8");
  refuses(kPlain, zstd("too long by far"), "w/c/0: has more than the 8 bytes expected");
  refuses(kPlain, zstd(std::string(100 << 20, 'b')), "w/c/0: has more than the 8 bytes expected");
  refuses(kPlain, "nonsense", "w/c/0: zstd: ");
  refuses(kPlain, zstd("abcdefgh").substr(0, 12), "w/c/0: ends within its zstd frame");
  refuses(kPlain, "", "w/c/0: ends within its zstd frame");
  refuses(kPlain, zstd("abcdefgh") + "x", "w/c/0: ");
  // A frame that wants a window of 1 GiB.
  refuses(kPlain, std::string("\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00", 9), "w/c/0: zstd: ");
  const std::string packed = v3("[4]", "[4]", "int16", codecs(R"(, {"name": "gzip"})"));
  refuses(packed, gzip("abcdefgh").substr(0, 20), "w/c/0: ends within its gzip stream");
  refuses(packed, "nonsense", "w/c/0: gzip: ");
  const std::string checked = v3("[4]", "[4]", "int16", codecs(R"(, {"name": "crc32c"})"));
  refuses(checked, with_crc("abcdefgh").substr(1) + "x", "w/c/0: its crc32c is");
  refuses(checked, "abc", "crc32c needs 4, 3 left");
  refuses(v3("[4]", "[4]", "int16", codecs("")), "short", "w/c/0: has 5 bytes, expected 8");
}

TEST_CASE("a shard that lies is refused", "[zarr]") {
  const std::string metadata = v3("[4]", "[4]", "int16", sharded("[2]", codecs("")));
  const auto refuses = [&](const std::string& value, const std::string& text) {
    OpenedArray w;
    w.values->values["w/c/0"] = value;
    CHECK(w.code(metadata, text) == Errc::corrupt);
  };
  const std::string good = words(0, 8) + words(4, 8) + words(4, 8) + words(4, 8);
  refuses("abcdefgh" + with_crc(words(0, 8) + words(99, 8) + words(4, 8) + words(4, 8)),
          "w/c/0: chunk 0 has 99 bytes from 0, the shard has 44");
  refuses("abcdefgh" + with_crc(words(0, 8) + words(4, 8) + words(~std::uint64_t{0}, 8) + words(4, 8)),
          "w/c/0: chunk 1 has 4 bytes from 18446744073709551615");
  refuses("abcdefgh" + good + "crc?", "w/c/0: the index of its chunks has another crc32c than it says");
  refuses("abcdefgh", "w/c/0: an index of 2 chunks does not fit into its 8 bytes");
  OpenedArray huge;
  huge.values->values["w/c/0"] = "abcdefgh";
  CHECK(huge.code(v3("[4]", "[1152921504606846976]", "int8", sharded("[1]", codecs(""))),
                  "an index of 1152921504606846976 chunks does not fit") == Errc::corrupt);
  OpenedArray wide;
  wide.values->values["w/c/0"] = zstd("abcdefgh");
  CHECK(wide.code(v3("[4]", "[1152921504606846976]", "int16", codecs(std::string(", ") + kZstd)),
                  "w/c/0: has 8 bytes, expected 2305843009213693952") == Errc::corrupt);
}

TEST_CASE("arrays of one tag do not read each other's chunks past their end", "[zarr]") {
  OpenedArray w;
  w.values->values["w/c/0"] = zstd("abcdefgh");
  CHECK(w.data(kPlain) == "abcdefgh");
  w.values->values["w/c/0"] = zstd(std::string(2000, 'x'));
  CHECK(w.data(v3("[1000]", "[1000]", "int16", codecs(std::string(", ") + kZstd))) == std::string(2000, 'x'));
}

TEST_CASE("a chunk packed over and over is not unpacked", "[zarr]") {
  std::string many;
  for (int i = 0; i < 50'000; ++i) many += R"(, {"name": "gzip"})";
  OpenedArray w;
  w.values->values["w/c/0"] = gzip("abcdefgh");
  CHECK(w.code(v3("[4]", "[4]", "int16", codecs(many)), "packing 50000 times is not supported") == Errc::unsupported);
  std::string packed = "abcdefgh", four;
  for (int i = 0; i < 4; ++i) {
    packed = gzip(packed);
    four += R"(, {"name": "gzip"})";
  }
  w.values->values["w/c/0"] = packed;
  CHECK(w.data(v3("[4]", "[4]", "int16", codecs(four))) == "abcdefgh");
}
