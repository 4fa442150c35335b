#include "torch_checkpoint.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

const std::string kFolder = "m/anemoi-metadata/";

std::string entry(const std::string& key, const std::string& member, const std::string& shape,
                  const std::string& dtype) {
  return "\"" + key + "\": {\"path\": \"" + kFolder + member + "\", \"shape\": [" + shape + "], \"dtype\": \"" + dtype +
         "\"}";
}

const std::string kLatEntry = entry("lat", "lat.numpy", "3", "float32");
const std::string kEraEntry = "\"era\": {" + entry("mask", "era/mask.numpy", "2, 4", "bool") + "}";

std::string index_of(const Mounted& m) {
  const std::string text = m.read("metadata.json"), key = "\"supporting_arrays_paths\": ";
  const std::size_t begin = text.find(key) + key.size();
  return text.substr(begin, text.find(", \"uuid\"") - begin);
}

}  // namespace

TEST_CASE("arrays are .npy files over the bytes of their members", "[torch]") {
  Mounted m(with_metadata());
  CHECK(m.names("arrays") == Names{"lat.npy", "era/"});
  CHECK(m.names("arrays/era") == Names{"mask.npy"});
  CHECK(m.read("arrays/lat.npy") == npy_file("<f4", {3}, kLat));
  CHECK(m.read("arrays/era/mask.npy") == npy_file("|b1", {2, 4}, kMask));
  CHECK(m.find("arrays/lat.npy")->saving == Node::Saving::whole);
  CHECK(m.find("arrays/era")->saving == Node::Saving::value);
  CHECK_FALSE(m.find("arrays/none.npy"));
  CHECK_FALSE(m.find("arrays/lat.npy/x"));
  CHECK(m.read("arrays.tsv") ==
        "name\tdtype\tshape\tnbytes\tmember\n"
        "lat\tfloat32\t3\t12\tm/anemoi-metadata/lat.numpy\n"
        "era/mask\tbool\t2x4\t8\tm/anemoi-metadata/era/mask.numpy\n");
  CHECK(code_of([&] { m.names("arrays/none"); }) == Errc::not_found);
  CHECK(code_of([&] { m.names("arrays/lat.npy"); }) == Errc::not_directory);
}

TEST_CASE("bytes that are not those of their CRC are not shown, and get no CRC that fits them", "[torch]") {
  std::string bytes = with_metadata().bytes();
  bytes[bytes.find(kLat)] ^= 1;
  Mounted m(bytes);
  REQUIRE_THROWS_WITH(m.read("arrays/lat.npy"),
                      says("/d/m.pt: member 'm/anemoi-metadata/lat.numpy'") && says("CRC-32"));
  REQUIRE_THROWS_WITH(m.rename("arrays/lat.npy", "arrays/other.npy"), says("do not have its CRC"));
  CHECK(m.read("arrays/era/mask.npy") == npy_file("|b1", {2, 4}, kMask));
  m.write("arrays/lat.npy", npy_file("<f4", {3}, kLat));
  m.commit();
  CHECK(m.read("arrays/lat.npy") == npy_file("<f4", {3}, kLat));

  bytes = with_metadata().bytes();
  bytes[bytes.find("0.001")] = '7';
  Mounted damaged(bytes);
  CHECK(code_of([&] { damaged.read("metadata.json"); }) == Errc::corrupt);
  CHECK(code_of([&] { damaged.find("metadata/version"); }) == Errc::corrupt);
  CHECK(code_of([&] { damaged.write("metadata/config/lr", "2"); }) == Errc::corrupt);
  CHECK(damaged.warns("CRC-32"));
  damaged.write("metadata.json", kMetadata);
  damaged.commit();
  CHECK(damaged.read("metadata.json") == kMetadata);
}

TEST_CASE("a deflated array is computed", "[torch]") {
  Mounted m(checkpoint()
                .python("m/x/anemoi.json",
                        "{\"supporting_arrays_paths\": {\"z\": {\"path\": \"m/z.numpy\", \"shape\": [2, 500], "
                        "\"dtype\": \"int8\"}, \"s\": {\"path\": \"m/s\", \"shape\": [], \"dtype\": \">f8\"}}}")
                .python("m/z.numpy", std::string(1000, 'z'), true)
                .python("m/s", "12345678"));
  CHECK(m.read("arrays/z.npy") == npy_file("|i1", {2, 500}, std::string(1000, 'z')));
  CHECK(m.read("arrays/s.npy") == npy_file(">f8", {}, "12345678"));
  CHECK(m.read("arrays.tsv") ==
        "name\tdtype\tshape\tnbytes\tmember\nz\tint8\t2x500\t1000\tm/z.numpy\ns\t>f8\tscalar\t8\tm/s\n");
}

TEST_CASE("of several members of an array the last is shown", "[torch]") {
  Mounted m(with_metadata().python(kFolder + "lat.numpy", "xxxxyyyyzzzz"));
  CHECK(m.read("arrays/lat.npy") == npy_file("<f4", {3}, "xxxxyyyyzzzz"));
  CHECK(m.warns("arrays/lat.npy: the archive has 2 members 'm/anemoi-metadata/lat.numpy'; the last is shown"));
  m.write("arrays/lat.npy", npy_file("<f4", {3}, "111122223333"));
  m.commit();
  CHECK(m.archive()->find_all(kFolder + "lat.numpy").size() == 1);
  CHECK(m.read("arrays/lat.npy") == npy_file("<f4", {3}, "111122223333"));
}

TEST_CASE("an array that cannot be is damage of that array alone", "[torch]") {
  const auto [bad, sentence] = GENERATE(table<std::string, std::string>({
      {entry("bad", "none.numpy", "3", "float32"), "its member 'm/anemoi-metadata/none.numpy' is not in the archive"},
      {entry("bad", "lat.numpy", "4", "float32"),
       "shape 4 of float32 needs 16 bytes, member 'm/anemoi-metadata/lat.numpy' has 12"},
      {entry("bad", "lat.numpy", "3", "[('a', '<f4')]"),
       "its dtype in the metadata: expected the name of a plain dtype"},
      {entry("bad", "lat.numpy", "3", "object"), "expected the name of a plain dtype, got 'object'"},
      {entry("bad", "lat.numpy", "-1", "float32"), "its shape in the metadata is no list of extents"},
      {entry("bad", "lat.numpy", "3.0", "float32"), "its shape in the metadata is no list of extents"},
      {entry("bad", "lat.numpy", "9223372036854775807", "float32"), "more bytes than 63 bits"},
      {"\"bad\": 5", "its entry in the metadata is no JSON object"},
      {"\"bad\": {\"path\": 1, \"shape\": [3], \"dtype\": \"float32\"}", "its path in the metadata is no string"},
      {"\"bad\": {\"path\": \"p\", \"shape\": 3, \"dtype\": \"float32\"}",
       "its shape in the metadata is no list of extents"},
      {"\"bad\": {\"path\": \"p\", \"shape\": [3], \"dtype\": null}", "its dtype in the metadata is no string"},
  }));
  INFO(bad);
  Mounted m(with_metadata(metadata_with("{" + bad + ", " + kEraEntry + "}")));
  CHECK(m.names("arrays") == Names{"bad.npy", "era/"});
  CHECK(code_of([&] { m.read("arrays/bad.npy"); }) == Errc::corrupt);
  REQUIRE_THROWS_WITH(m.read("arrays/bad.npy"), says("arrays/bad.npy: ") && says(sentence));
  CHECK(m.warns(sentence));
  CHECK(m.read("arrays/era/mask.npy") == npy_file("|b1", {2, 4}, kMask));
  CHECK(m.read("arrays.tsv").find("bad\t") != std::string::npos);

  // A good one replaces it; or it is renamed as it is; or it goes.
  SECTION("replaced") {
    m.write("arrays/bad.npy", npy_file("<i2", {1}, "12"));
    m.commit();
    CHECK(m.read("arrays/bad.npy") == npy_file("<i2", {1}, "12"));
    CHECK_FALSE(m.warns("arrays/bad.npy"));
  }
  SECTION("renamed") {
    m.rename("arrays/bad.npy", "arrays/era/worse.npy");
    m.commit();
    CHECK(m.names("arrays/era") == Names{"mask.npy", "worse.npy"});
    CHECK(code_of([&] { m.read("arrays/era/worse.npy"); }) == Errc::corrupt);
  }
  SECTION("removed") {
    m.remove("arrays/bad.npy");
    m.commit();
    CHECK(m.names("arrays") == Names{"era/"});
  }
}

TEST_CASE("names that no file can have are encoded, and found again", "[torch]") {
  const std::string index = "{" + entry("..", "lat.numpy", "3", "float32") + ", " +
                            entry("", "lat.numpy", "3", "float32") + ", " + entry("a/b", "lat.numpy", "3", "float32") +
                            ", " + entry(".hidden", "lat.numpy", "3", "float32") + ", " +
                            entry("x\\u0000y", "lat.numpy", "3", "float32") + ", " +
                            entry("sed12", "lat.numpy", "3", "float32") + ", \"d.npy\": {}, \"\": {}, \"" +
                            std::string(300, 'n') + "\": {\"path\": \"p\", \"shape\": [], \"dtype\": \"int8\"}}";
  Mounted m(with_metadata(metadata_with(index)));
  const Names names = m.names("arrays");
  REQUIRE(names.size() == 8);  // the key "" stands twice: the last one is meant
  CHECK(Names(names.begin(), names.begin() + 7) ==
        Names{"%2E..npy", "%/", "a%2Fb.npy", "%2Ehidden.npy", "x%00y.npy", "%73ed12.npy", "d%2Enpy/"});
  CHECK(names[7].size() == 255);
  CHECK(m.find("arrays/" + names[7])->key == std::string(300, 'n'));
  for (const std::string& name : names)
    CHECK(m->find({"arrays", name.back() == '/' ? name.substr(0, name.size() - 1) : name}));
}

TEST_CASE("an array that is written replaces bytes, shape and dtype in one commit", "[torch]") {
  Mounted m(with_metadata());
  m.write("arrays/lat.npy", npy_file(">f8", {1, 2}, "0123456789abcdef"));
  CHECK(m.read("arrays/lat.npy") == npy_file(">f8", {1, 2}, "0123456789abcdef"));
  CHECK(m.read("metadata/supporting_arrays_paths/lat/dtype") == ">f8\n");
  const std::string tag = m.tag("arrays/lat.npy");
  m.commit();
  CHECK(m.member(kFolder + "lat.numpy") == "0123456789abcdef");
  CHECK(m.member(kFolder + "anemoi.json") ==
        metadata_with("{" + entry("lat", "lat.numpy", "1, 2", ">f8") + ", " + kEraEntry + "}"));
  CHECK(m.tag("arrays/lat.npy") == tag);
  CHECK(m.find("arrays/lat.npy")->mtime.tv_sec == 1'750'000'000);
}

TEST_CASE("where only the data of an array changes, the document does not", "[torch]") {
  Mounted m(with_metadata());
  const std::string tag = m.tag("metadata.json");
  m.write("arrays/lat.npy", npy_file("<f4", {3}, "111122223333"));
  CHECK(m.tag("metadata.json") == tag);
  m.commit();
  CHECK(m.member(kFolder + "lat.numpy") == "111122223333");
  CHECK(m.find("metadata.json")->mtime.tv_sec == 1709210096);
}

TEST_CASE("Fortran order is stored as C order", "[torch]") {
  Mounted m(with_metadata());
  m.write("arrays/lat.npy", npy_file("|i1", {2, 3}, "adbecf", true));
  m.commit();
  CHECK(m.member(kFolder + "lat.numpy") == "abcdef");
  CHECK(m.read("arrays/lat.npy") == npy_file("|i1", {2, 3}, "abcdef"));
}

TEST_CASE("types are entered as numpy spells them", "[torch]") {
  Mounted m(with_metadata());
  const auto [descr, name, size] =
      GENERATE(table<std::string, std::string, std::size_t>({{"<U5", "<U5", 20},
                                                             {"|S3", "|S3", 3},
                                                             {"<M8[ns]", "datetime64[ns]", 8},
                                                             {"<f2", "float16", 2},
                                                             {">i4", ">i4", 4}}));
  m.write("arrays/new.npy", npy_file(descr, {}, std::string(size, 'x')));
  m.write("arrays/empty.npy", npy_file(descr, {0, 4}, ""));
  m.commit();
  CHECK(index_of(m) == "{" + kLatEntry + ", " + kEraEntry + ", " + entry("new", "new.numpy", "", name) + ", " +
                           entry("empty", "empty.numpy", "0, 4", name) + "}");
  CHECK(m.read("arrays/new.npy") == npy_file(descr, {}, std::string(size, 'x')));
  CHECK(m.read("arrays/empty.npy") == npy_file(descr, {0, 4}, ""));
}

TEST_CASE("a file that is no array is refused, one that ends too early may be completed", "[torch]") {
  Mounted m(with_metadata());
  CHECK(code_of([&] { m.write("arrays/lat.npy", "something else"); }) == Errc::rejected);
  CHECK(code_of([&] { m.write("arrays/lat.npy", npy_file("<f4", {3}, "1234")); }) == Errc::incomplete);
  REQUIRE_THROWS_WITH(m.write("arrays/era/x.npy", npy_file("<f4", {1}, "12345")),
                      says("arrays/era/x.npy: 1 bytes behind the 4"));
  CHECK(m.commit() == 0);
}

TEST_CASE("new arrays go into the folder of the metadata", "[torch]") {
  Mounted m(checkpoint()
                .python("m/here/and/there/anemoi.json", kMetadata)
                .python(kFolder + "lat.numpy", kLat)
                .python(kFolder + "era/mask.numpy", kMask));
  CHECK(m->vacant({"arrays", "new.npy"})->saving == Node::Saving::whole);
  CHECK(m->vacant({"arrays", "era", "new.npy"})->saving == Node::Saving::whole);
  for (const char* path :
       {"arrays/new.txt", "arrays/.new.npy", "arrays/new.npy~", "arrays/none/new.npy", "arrays/lat.npy/new.npy"})
    CHECK_FALSE(m->vacant(parse_path(path)));
  m.write("arrays/era/new.npy", npy_file("<f4", {1}, "1234"));
  m.write("arrays/a%2Fb.npy", npy_file("<f4", {1}, "5678"));
  m.write("arrays/lat.npy", npy_file("<f4", {3}, "111122223333"));
  m.commit();
  CHECK(m.member("m/here/and/there/era/new.numpy") == "1234");
  CHECK(m.member("m/here/and/there/a%2Fb.numpy") == "5678");
  CHECK(m.read("arrays/a%2Fb.npy") == npy_file("<f4", {1}, "5678"));
  CHECK(m.member(kFolder + "lat.numpy") == "111122223333");  // one that is there stays there
}

TEST_CASE("a name that is not spelled as a key is, is refused", "[torch]") {
  Mounted m(with_metadata());
  REQUIRE_THROWS_WITH(m.write("arrays/50%.npy", npy_file("<f4", {1}, "1234")), says("that would be 50%25.npy"));
  CHECK(code_of([&] { m.write("arrays/x", npy_file("<f4", {1}, "1234")); }) == Errc::rejected);
  CHECK(code_of([&] { m.write("arrays/\xff.npy", npy_file("<f4", {1}, "1234")); }) == Errc::rejected);
  CHECK(code_of([&] { m.write("arrays/%FF.npy", npy_file("<f4", {1}, "1234")); }) == Errc::rejected);
  CHECK(code_of([&] { m.edit(Op::Kind::make_dir, "arrays/d.npy"); }) == Errc::rejected);
  CHECK(code_of([&] { m.write("arrays/none/x.npy", npy_file("<f4", {1}, "1234")); }) == Errc::not_found);
  CHECK(code_of([&] { m.write("arrays/lat.npy/x.npy", npy_file("<f4", {1}, "1234")); }) == Errc::not_directory);
  CHECK(code_of([&] { m.write("arrays/era", npy_file("<f4", {1}, "1234")); }) == Errc::is_directory);
}

TEST_CASE("an array and a directory cannot have one key", "[torch]") {
  Mounted m(with_metadata());
  REQUIRE_THROWS_WITH(m.write("arrays/era.npy", npy_file("<f4", {1}, "1234")),
                      says("arrays/era.npy: 'era' beside it has that key in the metadata already"));
  CHECK(code_of([&] { m.edit(Op::Kind::make_dir, "arrays/lat"); }) == Errc::exists);
  CHECK(code_of([&] { m.rename("arrays/era", "arrays/lat"); }) == Errc::exists);
  CHECK(code_of([&] { m.rename("arrays/lat.npy", "arrays/era.npy"); }) == Errc::exists);
  CHECK(m.names("arrays") == Names{"lat.npy", "era/"});
}

TEST_CASE("a new array never takes the member of another, nor one that is equal but for case", "[torch]") {
  const std::string index = "{" + entry("lat", "lon.numpy", "3", "float32") + "}";
  Archive a = checkpoint();
  a.python(kFolder + "anemoi.json", metadata_with(index)).python(kFolder + "lon.numpy", kLat);
  Mounted m(a);
  m.write("arrays/lon.npy", npy_file("<f4", {1}, "1234"));
  m.write("arrays/LON.npy", npy_file("<f4", {1}, "5678"));
  m.commit();
  CHECK(m.read("arrays/lat.npy") == npy_file("<f4", {3}, kLat));
  CHECK(m.member(kFolder + "lon_2.numpy") == "1234");
  CHECK(m.member(kFolder + "LON_3.numpy") == "5678");
}

TEST_CASE("beside data.pkl the folder of the storages stays that of the storages", "[torch]") {
  Mounted m(checkpoint().python("m/anemoi.json", "{\"version\": 1}"));
  m.edit(Op::Kind::make_dir, "arrays/data");
  m.write("arrays/data/0.npy", npy_file("<f4", {1}, "1234"));
  m.commit();
  CHECK(m.member("m/data_/0.numpy") == "1234");
  m.remove("arrays/data/0.npy");
  m.commit();
  CHECK(m.archive()->members().size() == 10);
}

TEST_CASE("a record of torch is never changed as an array, whatever the index says", "[torch]") {
  const std::string member =
      GENERATE("m/data.pkl", "m/data/2", "m/anemoi-metadata/anemoi.json", "other/x.numpy", "m/../x.numpy");
  const std::string index = "{\"evil\": {\"path\": \"" + member + "\", \"shape\": [130], \"dtype\": \"int8\"}}";
  Mounted m(with_metadata(metadata_with(index)));
  SECTION("written") {
    m.write("arrays/evil.npy", npy_file("|i1", {3}, "new"));
    m.commit();
    CHECK(m.member(kFolder + "evil.numpy") == "new");
    CHECK(m.read("arrays/evil.npy") == npy_file("|i1", {3}, "new"));
  }
  SECTION("moved") {
    m.rename("arrays/evil.npy", "arrays/good.npy");
    m.commit();
    CHECK(m.read("metadata/supporting_arrays_paths/good/path") == member + "\n");
  }
  SECTION("removed") {
    m.remove("arrays/evil.npy");
    m.commit();
    CHECK(m.names("arrays").empty());
  }
  CHECK(m.member("m/data.pkl") == std::string(300, 'p'));
  CHECK(m.member("m/data/2") == std::string(130, '2'));
}

TEST_CASE("two entries of one member do not disturb each other", "[torch]") {
  const std::string index = "{" + kLatEntry + ", " + entry("copy", "lat.numpy", "12", "int8") + "}";
  Mounted m(with_metadata(metadata_with(index)));
  SECTION("one is written") {
    m.write("arrays/lat.npy", npy_file("<f4", {3}, "111122223333"));
    m.commit();
    CHECK(m.read("arrays/lat.npy") == npy_file("<f4", {3}, "111122223333"));
    CHECK(m.member(kFolder + "lat_2.numpy") == "111122223333");
  }
  SECTION("one is removed") {
    m.remove("arrays/lat.npy");
    m.commit();
  }
  CHECK(m.read("arrays/copy.npy") == npy_file("|i1", {12}, kLat));
}

TEST_CASE("an array is renamed with its member, and keeps its place and its time", "[torch]") {
  Mounted m(with_metadata());
  const std::string tag = m.tag("arrays/lat.npy");
  m.rename("arrays/lat.npy", "arrays/latitudes.npy");
  CHECK(m.tag("arrays/latitudes.npy") == tag);
  m.commit();
  CHECK(index_of(m) == "{" + entry("latitudes", "latitudes.numpy", "3", "float32") + ", " + kEraEntry + "}");
  CHECK(m.member(kFolder + "latitudes.numpy") == kLat);
  CHECK_FALSE(m.has_member(kFolder + "lat.numpy"));
  CHECK(m.tag("arrays/latitudes.npy") == tag);
  CHECK(m.find("arrays/latitudes.npy")->mtime.tv_sec == 1709210096);
}

TEST_CASE("an array whose bytes are damaged is not stored anew under another name", "[torch]") {
  Archive a = with_metadata();
  a.body[a.body.find(kLat)] = '!';
  Mounted m(a);
  REQUIRE_THROWS_WITH(m.rename("arrays/lat.npy", "arrays/x.npy"),
                      says("m.pt: member 'm/anemoi-metadata/lat.numpy' is damaged: its bytes do not have its CRC"));
  m.remove("arrays/lat.npy");
  m.commit();
  CHECK(m.names("arrays") == Names{"era/"});
}

TEST_CASE("an array is moved between directories, and onto another", "[torch]") {
  Mounted m(with_metadata());
  m.rename("arrays/era/mask.npy", "arrays/mask.npy");
  CHECK(m.names("arrays/era").empty());
  m.rename("arrays/mask.npy", "arrays/lat.npy");
  m.commit();
  CHECK(index_of(m) == "{\"era\": {}, " + entry("lat", "lat.numpy", "2, 4", "bool") + "}");
  CHECK(m.member(kFolder + "lat.numpy") == kMask);
  CHECK_FALSE(m.has_member(kFolder + "era/mask.numpy"));
  CHECK_FALSE(m.has_member(kFolder + "mask.numpy"));
}

TEST_CASE("a directory of arrays is made, renamed, emptied and removed", "[torch]") {
  Mounted m(with_metadata());
  m.edit(Op::Kind::make_dir, "arrays/new");
  m.edit(Op::Kind::make_dir, "arrays/new/deep");
  m.write("arrays/new/deep/x.npy", npy_file("<f4", {1}, "1234"));
  m.rename("arrays/new", "arrays/era/moved");
  m.commit();
  CHECK(m.names("arrays/era/moved/deep") == Names{"x.npy"});
  CHECK(m.member(kFolder + "era/moved/deep/x.numpy") == "1234");
  CHECK(code_of([&] { m.remove("arrays/era"); }) == Errc::not_empty);
  CHECK(code_of([&] { m.edit(Op::Kind::make_dir, "arrays/era"); }) == Errc::exists);
  CHECK(code_of([&] { m.edit(Op::Kind::make_dir, "arrays/none/d"); }) == Errc::not_found);
  m.edit(Op::Kind::remove_tree, "arrays/era/moved");
  m.remove("arrays/era/mask.npy");
  m.commit();
  CHECK(index_of(m) == "{" + kLatEntry + ", \"era\": {}}");
  CHECK(m.archive()->members().size() == 11);
  m.remove("arrays/era");
  CHECK(index_of(m) == "{" + kLatEntry + "}");
}

TEST_CASE("renames onto what cannot be replaced fail as on any filesystem", "[torch]") {
  Mounted m(with_metadata());
  m.edit(Op::Kind::make_dir, "arrays/empty");
  CHECK(code_of([&] { m.rename("arrays/lat.npy", "arrays/empty"); }) == Errc::is_directory);
  CHECK(code_of([&] { m.rename("arrays/empty", "arrays/lat.npy"); }) == Errc::not_directory);
  CHECK(code_of([&] { m.rename("arrays/empty", "arrays/era"); }) == Errc::not_empty);
  CHECK(code_of([&] { m.rename("arrays/era", "arrays/era/below"); }) == Errc::invalid);
  CHECK(code_of([&] { m.rename("arrays/none.npy", "arrays/x.npy"); }) == Errc::not_found);
  CHECK(code_of([&] { m.rename("arrays/lat.npy", "arrays/none/x.npy"); }) == Errc::not_found);
  CHECK(code_of([&] { m.rename("arrays/lat.npy", "arrays/lat"); }) == Errc::rejected);
  CHECK(code_of([&] { m.rename("arrays/lat.npy", "metadata/lat"); }) == Errc::immutable);
  CHECK(code_of([&] { m.rename("arrays/lat.npy", "lat.npy"); }) == Errc::immutable);
  CHECK(code_of([&] { m.rename("arrays", "other"); }) == Errc::immutable);
  CHECK(code_of([&] { m.edit(Op::Kind::remove_tree, "arrays"); }) == Errc::immutable);
  m.rename("arrays/era", "arrays/empty");  // onto an empty directory
  m.rename("arrays/lat.npy", "arrays/lat.npy");
  CHECK(m.names("arrays") == Names{"lat.npy", "empty/"});
  CHECK(m.read("arrays/empty/mask.npy") == npy_file("|b1", {2, 4}, kMask));
}

TEST_CASE("arrays and directories of arrays are exchanged", "[torch]") {
  Mounted m(with_metadata());
  m.edit(Op::Kind::exchange, "arrays/lat.npy", "arrays/era/mask.npy");
  m.edit(Op::Kind::make_dir, "arrays/other");
  m.edit(Op::Kind::exchange, "arrays/other", "arrays/era");
  CHECK(code_of([&] { m.edit(Op::Kind::exchange, "arrays/other", "arrays/lat.npy"); }) == Errc::rejected);
  CHECK(code_of([&] { m.edit(Op::Kind::exchange, "arrays/other", "arrays/none"); }) == Errc::not_found);
  m.commit();
  CHECK(m.read("arrays/lat.npy") == npy_file("|b1", {2, 4}, kMask));
  CHECK(m.read("arrays/other/mask.npy") == npy_file("<f4", {3}, kLat));
  CHECK(m.names("arrays/era").empty());
  CHECK(m.member(kFolder + "lat.numpy") == kMask);
  CHECK(m.member(kFolder + "other/mask.numpy") == kLat);
  CHECK(m.archive()->members().size() == 12);
}

TEST_CASE("a directory that anemoi would take for an array is refused", "[torch]") {
  Mounted m(with_metadata());
  m.edit(Op::Kind::make_dir, "arrays/d");
  m.write("arrays/d/path.npy", npy_file("<f4", {1}, "1234"));
  m.write("arrays/d/shape.npy", npy_file("<f4", {1}, "1234"));
  REQUIRE_THROWS_WITH(
      m.write("arrays/d/dtype.npy", npy_file("<f4", {1}, "1234")),
      says("arrays/d: anemoi takes a directory of path, shape and dtype, and nothing else, for an array"));
  m.write("arrays/d/x.npy", npy_file("<f4", {1}, "1234"));
  m.write("arrays/d/dtype.npy", npy_file("<f4", {1}, "1234"));
  CHECK(code_of([&] { m.remove("arrays/d/x.npy"); }) == Errc::rejected);
  CHECK(code_of([&] { m.rename("arrays/d/x.npy", "arrays/x.npy"); }) == Errc::rejected);
  CHECK(m.names("arrays/d").size() == 4);
}

TEST_CASE("directories of arrays are as deep as is read, and no deeper", "[torch]") {
  Mounted m(with_metadata());
  std::string path = "arrays";
  for (int i = 0; i < 31; ++i) m.edit(Op::Kind::make_dir, path += "/d");
  m.write(path + "/x.npy", npy_file("<f4", {1}, "1234"));
  REQUIRE_THROWS_WITH(m.edit(Op::Kind::make_dir, path + "/d"), says("directories of arrays can be 31 deep"));
  CHECK(code_of([&] { m.rename("arrays/d", "arrays/era/d"); }) == Errc::rejected);
  m.commit();
  CHECK(m.read(path + "/x.npy") == npy_file("<f4", {1}, "1234"));
}

TEST_CASE("arrays that are written without metadata wait for it", "[torch]") {
  Mounted m(checkpoint());
  m.write("arrays/x.npy", npy_file("<f4", {1}, "1234"));
  m.edit(Op::Kind::make_dir, "arrays/d");
  m.write("arrays/d/y.npy", npy_file("<f4", {1}, "5678"));
  CHECK(m.names("arrays") == Names{"x.npy", "d/"});
  CHECK(m.read("arrays/d/y.npy") == npy_file("<f4", {1}, "5678"));
  CHECK(m.waiting() == Names{"arrays/d", "arrays/d/y.npy", "arrays/x.npy"});
  CHECK_FALSE(m.find("metadata.json"));
  CHECK_FALSE(m.find("metadata"));
  m.rename("arrays/x.npy", "arrays/z.npy");
  m.write("metadata.json", "{\"version\": 1}");
  CHECK(m.waiting().empty());
  m.commit();
  CHECK(m.names("arrays") == Names{"z.npy", "d/"});
  CHECK(m.member(kFolder + "z.numpy") == "1234");
  CHECK(m.member(kFolder + "d/y.numpy") == "5678");
  CHECK(m.member(kFolder + "anemoi.json") == "{\"version\": 1, \"supporting_arrays_paths\": {" +
                                                 entry("z", "z.numpy", "1", "float32") + ", \"d\": {" +
                                                 entry("y", "d/y.numpy", "1", "float32") + "}}}");
}

TEST_CASE("what waits is not stored, and nothing waits when all of it is removed again", "[torch]") {
  Mounted m(with_metadata());
  m.remove("metadata.json");
  m.write("arrays/lat.npy", npy_file("<f4", {1}, "1234"));  // under the name of a member that stayed
  CHECK(m.waiting() == Names{"arrays/lat.npy"});
  m.remove("arrays/lat.npy");
  CHECK(m.waiting().empty());
  m.write("arrays/lat.npy", npy_file("<f4", {1}, "1234"));
  m.commit();
  CHECK(m.member(kFolder + "lat.numpy") == kLat);
  CHECK_FALSE(m.has_member(kFolder + "anemoi.json"));
}

TEST_CASE("what waits comes before what a new document says", "[torch]") {
  Mounted m(with_metadata());
  m.remove("metadata.json");
  m.commit();
  m.write("arrays/lat.npy", npy_file("<i2", {6}, "111122223333"));
  m.write("metadata.json", kMetadata);
  m.commit();
  CHECK(m.read("arrays/lat.npy") == npy_file("<i2", {6}, "111122223333"));
  CHECK(m.read("arrays/era/mask.npy") == npy_file("|b1", {2, 4}, kMask));
}
