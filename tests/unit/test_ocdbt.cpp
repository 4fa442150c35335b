#include <zstd.h>

#include "catch.hpp"
#include "codec/ocdbt/columns.hpp"
#include "codec/ocdbt/database.hpp"
#include "ocdbt_database.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

using Files = std::map<std::string, std::string>;

Ptr<zarr::KeyValues> open(const Files& files, const std::string& directory = "") {
  return ocdbt::open_database(std::make_shared<TestDirectory>(files), directory);
}

std::string get(const zarr::KeyValues& database, const std::string& key) {
  const auto value = database.find(key);
  return value ? value->text(1 << 20, key) : "none";
}

/// One leaf that is all of the database.
Files of_leaf(const std::string& node) {
  return {{"manifest.ocdbt", manifest({{"d/1"}}, {{1, 0, 0, 0, node.size()}})}, {"d/1", node}};
}

void refuses(const Files& files, const std::string& text, Errc code = Errc::corrupt) {
  try {
    get(*open(files), "a/zarr.json");
    FAIL_CHECK("accepted, expected: " << text);
  } catch (const Error& e) {
    CHECK_THAT(std::string(e.what()), says(text));
    CHECK(e.code() == code);
  }
}

std::string with_byte(std::string text, std::size_t at, char byte) {
  text.at(at) = byte;
  return text;
}

}  // namespace

TEST_CASE("the CRC is Castagnoli's", "[ocdbt]") {
  CHECK(zarr::crc32c("123456789") == 0xE3069283u);
  CHECK(zarr::crc32c("6789", zarr::crc32c("12345")) == 0xE3069283u);
  CHECK(zarr::crc32c("") == 0);
}

TEST_CASE("numbers are read as they are written, in more bytes than needed too", "[ocdbt]") {
  for (const std::uint64_t n :
       {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, std::uint64_t{1} << 35, ~std::uint64_t{0}}) {
    const std::string text = varint(n);
    Cursor cursor(text, "x");
    CHECK(ocdbt::varint(cursor, "n") == n);
    CHECK(cursor.left() == 0);
  }
  Cursor wide(Bytes("\x85\x80\x80\x00", 4), "x");
  CHECK(ocdbt::varint(wide, "n") == 5);
  Cursor big(Bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10), "x");
  CHECK_THROWS_WITH(ocdbt::varint(big, "n"), says("n has more than 64 bits"));
  Cursor endless(Bytes("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11), "x");
  CHECK_THROWS_WITH(ocdbt::varint(endless, "n"), says("n has more than 64 bits"));
  Cursor short_one(Bytes("\x80", 1), "x");
  CHECK_THROWS_WITH(ocdbt::varint(short_one, "n"), says("n needs 1, 0 left"));
  Cursor over(Bytes("\x80\x80\x04", 3), "x");
  CHECK_THROWS_WITH(ocdbt::varint(over, "n", 16), says("n is 65536, which needs more than 16 bits"));
}

TEST_CASE("a key of one leaf has its value, other keys have none", "[ocdbt]") {
  const std::string node = leaf({{"a/c/0", {"12345678"}}, {"a/zarr.json", {"{}"}}, {"b.c/zarr.json", {""}}});
  const auto db = open(of_leaf(node));
  CHECK(get(*db, "a/c/0") == "12345678");
  CHECK(get(*db, "a/zarr.json") == "{}");
  CHECK(get(*db, "b.c/zarr.json").empty());
  for (const char* key : {"", "a", "a/c/", "a/c/00", "a/zarr.json2", "z", "b.c"}) CHECK(get(*db, key) == "none");
}

TEST_CASE("a value can be elsewhere, below the base of its node", "[ocdbt]") {
  // As a merge of several processes leaves it: the root refers to a node of a process, that one to its own files.
  const std::string far = "0123456789";
  const std::string node = leaf({{"/c/0", {"", true, 0, 2, 5}}, {"/zarr.json", {"{}"}}}, {{"d/values"}});
  const std::string root = interior(1, {{"a/c/0", 1, 0, 0, node.size()}, {"b", 1, 1, 0, node.size()}},
                                    {{"ocdbt.process_0/d/node", 16}, {"ocdbt.process_1/d/node", 16}});
  const Files files{{"state/manifest.ocdbt", manifest({{"d/root"}}, {{7, 1, 0, 0, root.size()}})},
                    {"state/d/root", root},
                    {"state/ocdbt.process_0/d/node", node},
                    {"state/ocdbt.process_0/d/values", far},
                    {"state/ocdbt.process_1/d/node", node},
                    {"state/ocdbt.process_1/d/values", "abcdefghij"}};
  const auto db = open(files, "state");
  CHECK(get(*db, "a/c/0") == "23456");
  CHECK(get(*db, "b/c/0") == "cdefg");
  CHECK(get(*db, "b/zarr.json") == "{}");
  CHECK(get(*db, "c/zarr.json") == "none");
  CHECK(get(*db, "a") == "none");
}

TEST_CASE("the newest version counts, of a numbered manifest the highest file", "[ocdbt]") {
  const std::string old = leaf({{"a", {"old"}}}), fresh = leaf({{"a", {"new"}}});
  const std::string both = manifest({{"d/1"}}, {{1, 0, 0, 0, old.size()}, {2, 0, 0, old.size(), fresh.size()}});
  CHECK(get(*open({{"manifest.ocdbt", both}, {"d/1", old + fresh}}), "a") == "new");

  Files files{{"manifest.ocdbt", envelope(kManifest, config(1))},
              {"manifest.0000000000000001", manifest({{"d/1"}}, {{1, 0, 0, 0, old.size()}})},
              {"manifest.000000000000000a", manifest({{"d/1"}}, {{10, 0, 0, old.size(), fresh.size()}})},
              {"manifest.000000000000000B", "none of ours"},
              {"d/1", old + fresh}};
  CHECK(get(*open(files), "a") == "new");
  files["manifest.000000000000000b"] = files["manifest.000000000000000a"];
  CHECK_THROWS_WITH(open(files),
                    says("/ckpt/manifest.000000000000000b: expected the manifest of generation 11, got 10"));
  CHECK(get(*open({{"manifest.ocdbt", envelope(kManifest, config(1))}}), "a") == "none");
}

TEST_CASE("an empty database has no keys", "[ocdbt]") {
  CHECK(get(*open({{"manifest.ocdbt", manifest({}, {{1, 0, 0, kNothing, kNothing}})}}), "a") == "none");
}

TEST_CASE("every byte of a node is under its CRC", "[ocdbt]") {
  const std::string node = leaf({{"a/zarr.json", {"{\"zarr_format\": 3}"}}});
  for (std::size_t i = 0; i < node.size(); ++i) {
    const Files files{{"manifest.ocdbt", manifest({{"d/1"}}, {{1, 0, 0, 0, node.size()}})},
                      {"d/1", with_byte(node, i, static_cast<char>(node[i] ^ 0x10))}};
    CHECK_THROWS_AS(get(*open(files), "a/zarr.json"), Error);
  }
  const std::string good = of_leaf(node).at("manifest.ocdbt");
  for (std::size_t n = 0; n < good.size(); ++n) CHECK_THROWS_AS(open({{"manifest.ocdbt", good.substr(0, n)}}), Error);
  refuses(of_leaf(with_byte(node, node.size() - 1, '?')), "its crc32c is");
  refuses({{"manifest.ocdbt", good}, {"d/1", node.substr(1)}}, "/ckpt/d/1: " + std::to_string(node.size()) +
                                                                   " bytes from 0 are referred to, the file has " +
                                                                   std::to_string(node.size() - 1));
}

TEST_CASE("what is no node, or of an unknown kind, is told as such", "[ocdbt]") {
  const std::string node = leaf({{"a", {"x"}}});
  refuses(of_leaf(envelope(kManifest, "")), "/ckpt/d/1: node at 0 at byte 4: begins with 0cdb3a2a, expected 0cdb20de");
  refuses(of_leaf(node + "x"),
          "says that it has " + std::to_string(node.size()) + " bytes, it has " + std::to_string(node.size() + 1));
  refuses({{"manifest.ocdbt", envelope(kManifest, config(2))}}, "manifest kind 2, expected 0 or 1");
  refuses({{"manifest.ocdbt", envelope(kManifest, config(0, 17))}}, "version tree arity 2^17, expected 2^1 to 2^16");
  std::string packed = with_byte(node, 13, 2);
  packed = packed.substr(0, packed.size() - 4);
  refuses(of_leaf(packed + little_endian(zarr::crc32c(packed), 4)), "compression 2", Errc::unsupported);
  refuses(of_leaf(envelope(kNode, std::string(1, '\0') + file_table({}) + varint(1) + keys({"a"}) + varint(1) +
                                      std::string(1, '\0') + "xy")),
          "1 bytes too many");
}

TEST_CASE("numbers that lie are refused before anything is allocated for them", "[ocdbt]") {
  const std::uint64_t huge = std::uint64_t{1} << 40;
  const std::string leaf_height(1, '\0');
  refuses(of_leaf(envelope(kNode, leaf_height + varint(huge))), "files need 2 bytes each");
  refuses(of_leaf(envelope(kNode, leaf_height + file_table({}) + varint(1 << 20))), "entries need 3 bytes each");
  refuses(of_leaf(envelope(kNode, leaf_height + file_table({}) + varint(1 << 21))),
          "2097152 entries, expected 1 to 1048576");
  refuses(of_leaf(envelope(kNode, leaf_height + file_table({}) + varint(0))), "0 entries, expected 1 to 1048576");
  refuses(of_leaf(leaf({{"a/zarr.json", {"", true, 3, 0, 5}}}, {{"d/1"}})), "file 3 of 1");
  refuses(of_leaf(leaf({{"a/zarr.json", {"", true, 0, kNothing, 5}}}, {{"d/1"}})),
          "5 bytes from 18446744073709551615 are referred to");
  refuses(of_leaf(leaf({{"a/zarr.json", {"", true, 0, 0, huge}}}, {{"d/1"}})),
          "1099511627776 bytes from 0 are referred to");
  refuses({{"manifest.ocdbt", manifest({{"d/1"}}, {{1, 0, 0, 0, huge}})}, {"d/1", "x"}},
          "1099511627776 bytes from 0 are referred to, the file has 1");
  refuses({{"manifest.ocdbt", manifest({{"d/1"}}, {{1, 0, 1, 0, 5}})}}, "file 1 of 1");
  refuses({{"manifest.ocdbt", manifest({{"d/1"}}, {{1, 65, 0, 0, 5}})}}, "a tree of height 65, at most 64 is possible");
  refuses({{"manifest.ocdbt", manifest({{"d/1"}}, {{2, 0, 0, 0, 5}, {2, 0, 0, 0, 5}})}},
          "generations that do not increase");
  refuses({{"manifest.ocdbt", manifest({{"d/1"}}, {})}}, "0 versions, expected 1 to 2^4");
}

TEST_CASE("a path of a data file stays in the directory", "[ocdbt]") {
  for (const char* path : {"../d/1", "/etc/passwd", "d/./1", "d//1", "..", "", "d/1/"})
    refuses({{"manifest.ocdbt", manifest({{path}}, {{1, 0, 0, 0, 5}})}}, "a path that leads elsewhere");
  refuses({{"manifest.ocdbt", manifest({{std::string("d/\0x", 4)}}, {{1, 0, 0, 0, 5}})}},
          "a path that leads elsewhere");
  refuses({{"manifest.ocdbt", manifest({{"d/1", 4}}, {{1, 0, 0, 0, 5}})}}, "a path of 3 bytes with a base of 4 bytes");
}

TEST_CASE("a tree that leads back to itself ends", "[ocdbt]") {
  // A node refers to itself: the child's height is then not what its parent tells.
  std::string node;
  for (std::size_t size = 0; node.size() != size || size == 0;) {
    size = node.size();
    node = interior(1, {{"a", 0, 0, 0, size}}, {{"d/1"}});
  }
  refuses({{"manifest.ocdbt", manifest({{"d/1"}}, {{1, 1, 0, 0, node.size()}})}, {"d/1", node}},
          "a node of height 1, expected 0");
}

TEST_CASE("keys that do not ascend are refused", "[ocdbt]") {
  const std::string one = std::string(1, '\0');
  const std::string twice =
      envelope(kNode, one + file_table({}) + varint(2) + keys({"a", "a"}) + varint(0) + varint(0) + one + one);
  refuses(of_leaf(twice), "keys that do not increase");
  refuses(of_leaf(interior(0, {{"a", 0, 0, 0, 1}}, {{"d/1"}})), "/ckpt/d/1: node at 0 (its body)");
}

TEST_CASE("a file table of few bytes does not become gigabytes", "[ocdbt]") {
  // Each path is the one before and nothing more.
  const std::size_t n = 100'000;
  std::string table = varint(n);
  for (std::size_t i = 1; i < n; ++i) table += varint(60'000);
  table += varint(60'000);
  for (std::size_t i = 1; i < n; ++i) table += varint(0);
  for (std::size_t i = 0; i < n; ++i) table += varint(0);
  table += std::string(60'000, 'p');
  refuses(of_leaf(envelope(kNode, std::string(1, '\0') + table)), "paths of more than 134217728 bytes");
  // Paths of nothing at all, as a few hundred bytes of zstd.
  const std::size_t many = 2'000'000;
  refuses(of_leaf(envelope(kNode, std::string(1, '\0') + varint(many) + std::string(3 * many, '\0'))),
          "2000000 files, at most 1048576 are expected");
}

TEST_CASE("a file that the database needs and that is missing is damage", "[ocdbt]") {
  Files files = of_leaf(leaf({{"a/zarr.json", {"{}"}}}));
  files.erase("d/1");
  refuses(files, "/ckpt/d/1: the database needs this file, and it is missing");
  CHECK_THROWS_WITH(open({}), says("/ckpt/manifest.ocdbt: no such file"));
}

TEST_CASE("a packed node that grows without bound is refused", "[ocdbt]") {
  // 64 MiB of zeros are two kilobytes of zstd; three such frames follow each other.
  const std::string zeros(64 << 20, '\0');
  std::string frame(ZSTD_compressBound(zeros.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), zeros.data(), zeros.size(), 1));
  refuses(of_leaf(envelope(kNode, frame + frame + frame, 1)), "has more than 134217728 bytes");
  refuses(of_leaf(envelope(kNode, frame, 1)), "entries, expected 1 to 1048576");
  refuses(of_leaf(envelope(kNode, frame.substr(0, frame.size() - 1), 1)), "ends within its zstd frame");
  refuses(of_leaf(envelope(kNode, "none", 1)), "zstd: ");
}

TEST_CASE("keys of few bytes do not become gigabytes", "[ocdbt]") {
  // Each key is the one before and one byte more.
  const std::size_t n = 60'000;
  std::string table = std::string(1, '\0') + file_table({}) + varint(n);
  for (std::size_t i = 1; i < n; ++i) table += varint(i);
  for (std::size_t i = 0; i < n; ++i) table += varint(1);
  table += std::string(n, 'k') + std::string(2 * n, '\0');
  refuses(of_leaf(envelope(kNode, table)), "keys of more than 134217728 bytes");
}

TEST_CASE("a database of many nodes gives every value", "[ocdbt]") {
  Files files;
  std::vector<TestChild> children;
  for (int i = 0; i < 100; ++i) {
    std::map<std::string, TestValue> entries;
    for (int k = 0; k < 20; ++k) entries[(k < 10 ? "0" : "") + std::to_string(k)] = {std::to_string(100 * i + k)};
    const std::string node = leaf(entries), prefix = std::string("n") + (i < 10 ? "0" : "") + std::to_string(i) + "/";
    children.push_back({prefix, prefix.size(), 0, files["d/nodes"].size(), node.size()});
    files["d/nodes"] += node;
  }
  const std::string root = interior(1, children, {{"d/nodes"}});
  files["d/root"] = root;
  files["manifest.ocdbt"] = manifest({{"d/root"}}, {{1, 1, 0, 0, root.size()}});
  const auto db = open(files);
  for (int i = 99; i >= 10; --i)
    for (int k = 10; k < 20; ++k)
      CHECK(get(*db, "n" + std::to_string(i) + "/" + std::to_string(k)) == std::to_string(100 * i + k));
  CHECK(get(*db, "n10/20") == "none");
  CHECK(get(*db, "n1") == "none");
}
