// Stores of Earth2Studio that others left damaged or made up, and edits that would leave them so.

#include <cerrno>
#include <memory>
#include <system_error>

#include "catch.hpp"
#include "earth2studio_store.hpp"
#include "formats/earth2studio/catalog.hpp"
#include "formats/earth2studio/display.hpp"

using namespace ckptree;
using namespace ckptree::earth2studio;
using namespace ckptree_test;

namespace {

std::string shown(const std::string& text) { return displayed(parse(text, "here")); }

}  // namespace

TEST_CASE("a label that has a kind and not the rest is shown as the object it is", "[earth2studio]") {
  CHECK(shown(R"({"kind": "timedelta"})") == "{'kind': 'timedelta'}");
  CHECK(shown(R"([{"kind": "np_dtype"}, 1])") == "[{'kind': 'np_dtype'}, 1]");
  CHECK(shown(R"({"kind": "ndarray_label", "dtype": "float32", "shape": [900], "values": [1.0]})") ==
        "{'kind': 'ndarray_label', 'dtype': 'float32', 'shape': [900], 'values': [1.0]}");
  CHECK(shown(R"([{"kind": "ndarray_label", "shape": [], "values": 5}])") ==
        "[{'kind': 'ndarray_label', 'shape': [], 'values': 5}]");
  TestStore store;
  store.put("catalog.json", R"({"entries": [{"commit_id": "c", "saved_at": "s",
      "labels": {"x": {"\u006bind": "timedelta"}, "y": {"kind": "date", "value": "2024-01-01"}}}]})");
  store.open();
  CHECK(store.read("catalog.tsv") ==
        "row\tcommit_id\tx\ty\twrite_count\tsaved_at\trank\tworld_size\n"
        "0\tc\t{'kind': 'timedelta'}\t2024-01-01\t0\ts\t0\t1\n");
}

TEST_CASE("an edit of labels that print could not decode is refused", "[earth2studio]") {
  TestStore store;
  CHECK_THROWS_WITH(store.edit("rows/1/labels.json", R"({"x": {"kind": "timedelta"}})"),
                    says("labels.json: x: expected an integer of days, got {\"kind\": \"timedelta\"}"));
  CHECK_THROWS_WITH(store.edit("rows/1/labels.json", R"({"x": [1, {"kind": "date"}]})"),
                    says("labels.json: x/1: expected a date such as 2024-01-01"));
  store.edit("next/labels.json", R"({"x": {"kind": "np_dtype", "value": "float33"}})");
  CHECK_THROWS_WITH(store.rename("next", "rows/next"), says("next/labels.json: x: expected a dtype such as float32"));
  store.edit("rows/1/labels.json", R"({"day": {"kind": "date", "value": "2024-01-01"}})");
  CHECK(store.read("catalog.tsv").find("2024-01-01\t") != std::string::npos);
  SECTION("one that a program left there does not stand in the way of others") {
    std::string catalog = store.file("catalog.json");
    catalog.replace(catalog.find("2024-01-01\""), 11, "some day\"");
    store.put("catalog.json", catalog);
    store.open();
    store.edit("rows/1/labels/other", "1");
    CHECK(store.read("rows/1/labels/day/value") == "some day\n");
  }
}

TEST_CASE("a damaged catalog is rebuilt from the manifests", "[earth2studio]") {
  TestStore store;
  const std::string right = store.read("catalog.tsv");
  SECTION("damaged") { store.put("catalog.json", "{\"entries\": [{"); }
  SECTION("missing") { store.disk.remove("/store/catalog.json"); }
  store.open();
  CHECK(store.read("catalog.tsv") == right);
  CHECK(store.session->status_json().find("the rows are those of the manifests") != std::string::npos);
  // The next commit stores it.
  store.edit("rows/1/metadata/note", "another\n");
  CHECK(parse_catalog(store.file("catalog.json"), "catalog.json").size() == 3);
}

TEST_CASE("the catalog is looked at once, whatever a run does meanwhile", "[earth2studio]") {
  /// A store whose catalog cannot be opened `failures` times, and is in no listing yet.
  struct Hasty final : Source {
    const std::string& path() const override { return name; }
    bool is_directory() const override { return true; }
    Names list(const std::string&) const override { return listed; }
    Ptr<File> open(const std::string& relative) const override {
      if (relative != "catalog.json" || opened++ < failures)
        throw std::system_error(ENOENT, std::generic_category(), relative);
      return memory_file(relative, "{\"entries\": []}");
    }
    std::string name = "/store";
    Names listed;
    mutable int opened = 0;
    int failures = 0;
  };
  const auto source = std::make_shared<Hasty>();
  SECTION("it appears after the store was listed") {}
  SECTION("it is there") { source->listed = {"catalog.json"}; }
  SECTION("it fails once") {
    source->listed = {"catalog.json"};
    source->failures = 1;
  }
  const auto model = earth2studio_format().open(source, ViewOptions());
  CHECK(source->opened == 1);
  const std::string text = model->find({"catalog.json"})->content.text(1000, "catalog.json");
  CHECK(text == (source->failures ? catalog_text({}) : "{\"entries\": []}"));
}

TEST_CASE("a row after the one with the last write_count is refused", "[earth2studio]") {
  ViewOptions options = TestStore::all();
  options.edits_append = true;
  TestStore store(options);
  std::string catalog = store.file("catalog.json");
  const std::string count = "\"write_count\": 3";
  catalog.replace(catalog.find(count), count.size(), "\"write_count\": 9223372036854775807");
  store.put("catalog.json", catalog);
  store.open();
  CHECK_THROWS_WITH(store.edit("rows/2/metadata/note", "x"), says("9223372036854775807, and can have no next"));
  store.edit("next/metadata/note", "x");
  CHECK_THROWS_WITH(store.rename("next", "rows/next"), says("9223372036854775807, and can have no next"));
  CHECK(store.file("catalog.json") == catalog);
}

TEST_CASE("what is damaged fails, and the rest stays readable", "[earth2studio]") {
  TestStore store;
  SECTION("a manifest") {
    store.put("commits/commit_00000002_bbbbbbbbbbbb/manifest.json", "{");
    store.open();
    CHECK_THROWS_WITH(store.names("rows/1/states"), says("commits/commit_00000002_bbbbbbbbbbbb/manifest.json:1:2: "));
    CHECK_THROWS_WITH(store.edit("rows/1/metadata/note", "x"), says("manifest.json:1:2: "));
  }
  SECTION("a commit directory that is gone") {
    store.disk.remove_tree("/store/commits/commit_00000002_bbbbbbbbbbbb");
    store.open();
    CHECK_THROWS_WITH(store.read("rows/1/manifest.json"), says("manifest.json: cannot be read: No such file"));
  }
  SECTION("an array whose header disagrees") {
    store.put("commits/commit_00000002_bbbbbbbbbbbb/states/" + hashed("my.module.Noise") + "/noise.npy",
              npy_of("<f8", {1}, "abcdefgh"));
    store.open();
    CHECK_THROWS_WITH(store.read("rows/1/states/my.module.Noise/noise.npy"),
                      says("metadata.json says float32 2, the file has float64 1"));
    CHECK(store.read("rows/1/states/my.module.Noise/seed") == "42\n");
  }
  CHECK(store.read("rows/1/metadata/note") == "a text\n");
  CHECK(store.read("rows/0/states/my.module.Noise/seed") == "42\n");
  CHECK(store.read("catalog.tsv").find("a text") != std::string::npos);
}
