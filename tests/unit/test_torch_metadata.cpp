#include "torch_checkpoint.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

/// Every byte of the storages is where it was.
void check_storages(Mounted& m, const Archive& before) {
  const auto now = m.archive();
  const auto old = open(before.bytes());
  for (const zip::Member& member : old->members()) {
    if (member.name.compare(0, 7, "m/data/") != 0) continue;
    REQUIRE(now->find(member.name));
    CHECK(now->data_offset(*now->find(member.name)) == old->data_offset(member));
    CHECK(text_of(*now, member.name) == text_of(*old, member.name));
  }
}

const std::string kEdited = metadata_with(kIndex).replace(13, 3, "2.0");

}  // namespace

TEST_CASE("a document that is written is stored byte for byte", "[torch]") {
  Mounted m(with_metadata());
  const std::string text = " {\"version\":  1e3, \"supporting_arrays_paths\" : " + kIndex + ", \"n\": NaN}\n\n";
  m.write("metadata.json", text);
  CHECK(m.read("metadata.json") == text);
  CHECK(m.read("metadata/n") == "NaN\n");
  const std::string tag = m.tag("metadata.json"), array = m.tag("arrays/lat.npy");
  CHECK(m.commit() > 0);
  CHECK(m.member("m/anemoi-metadata/anemoi.json") == text);
  CHECK(m.read("metadata.json") == text);
  CHECK(m.tag("metadata.json") == tag);
  CHECK(m.tag("arrays/lat.npy") == array);
  CHECK_FALSE(m.warns("put right"));
  CHECK(m.find("metadata.json")->mtime.tv_sec == 1'750'000'000);
  CHECK(m.find("arrays/lat.npy")->mtime.tv_sec == 1709210096);
  CHECK(m.disk.seen().size() == 1);
  CHECK(m.disk.seen().at(Mounted::kPath).attributes == "0640");
  check_storages(m, with_metadata());
}

TEST_CASE("a time that the writer set wins over that of the commit", "[torch]") {
  Mounted m(with_metadata());
  Op op;
  op.path = {"metadata.json"};
  op.content = Recipe::literal(kEdited);
  op.mtime = std::timespec{1'600'000'001, 0};
  m.apply(op);
  CHECK(m.find("metadata.json")->mtime.tv_sec == 1'600'000'001);
  m.commit();
  CHECK(m.find("metadata.json")->mtime.tv_sec == 1'600'000'001);
}

TEST_CASE("the same bytes are no change", "[torch]") {
  Mounted m(with_metadata());
  m.write("metadata.json", kMetadata);
  m.write("arrays/lat.npy", m.read("arrays/lat.npy"));
  m.write("metadata/uuid", "y\n");
  m.write("metadata/uuid", "x\n");
  CHECK(m.commit() == 0);
  CHECK(m.archive()->members().size() == 12);
}

TEST_CASE("a text that is not the metadata of anemoi is refused", "[torch]") {
  Mounted m(with_metadata());
  const auto refused = [&](const std::string& text, const std::string& sentence, Errc code) {
    INFO(text);
    REQUIRE_THROWS_WITH(m.write("metadata.json", text), says(sentence));
    CHECK(code_of([&] { m.write("metadata.json", text); }) == code);
  };
  refused("[1, 2]", "metadata.json: expected a JSON object: the metadata of anemoi is a dict", Errc::rejected);
  refused("null", "metadata.json: expected a JSON object", Errc::rejected);
  refused("{\"a\": 1}", "metadata.json: must have a key 'version', as the old one has", Errc::rejected);
  refused("{\"version\": 1,}", "metadata.json:1:15:", Errc::rejected);
  refused("{\"version\": 1", "metadata.json:1:", Errc::incomplete);
  refused("", "metadata.json:1:", Errc::incomplete);
  CHECK(m.commit() == 0);
}

TEST_CASE("a document without a version need not get one", "[torch]") {
  Mounted m(with_metadata("{\"a\": 1}"));
  m.write("metadata.json", "{\"a\": 2}");
  m.commit();
  CHECK(m.member("m/anemoi-metadata/anemoi.json") == "{\"a\": 2}");
}

TEST_CASE("the index of arrays is kept right whatever a text says", "[torch]") {
  Mounted m(with_metadata());
  const std::string index = GENERATE("{}", "{\"lat\": 1}", "null", "[]",
                                     R"({"lat": {"path": "m/data/0", "shape": [1000], "dtype": "float32"}})");
  m.write("metadata.json", "{\"version\": 2, \"supporting_arrays_paths\": " + index + ", \"z\": 0}");
  CHECK(m.read("metadata.json") == "{\"version\": 2, \"supporting_arrays_paths\": " + kIndex + ", \"z\": 0}");
  CHECK(m.warns("supporting_arrays_paths was put right in 1 edits"));
  m.commit();
  CHECK(m.names("arrays") == Names{"lat.npy", "era/"});
}

TEST_CASE("an index that a text lacks is added, one that says the same otherwise is left", "[torch]") {
  Mounted m(with_metadata());
  m.write("metadata.json", "{\"version\": 2}");
  CHECK(m.read("metadata.json") == "{\"version\": 2, \"supporting_arrays_paths\": " + kIndex + "}");
  const std::string same = R"({"version": 3, "supporting_arrays_paths": {
    "era": {"mask": {"dtype": "|b1", "shape": [2,4], "path": "m\/anemoi-metadata\/era\/mask.numpy"}},
    "lat": {"dtype": "<f4", "path": "m/anemoi-metadata/lat.numpy", "shape": [3]}}})";
  m.write("metadata.json", same);
  CHECK(m.read("metadata.json") == same);
}

TEST_CASE("a document without arrays says none, whatever a text says", "[torch]") {
  Mounted m(checkpoint().python("m/anemoi-metadata/anemoi.json", "{\"version\": 1}"));
  m.write("metadata.json", "{\"version\": 2}");
  CHECK(m.read("metadata.json") == "{\"version\": 2}");
  m.write("metadata.json", "{\"version\": 3, \"supporting_arrays_paths\": " + kIndex + "}");
  CHECK(m.read("metadata.json") == "{\"version\": 3, \"supporting_arrays_paths\": {}}");
}

TEST_CASE("an edit of one value replaces its bytes and nothing else", "[torch]") {
  Mounted m(with_metadata());
  const std::string array = m.tag("arrays/era/mask.npy");
  m.write("metadata/config/lr", "2e-4\n");
  std::string expected = kMetadata;
  expected.replace(expected.find("0.001"), 5, "2e-4");
  CHECK(m.read("metadata.json") == expected);
  CHECK(m.commit() > 0);
  CHECK(m.member("m/anemoi-metadata/anemoi.json") == expected);
  CHECK(m.tag("arrays/era/mask.npy") == array);
  check_storages(m, with_metadata());
}

TEST_CASE("keys are made, renamed and removed, but for the version and the index", "[torch]") {
  Mounted m(with_metadata());
  m.edit(Op::Kind::make_dir, "metadata/new");
  m.write("metadata/new/a", "1");
  m.rename("metadata/uuid", "metadata/new/id");
  m.edit(Op::Kind::remove_tree, "metadata/config");
  CHECK(m.names("metadata") == Names{"version", "supporting_arrays_paths/", "new/"});
  CHECK(m.names("metadata/new") == Names{"a", "id"});
  m.rename("metadata/version", "metadata/version");
  m.write("metadata/version", "9");
  for (const auto kind : {Op::Kind::remove, Op::Kind::remove_tree}) {
    CHECK(code_of([&] { m.edit(kind, "metadata/version"); }) == Errc::rejected);
    CHECK(code_of([&] { m.edit(kind, "metadata/supporting_arrays_paths"); }) == Errc::immutable);
    CHECK(code_of([&] { m.edit(kind, "metadata"); }) == Errc::immutable);
  }
  REQUIRE_THROWS_WITH(m.rename("metadata/version", "metadata/v"),
                      says("metadata/version: the metadata must keep its key 'version'"));
  REQUIRE_THROWS_WITH(m.write("metadata/supporting_arrays_paths/lat/dtype", "int8"),
                      says("metadata/supporting_arrays_paths: follows from arrays/"));
  CHECK(code_of([&] { m.rename("metadata/new", "metadata/supporting_arrays_paths/x"); }) == Errc::immutable);
  CHECK(code_of([&] { m.rename("metadata/new/a", "arrays/a.npy"); }) == Errc::immutable);
  CHECK(code_of([&] { m.rename("metadata/new/a", "metadata"); }) == Errc::immutable);
  m.commit();
  CHECK(m.read("metadata/version") == "9\n");
}

TEST_CASE("a document is not renamed and is no directory", "[torch]") {
  Mounted m(with_metadata());
  CHECK(code_of([&] { m.rename("metadata.json", "other.json"); }) == Errc::immutable);
  CHECK(code_of([&] { m.edit(Op::Kind::exchange, "metadata.json", "arrays/lat.npy"); }) == Errc::immutable);
  CHECK(code_of([&] { m.edit(Op::Kind::make_dir, "metadata.json"); }) == Errc::immutable);
}

TEST_CASE("a broken document is shown as it is stored, and a good one replaces it", "[torch]") {
  const std::string broken =
      GENERATE("{\"version\": 1, ", "", "[1, 2]", "{\"version\": 1, \"supporting_arrays_paths\": 7}");
  Mounted m(with_metadata(broken));
  CHECK(m.read("metadata.json") == broken);
  CHECK(m.names("").size() == 12);
  CHECK(code_of([&] { m.names("arrays"); }) == Errc::corrupt);
  CHECK(code_of([&] { m.find("arrays/lat.npy"); }) == Errc::corrupt);
  CHECK(code_of([&] { m.read("arrays.tsv"); }) == Errc::corrupt);
  CHECK(code_of([&] { m.write("arrays/x.npy", npy_file("<f4", {1}, "1234")); }) == Errc::corrupt);
  CHECK_FALSE(m->vacant({"arrays", "x.npy"}));
  CHECK(m.find("arrays"));
  if (broken.empty() || broken.back() == ' ') {
    CHECK(code_of([&] { m.names("metadata"); }) == Errc::corrupt);
    CHECK(code_of([&] { m.find("metadata/version"); }) == Errc::corrupt);
    CHECK(m.warns("the stored document is broken: metadata.json:1:"));
  }
  // Of its index those entries stay that lead to an array.
  const std::string index = R"({"lat": {"path": "m/anemoi-metadata/lat.numpy", "shape": [3], "dtype": "float32"}, )"
                            R"("gone": {"path": "m/anemoi-metadata/gone.numpy", "shape": [3], "dtype": "float32"}})";
  m.write("metadata.json", "{\"version\": 2, \"supporting_arrays_paths\": " + index + "}");
  CHECK(m.names("arrays") == Names{"lat.npy"});
  m.commit();
  CHECK(m.read("arrays/lat.npy") == npy_file("<f4", {3}, kLat));
}

TEST_CASE("a new document goes below the one top directory, with an index", "[torch]") {
  Mounted m(checkpoint());
  CHECK(m->vacant({"metadata.json"})->saving == Node::Saving::whole);
  m.write("metadata.json", "{\"version\": 1}\n");
  CHECK(m.read("metadata.path") == "m/anemoi-metadata/anemoi.json\n");
  const std::string tag = m.tag("metadata.json");
  m.commit();
  CHECK(m.member("m/anemoi-metadata/anemoi.json") == "{\"version\": 1, \"supporting_arrays_paths\": {}}\n");
  CHECK(m.read("metadata.path") == "m/anemoi-metadata/anemoi.json\n");
  CHECK(m.tag("metadata.json") == tag);
  const auto d = m.archive();
  CHECK(d->members().back().name == "m/anemoi-metadata/anemoi.json");
  CHECK(d->data_offset(d->members().back()) % 64 == 0);
  check_storages(m, checkpoint());
}

TEST_CASE("name and folder of new metadata can be chosen", "[torch]") {
  ViewOptions options;
  options.metadata_name = "mine.json";
  options.metadata_folder = "a/b";
  Mounted m(checkpoint(), options);
  m.write("metadata.json", "{}");
  m.write("arrays/x.npy", npy_file("<f4", {1}, "1234"));
  m.commit();
  CHECK(m.read("metadata.path") == "m/a/b/mine.json\n");
  CHECK(m.member("m/a/b/x.numpy") == "1234");
}

TEST_CASE("new metadata needs one top directory", "[torch]") {
  Archive two = checkpoint();
  two.python("other/readme", "x");
  Archive top = checkpoint();
  top.python("readme", "x");
  for (const auto& [archive, found] :
       {std::make_pair(two, "found 'm', 'other'"), std::make_pair(top, "found members at the top, 'm'")}) {
    Mounted m(archive);
    REQUIRE_THROWS_WITH(m.write("metadata.json", "{}"), says(found));
    CHECK(code_of([&] { m.write("metadata.json", "{}"); }) == Errc::ambiguous);
    CHECK(code_of([&] { m.write("arrays/x.npy", npy_file("<f4", {1}, "1234")); }) == Errc::ambiguous);
  }
}

TEST_CASE("rm metadata.json takes the document and leaves the members of arrays", "[torch]") {
  Mounted m(with_metadata());
  m.remove("metadata.json");
  CHECK(m.names("") == Names{"kind", "arrays/", "arrays.tsv", "tensors/", "tensors.tsv", "values/", "object/",
                             "imports/", "imports.tsv"});
  CHECK(m.names("arrays").empty());
  m.commit();
  CHECK_FALSE(m.has_member("m/anemoi-metadata/anemoi.json"));
  CHECK(m.member("m/anemoi-metadata/lat.numpy") == kLat);
  CHECK(m.names("arrays").empty());
  CHECK(code_of([&] { m.remove("metadata.json"); }) == Errc::not_found);

  // An array written under such a name takes its place; a document that names the other one has it again.
  m.write("metadata.json", "{\"version\": 1}");
  m.write("arrays/lat.npy", npy_file("<i2", {2}, "1234"));
  m.commit();
  CHECK(m.member("m/anemoi-metadata/lat.numpy") == "1234");
  m.remove("metadata.json");
  m.commit();
  m.write("metadata.json", metadata_with(kIndex));
  CHECK(m.names("arrays") == Names{"era/"});  // lat is another array now
  CHECK(m.read("arrays/era/mask.npy") == npy_file("|b1", {2, 4}, kMask));
}

TEST_CASE("with remove=all the members of arrays go too, and no others", "[torch]") {
  ViewOptions options;
  options.remove_all = true;
  const std::string index = R"({"a": {"path": "m/anemoi-metadata/lat.numpy", "shape": [3], "dtype": "float32"}, )"
                            R"("b": {"path": "m/data/0", "shape": [1000], "dtype": "float32"}})";
  Mounted m(with_metadata("{\"supporting_arrays_paths\": " + index + "}"), options);
  m.remove("metadata.json");
  m.commit();
  CHECK_FALSE(m.has_member("m/anemoi-metadata/lat.numpy"));
  CHECK(m.has_member("m/anemoi-metadata/era/mask.numpy"));  // the index did not know it
  CHECK(m.member("m/data/0") == std::string(4000, '0'));
}

TEST_CASE("a document that was removed can be broken", "[torch]") {
  ViewOptions options;
  options.remove_all = GENERATE(false, true);
  Mounted m(with_metadata("{"), options);
  m.remove("metadata.json");
  m.commit();
  CHECK_FALSE(m.has_member("m/anemoi-metadata/anemoi.json"));
  CHECK(m.has_member("m/anemoi-metadata/lat.numpy"));
}

TEST_CASE("members without a CRC are shown and edited like others", "[torch]") {
  Archive a = checkpoint();
  a.torch("m/anemoi-metadata/anemoi.json", kMetadata, false).torch("m/anemoi-metadata/lat.numpy", kLat, false);
  a.torch("m/anemoi-metadata/era/mask.numpy", kMask, false);
  Mounted m(a);
  CHECK(m.read("metadata.json") == kMetadata);
  CHECK(m.tag("arrays/lat.npy") != m.tag("arrays/era/mask.npy"));
  m.write("metadata.json", kMetadata);
  m.write("arrays/lat.npy", npy_file("<f4", {3}, kLat));
  CHECK(m.commit() == 0);
  m.write("metadata.json", kEdited);
  CHECK(m.commit() > 0);
  CHECK(m.read("metadata.json") == kEdited);
}
