#include <blosc.h>

#include "zarr_array.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

std::string packed(const std::string& bytes, const char* compressor, int shuffle, std::size_t item) {
  std::string out(bytes.size() + BLOSC_MAX_OVERHEAD, '\0');
  const int n =
      blosc_compress_ctx(5, shuffle, item, bytes.size(), bytes.data(), out.data(), out.size(), compressor, 0, 1);
  REQUIRE(n > 0);
  out.resize(static_cast<std::size_t>(n));
  return out;
}

const char* const kBlosc2 = R"("compressor": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}, "order": "C",
                               "fill_value": null)";

}  // namespace

TEST_CASE("what Blosc packed is unpacked, whatever it packed it with", "[zarr]") {
  const StoredArray stored{{40, 50}, {40, 50}, {}};
  const char* compressor = GENERATE("blosclz", "lz4", "lz4hc", "zlib", "zstd");
  const int shuffle = GENERATE(BLOSC_NOSHUFFLE, BLOSC_SHUFFLE, BLOSC_BITSHUFFLE);
  CAPTURE(compressor, shuffle);
  OpenedArray two;
  two.values->values["w/0.0"] = packed(stored.all(), compressor, shuffle, 2);
  CHECK(two.data(v2("[40, 50]", "[40, 50]", "<i2", kBlosc2)) == stored.all());
  OpenedArray three;
  three.values->values["w/c/0/0"] = packed(stored.all(), compressor, shuffle, 2);
  const std::string blosc = R"(, {"name": "blosc", "configuration": {"cname": "lz4"}})";
  CHECK(three.data(v3("[40, 50]", "[40, 50]", "int16", codecs(blosc))) == stored.all());
}

TEST_CASE("what is not what Blosc packed is refused", "[zarr]") {
  const std::string all = StoredArray{{40, 50}, {40, 50}, {}}.all(), good = packed(all, "lz4", BLOSC_SHUFFLE, 2);
  const std::string metadata = v2("[40, 50]", "[40, 50]", "<i2", kBlosc2);
  const auto refused = [&](const std::string& chunk, const std::string& why) {
    OpenedArray w;
    w.values->values["w/0.0"] = chunk;
    CHECK(w.code(metadata, "w/0.0: " + why) == Errc::corrupt);
  };
  refused("", "blosc: is damaged");
  refused(good.substr(0, 10), "blosc: is damaged");
  refused(good.substr(0, good.size() - 1), "blosc: is damaged");
  refused(good + "x", "blosc: is damaged");
  refused(packed(all.substr(2), "lz4", BLOSC_SHUFFLE, 2), "has 3998 bytes, expected 4000");
  refused(packed(all + "xx", "lz4", BLOSC_SHUFFLE, 2), "has more than the 4000 bytes expected");
  for (std::size_t i = 16; i < good.size(); i += 7) {  // no damage of it goes past its end; the rest is not told
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x55);
    OpenedArray w;
    w.values->values["w/0.0"] = bad;
    try {
      w.data(metadata);
    } catch (const Error& e) {
      CHECK(e.code() == Errc::corrupt);
    }
  }
}
