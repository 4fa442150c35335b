#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "ocdbt_database.hpp"
#include "zarr_array.hpp"

using namespace ckptree;
using namespace ckptree_test;

TEST_CASE("an array of one chunk is a .npy file", "[zarr]") {
  OpenedArray w;
  w.values->values["w/c/0/0"] = zstd("abcdefgh");
  const Recipe file = w.npy(v3("[2, 2]", "[2, 2]", "int16", codecs(std::string(", ") + kZstd)));
  const npy::Header header = npy::parse_header(file, "w.npy");
  CHECK(header.descr == "<i2");
  CHECK(header.shape == Shape{2, 2});
  CHECK_FALSE(header.fortran_order);
  CHECK(file.size() == header.data_offset + 8);
  CHECK(file.text(1 << 20, "w").substr(header.data_offset) == "abcdefgh");
  CHECK(file.tag == "w@1");
}

TEST_CASE("chunks at the edges are cut, in every order of reading", "[zarr]") {
  const StoredArray stored{{7, 5, 6}, {3, 2, 4}, {}};
  OpenedArray w;
  for (std::uint64_t a = 0; a < 3; ++a)
    for (std::uint64_t b = 0; b < 3; ++b)
      for (std::uint64_t c = 0; c < 2; ++c)
        w.values->values["w/" + std::to_string(a) + "." + std::to_string(b) + "." + std::to_string(c)] =
            stored.chunk_at({a, b, c});
  const Recipe file = w.npy(v2("[7, 5, 6]", "[3, 2, 4]", "<i2"));
  const std::string whole = npy::make_header("<i2", Shape{7, 5, 6}) + stored.all();
  REQUIRE(file.size() == whole.size());
  CHECK(file.text(1 << 20, "w") == whole);
  std::mt19937 random(7);
  for (int i = 0; i < 500; ++i) {
    const std::size_t at = random() % whole.size(), size = random() % 90;
    std::string part(size, '\0');
    part.resize(file.read(at, Buffer(part.data(), part.size())));
    REQUIRE(part == whole.substr(at, size));
  }
}

TEST_CASE("dimensions stored in another order come back in C order", "[zarr]") {
  StoredArray stored{{5, 4, 3}, {5, 2, 3}, {2, 1, 0}};
  OpenedArray w;
  for (std::uint64_t b = 0; b < 2; ++b)
    w.values->values["w/0." + std::to_string(b) + ".0"] = stored.chunk_at({0, b, 0});
  CHECK(w.data(v2("[5, 4, 3]", "[5, 2, 3]", "<i2", "\"order\": \"F\"")) == stored.all());

  stored.order = {1, 2, 0};
  OpenedArray t;
  for (std::uint64_t b = 0; b < 2; ++b)
    t.values->values["w/c/0/" + std::to_string(b) + "/0"] = zstd(stored.chunk_at({0, b, 0}));
  CHECK(t.data(v3("[5, 4, 3]", "[5, 2, 3]", "int16",
                  std::string(R"([{"name": "transpose", "configuration": {"order": [1, 2, 0]}}, )") + kBytes + ", " +
                      kZstd + "]")) == stored.all());
}

TEST_CASE("every packing is undone, and big-endian elements are turned", "[zarr]") {
  const StoredArray stored{{6, 5}, {6, 5}, {}};
  const std::string bytes = stored.chunk_at({0, 0});
  const auto comes_back = [&](const std::string& value, const std::string& list) {
    OpenedArray w;
    w.values->values["w/c/0/0"] = value;
    CHECK(w.data(v3("[6, 5]", "[6, 5]", "int16", list)) == stored.all());
  };
  const std::string crc = R"(, {"name": "crc32c"})", pack = std::string(", ") + kZstd;
  comes_back(bytes, codecs(""));
  comes_back(bytes, R"(["bytes"])");
  comes_back(zstd(bytes), codecs(pack));
  comes_back(zstd(bytes.substr(0, 9)) + zstd(bytes.substr(9)), codecs(pack));
  comes_back(gzip(bytes), codecs(R"(, {"name": "gzip", "configuration": {"level": 6}})"));
  comes_back(gzip(bytes.substr(0, 9)) + gzip(bytes.substr(9)), codecs(R"(, {"name": "gzip"})"));
  comes_back(with_crc(bytes), codecs(crc));
  comes_back(with_crc(zstd(bytes)), codecs(pack + crc));
  comes_back(zstd(with_crc(bytes)), codecs(crc + pack));
  comes_back(stored.chunk_at({0, 0}, true), R"([{"name": "bytes", "configuration": {"endian": "big"}}])");
}

TEST_CASE("the chunks in a shard are found by its index", "[zarr]") {
  const StoredArray stored{{5, 4}, {2, 2}, {}};
  const std::string location = GENERATE("end", "start");
  const std::size_t front = location == "start" ? 4 * 16 + 4 : 0;
  OpenedArray w;
  for (std::uint64_t shard = 0; shard < 2; ++shard) {
    std::string chunks, index;
    for (std::uint64_t i = 0; i < 4; ++i) {
      if (shard == 1 && i > 1) {  // outside the array
        index += words(~std::uint64_t{0}, 8) + words(~std::uint64_t{0}, 8);
        continue;
      }
      const std::string packed = zstd(stored.chunk_at({2 * shard + i / 2, i % 2}));
      index += words(front + chunks.size(), 8) + words(packed.size(), 8);
      chunks += packed;
    }
    w.values->values["w/c/" + std::to_string(shard) + "/0"] =
        front ? with_crc(index) + chunks : chunks + with_crc(index);
  }
  const std::string metadata =
      v3("[5, 4]", "[4, 4]", "int16", sharded("[2, 2]", codecs(std::string(", ") + kZstd), location));
  w.missing_is_damage = true;
  CHECK(w.data(metadata) == stored.all());
}

TEST_CASE("a chunk that is not there is the fill value, or damage", "[zarr]") {
  const std::string metadata = v3("[3]", "[2]", "int16", codecs(""), "\"fill_value\": 258");
  OpenedArray w;
  w.values->values["w/c/0"] = "abcd";
  CHECK(w.data(metadata) == "abcd\x02\x01");
  w.missing_is_damage = true;
  w.cache = std::make_shared<zarr::ChunkCache>();
  CHECK(w.code(metadata, "w/c/1: this chunk is missing") == Errc::corrupt);

  const std::string odd = v3("[3]", "[2]", "float8_e4m3fn", codecs(""), "\"fill_value\": 1.5");
  CHECK(OpenedArray().code(odd, "fill value") == Errc::unsupported);
}

TEST_CASE("scalars and empty arrays have no dimensions to go over", "[zarr]") {
  OpenedArray w;
  w.values->values["w/c"] = "abcd";
  w.values->values["w/0"] = "efgh";
  CHECK(w.data(v3("[]", "[]", "int32", codecs(""))) == "abcd");
  CHECK(w.data(v2("[]", "[]", "<i4")) == "abcd");  // of the cache: the tag is the same
  w.cache = std::make_shared<zarr::ChunkCache>();
  CHECK(w.data(v2("[]", "[]", "<i4")) == "efgh");
  CHECK(w.data(v2("[3, 0]", "[2, 2]", "<i4")).empty());
}

TEST_CASE("the keys of chunks follow the encoding", "[zarr]") {
  const auto asks_for = [](const std::string& metadata, const std::string& key) {
    OpenedArray w;
    w.values->values[key] = "abcd";
    w.missing_is_damage = true;
    CHECK(w.data(metadata) == "abcd");
  };
  const std::string list = codecs("");
  asks_for(v2("[1, 2]", "[1, 2]", "<i2", R"("dimension_separator": "/")"), "w/0/0");
  asks_for(v2("[1, 2]", "[1, 2]", "<i2"), "w/0.0");
  const auto encoded = [&](const std::string& encoding) {
    std::string text = v3("[1, 2]", "[1, 2]", "int16", list);
    const std::string known = R"({"name": "default"})";
    return text.replace(text.find(known), known.size(), encoding);
  };
  asks_for(encoded(R"({"name": "v2"})"), "w/0.0");
  asks_for(encoded(R"({"name": "v2", "configuration": {"separator": "/"}})"), "w/0/0");
  asks_for(encoded(R"({"name": "default", "configuration": {"separator": "."}})"), "w/c.0.0");
}

TEST_CASE("a large chunk is streamed, and reads that go back still fit", "[zarr]") {
  std::string bytes(80 << 20, '\0');
  for (std::size_t i = 0; i < bytes.size(); i += 1000) bytes[i] = static_cast<char>(i / 1000);
  OpenedArray w;
  w.values->values["w/c/0"] = zstd(bytes);
  const std::string size = std::to_string(bytes.size());
  const Recipe file = w.npy(v3("[" + size + "]", "[" + size + "]", "int8", codecs(std::string(", ") + kZstd)));
  const std::uint64_t header = file.size() - bytes.size();
  for (const std::size_t at : {std::size_t{0}, std::size_t{70} << 20, std::size_t{69} << 20, std::size_t{5} << 20,
                               bytes.size() - 4096, std::size_t{1}}) {
    std::string part(4096, '\0');
    const std::size_t n = file.read(header + at, Buffer(part.data(), part.size()));
    part.resize(n);
    CHECK(part == bytes.substr(at, 4096));
  }
  CHECK(w.values->asked["w/c/0"] == 1);
  CHECK(w.cache->cost() < (std::uint64_t{64} << 20));

  OpenedArray cut;
  cut.values->values["w/c/0"] = zstd(bytes.substr(1));
  const Recipe damaged = cut.npy(v3("[" + size + "]", "[" + size + "]", "int8", codecs(std::string(", ") + kZstd)));
  std::string part(4096, '\0');
  CHECK(damaged.read(header, Buffer(part.data(), part.size())) == 4096);
  CHECK_THROWS_WITH(damaged.read(damaged.size() - 10, Buffer(part.data(), 10)),
                    says("w/c/0: has " + std::to_string(bytes.size() - 1) + " bytes, expected " + size));
}

TEST_CASE("large chunks side by side are streamed side by side", "[zarr]") {
  constexpr std::size_t kBeside = 12, kRow = 1 << 20;  // the array as a device each keeps some columns of it
  const std::string packed = zstd(std::string(66 * kRow, '\1'));
  OpenedArray w;
  for (std::size_t i = 0; i < kBeside; ++i) w.values->values["w/c/0/" + std::to_string(i)] = packed;
  const Recipe file = w.npy(v3("[66, " + std::to_string(kBeside * kRow) + "]", "[66, " + std::to_string(kRow) + "]",
                               "int8", codecs(std::string(", ") + kZstd)));
  std::string row(kBeside * kRow, '\0');
  for (std::size_t at = file.size() - 66 * row.size(), n = 0; n < 4; ++n, at += row.size())
    CHECK(file.read(at, Buffer(row.data(), row.size())) == row.size());
  for (std::size_t i = 0; i < kBeside; ++i) CHECK(w.values->asked["w/c/0/" + std::to_string(i)] == 1);
  CHECK(w.cache->cost() < (std::uint64_t{128} << 20));
}

TEST_CASE("a chunk is decoded once while the cache keeps it, and the cache stays in its bound", "[zarr]") {
  struct Zeros final : Computed {
    void read(std::uint64_t, Buffer) const override {}
  };
  const zarr::ChunkCache cache(10'000);
  int made = 0;
  const auto get = [&](const std::string& array, std::uint64_t cost) {
    cache.get({array, 0}, [&]() -> zarr::ChunkCache::Chunk {
      ++made;
      return {std::make_shared<Zeros>(), cost};
    });
  };
  get("a", 4000);
  get("a", 4000);
  CHECK(made == 1);
  get("b", 4000);
  get("a", 4000);
  CHECK(made == 2);
  get("c", 4000);  // b goes: a was used after it
  CHECK(made == 3);
  CHECK(cache.cost() <= 10'000);
  get("a", 4000);
  CHECK(made == 3);
  get("b", 4000);
  CHECK(made == 4);
  get("large", 50'000);  // alone
  get("large", 50'000);
  CHECK(made == 5);
  CHECK_THROWS_AS(cache.get({"bad", 0}, []() -> zarr::ChunkCache::Chunk { throw Error(Errc::corrupt, "x"); }), Error);
  get("bad", 10);
  CHECK(made == 6);
  CHECK(cache.cost() <= 10'000);
}

TEST_CASE("a large chunk that is not packed is read where it is", "[zarr]") {
  const StoredArray stored{{1024, 1024}, {1024, 1024}, {}};
  const std::string all = stored.all();
  OpenedArray w;
  w.values->values["w/c/0/0"] = all;
  const std::string metadata = v3("[1024, 1024]", "[1024, 1024]", "int16", codecs(""));
  const Recipe file = w.npy(metadata);
  CHECK(file.text(3 << 20, "w").substr(static_cast<std::size_t>(file.size() - all.size())) == all);
  CHECK(w.cache->cost() < 10'000);
  w.values->values["w/c/0/0"] = all.substr(1);
  w.cache = std::make_shared<zarr::ChunkCache>();
  CHECK(w.code(metadata, "w/c/0/0: has 2097151 bytes, expected 2097152") == Errc::corrupt);
}

TEST_CASE("several threads read one array, and each of its chunks is decoded once", "[zarr]") {
  const StoredArray stored{{64, 48}, {16, 16}, {}};
  OpenedArray w;
  for (std::uint64_t a = 0; a < 4; ++a)
    for (std::uint64_t b = 0; b < 3; ++b)
      w.values->values["w/c/" + std::to_string(a) + "/" + std::to_string(b)] = zstd(stored.chunk_at({a, b}));
  const Recipe file = w.npy(v3("[64, 48]", "[16, 16]", "int16", codecs(std::string(", ") + kZstd)));
  const std::string whole = file.text(1 << 20, "w").substr(0, 128) + stored.all();
  w.cache = std::make_shared<zarr::ChunkCache>();
  w.values->asked.clear();
  const Recipe again = w.npy(v3("[64, 48]", "[16, 16]", "int16", codecs(std::string(", ") + kZstd)));
  std::vector<std::thread> threads;
  std::vector<std::string> read(4);
  for (std::string& text : read) threads.emplace_back([&] { text = again.text(1 << 20, "w"); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : read) CHECK(text == whole);
  CHECK(w.values->asked.size() == 12);
  for (const auto& [key, times] : w.values->asked) CHECK(times == 1);
}

TEST_CASE("a value of a plain directory is open only while it is read", "[zarr]") {
  const auto files_open = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("zarr-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "0") << "value";
  const auto values = zarr::directory_store(open_source(folder), "");
  const auto before = files_open();
  const auto value = values->find("0");
  CHECK(files_open() == before);
  CHECK(value->text(9, "0") == "value");
  CHECK(files_open() == before);
  std::filesystem::remove_all(folder);
}

TEST_CASE("a plain directory has the values of plain paths only", "[zarr]") {
  const auto source = std::make_shared<TestDirectory>(
      std::map<std::string, std::string>{{"state/a/.zarray", "{}"}, {"secret", "s"}, {"state/b", "x"}});
  const auto values = zarr::directory_store(source, "state");
  REQUIRE(values->find("a/.zarray").has_value());
  CHECK(values->find("a/.zarray")->text(9, "x") == "{}");
  for (const std::string& key : {std::string("a/0"), std::string("../secret"), std::string("a/../b"), std::string("/b"),
                                 std::string("a//.zarray"), std::string(), std::string("./b"), std::string("b\0", 2)})
    CHECK_FALSE(values->find(key).has_value());
  CHECK(zarr::directory_store(source, "")->find("secret").has_value());
}
