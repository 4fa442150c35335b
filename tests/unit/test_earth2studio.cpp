// Stores of Earth2Studio on a disk in memory: what is shown, and what edits become.

#include <algorithm>

#include "catch.hpp"
#include "earth2studio_store.hpp"
#include "formats/earth2studio/catalog.hpp"
#include "formats/earth2studio/display.hpp"
#include "formats/earth2studio/np_time.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/typed.hpp"

using namespace ckptree;
using namespace ckptree::earth2studio;
using namespace ckptree_test;

namespace {

Json json_of(const std::string& text) { return parse(text, "here"); }

std::string shown(const std::string& text) { return displayed(json_of(text)); }

}  // namespace

TEST_CASE("a store shows its rows, their documents and states", "[earth2studio]") {
  TestStore store;
  CHECK(store.read("kind") == "earth2studio\n");
  CHECK(store.read("name") == "forecast\n");
  CHECK(store.read("catalog.json") == store.file("catalog.json"));
  CHECK(store.names("rows") == "0 1 2");
  CHECK(store.link("latest") == "rows/2");
  CHECK(store.link("rows/-1") == "2");
  CHECK(store.link("rows/-3") == "0");
  CHECK_FALSE(store.has("rows/-4"));
  CHECK_FALSE(store.has("rows/3"));
  CHECK_FALSE(store.has("rows/01"));
  CHECK(store.link("commits/commit_00000002_bbbbbbbbbbbb") == "../rows/1");
  CHECK(store.read("rows/1/commit_id") == "commit_00000002_bbbbbbbbbbbb\n");
  CHECK(store.read("rows/1/write_count") == "2\n");
  CHECK(store.read("rows/1/mode") == "append\n");
  CHECK(store.read("rows/1/lead_time") == "{\"kind\": \"np_timedelta64\", \"unit\": \"h\", \"value\": 6}\n");
  CHECK(store.read("rows/1/metadata_keys") == "[\n\"lead_time\",\n\"note\",\n\"rate\",\n\"pair\"\n]\n");
  CHECK(store.read("rows/1/metadata/lead_time/value") == "6\n");
  CHECK(store.read("rows/1/metadata/note") == "a text\n");
  CHECK(store.read("rows/1/labels/member") == "1\n");
  CHECK(store.names("rows/1/states") == "my.module.Noise");
  CHECK(store.names("rows/1/states/my.module.Noise") == "state_id schema_hash noise.npy seed %73tate_id tags");
  CHECK(store.read("rows/1/states/my.module.Noise/seed") == "42\n");
  CHECK(store.read("rows/1/states/my.module.Noise/tags") == "[\n1,\n\"two\"\n]\n");
  CHECK(store.read("rows/1/states/my.module.Noise/noise.npy") == npy_of("<f4", {2}, "abcdefgh"));
  CHECK(store.read("rows/1/states.tsv") ==
        "state_id\tfield\tdtype\tshape\tnbytes\nmy.module.Noise\tnoise\tfloat32\t2\t8\n"
        "my.module.Noise\tseed\tint\t\t\nmy.module.Noise\t%73tate_id\tstr\t\t\nmy.module.Noise\ttags\ttuple\t\t\n");
  CHECK(store.read("catalog.tsv").find("1\tcommit_00000002_bbbbbbbbbbbb\t1\t6 hours\ta text\t[1, 2]\t0.5\t2\t") !=
        std::string::npos);
}

TEST_CASE("values are shown as print(checkpoint) shows them", "[earth2studio]") {
  CHECK(shown("null").empty());
  CHECK(shown("true") == "True");
  CHECK(shown("NaN") == "nan");
  CHECK(shown("1e5") == "100000.0");
  CHECK(shown("1e-05") == "1e-05");
  CHECK(shown("[1, \"it's\", null, [true]]") == "[1, \"it's\", None, [True]]");
  CHECK(shown("{\"a\": {\"kind\": \"date\", \"value\": \"2024-01-01\"}}") ==
        "{'a': {'kind': 'date', 'value': '2024-01-01'}}");
  CHECK(shown("[{\"kind\": \"date\", \"value\": \"2024-01-01\"}]") == "[datetime.date(2024, 1, 1)]");
  CHECK(shown("{\"kind\": \"datetime\", \"value\": \"2024-01-01T06:00:00\"}") == "2024-01-01 06:00:00");
  CHECK(shown("{\"kind\": \"timedelta\", \"days\": -1, \"seconds\": 3600, \"microseconds\": 5}") ==
        "-1 day, 1:00:00.000005");
  CHECK(shown("{\"kind\": \"np_timedelta64\", \"value\": 90, \"unit\": \"m\"}") == "90 minutes");
  CHECK(shown("{\"kind\": \"np_timedelta64\", \"value\": 1, \"unit\": \"D\"}") == "24 hours");
  CHECK(shown("{\"kind\": \"np_timedelta64\", \"value\": 3600000000000, \"unit\": \"ns\"}") == "1 hours");
  CHECK(shown("{\"kind\": \"np_timedelta64\", \"value\": 0, \"unit\": \"s\"}") == "0 hours");
  CHECK(shown("{\"kind\": \"np_timedelta64\", \"value\": -9223372036854775808, \"unit\": \"s\"}") == "NaT");
  CHECK(shown("{\"kind\": \"torch_dtype\", \"value\": \"torch.float16\"}") == "torch.float16");
  CHECK(shown("{\"kind\": \"mine\", \"value\": 1}") == "{'kind': 'mine', 'value': 1}");
  CHECK(shown("{\"kind\": \"ndarray_label\", \"dtype\": \"int64\", \"shape\": [2, 2], \"values\": [1, 20, 3, 4]}") ==
        "[[ 1, 20],\n [ 3,  4]]");
  CHECK(shown("{\"kind\": \"ndarray_label\", \"dtype\": \"float64\", \"shape\": [2], \"values\": [1.0, 2.5]}") ==
        "[1. , 2.5]");
}

TEST_CASE("a typed value that does not parse is refused with what was expected", "[earth2studio]") {
  const auto refused = [](const std::string& value, const std::string& sentence) {
    REQUIRE_THROWS_WITH(check_typed(json_of(value), "k"), says(sentence));
  };
  refused(R"({"kind": "date", "value": "2023-02-29"})", "k: expected a date such as 2024-01-01, got \"2023-02-29\"");
  refused(R"({"kind": "datetime", "value": "2024-01-01T25:00"})",
          "k: expected a date and time such as 2024-01-01T06:00:00, got \"2024-01-01T25:00\"");
  refused(R"({"kind": "np_timedelta64", "value": 1.5, "unit": "h"})", "k: expected an integer of 64 bits, got 1.5");
  refused(R"({"kind": "np_timedelta64", "value": 1, "unit": "parsec"})",
          "k: expected a unit of NumPy such as h, D or ns, got \"parsec\"");
  refused(R"({"kind": "torch_device", "value": "toaster"})",
          "k: expected a device such as cpu or cuda:0, got \"toaster\"");
  refused(R"({"kind": "np_dtype", "value": "float33"})", "k: expected a dtype such as float32, got \"float33\"");
  refused(R"({"kind": "timedelta", "days": 1})", "k: expected an integer of seconds");
  refused(R"({"kind": "ndarray_label", "dtype": "int64", "shape": [2], "values": [1]})",
          "k: expected 2 values, as the shape says, got 1");
  CHECK_NOTHROW(check_typed(json_of(R"({"kind": "np_datetime64", "value": "2024-02-29T06", "unit": "h"})"), "k"));
  CHECK_NOTHROW(check_typed(json_of(R"({"kind": "np_datetime64", "value": "NaT", "unit": "generic"})"), "k"));
}

TEST_CASE("numpy times survive the way to text and back", "[earth2studio]") {
  for (const std::int64_t count : {0LL, -1LL, 1LL, 19723LL, -719529LL, 123456789LL})
    for (const char* unit : {"Y", "M", "D", "h", "m", "s", "ms", "us", "ns"}) {
      const std::string text = np_datetime_text(count, unit);
      INFO(text << " in " << unit);
      if (std::string(unit) == "Y" && (count > 7'000'000 || count < -2000)) continue;
      if (std::string(unit) == "M" && count > 70'000'000) continue;
      CHECK(np_datetime_of(text, unit) == count);
    }
  CHECK(np_datetime_text(19723, "D") == "2024-01-01");
  CHECK(np_datetime_text(473358, "h") == "2024-01-01T06");
  CHECK_FALSE(np_datetime_of("2024-02-30", "D").has_value());
}

TEST_CASE("a catalog without members that later releases added has their defaults", "[earth2studio]") {
  const auto rows = parse_catalog(
      R"({"entries": [{"commit_id": "c", "saved_at": "s", "artifacts": ["a"], "write_count": "7",
          "lead_time": {"kind": "np_timedelta64", "value": 6, "unit": "h"}}]})",
      "catalog.json");
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]->write_count() == 7);
  CHECK(rows[0]->world_size() == 1);
  CHECK(rows[0]->labels().members.empty());
  CHECK(rows[0]->metadata_keys() == std::vector<std::string>{"a"});
  CHECK(rows[0]->metadata().find("lead_time") != nullptr);
  CHECK(parse_catalog("{}", "catalog.json").empty());
  CHECK(catalog_text({}) == "{\n  \"entries\": [],\n  \"version\": 1\n}\n");
}

TEST_CASE("a catalog that upstream would not take is told with its place", "[earth2studio]") {
  const auto refused = [](const std::string& text, const std::string& sentence) {
    REQUIRE_THROWS_WITH(parse_catalog(text, "catalog.json"), says(sentence));
  };
  refused("{", "catalog.json:1:2: ");
  refused("[]", "catalog.json: expected an object");
  refused(R"({"entries": null})", "catalog.json: entries: expected a list");
  refused(R"({"entries": [{"saved_at": ""}]})", "catalog.json: entries/0: has no commit_id");
  refused(R"({"entries": [{"commit_id": "c"}]})", "catalog.json: entries/0: has no saved_at");
  refused(R"({"entries": [{"commit_id": "c", "saved_at": "s", "labels": null}]})",
          "catalog.json: entries/0/labels: expected an object");
  refused(R"({"entries": [{"commit_id": "c", "saved_at": "s", "metadata": {"d": {"kind": "date"}}}]})",
          "catalog.json: entries/0/metadata/d: expected a date");
  refused(R"({"entries": [{"commit_id": "c", "saved_at": "s", "metadata": {"d": {"\u006bind": "date"}}}]})",
          "catalog.json: entries/0/metadata/d: expected a date");
}

TEST_CASE("an edit of metadata is a new commit in the place of the old one, in both encodings", "[earth2studio]") {
  TestStore store;
  const std::string before = store.file("catalog.json");
  store.edit("rows/1/metadata/lead_time/value", "12\n");
  CHECK(store.names("rows") == "0 1 2");
  const std::string id = store.commit_id(1);
  CHECK(id.compare(0, 16, "commit_00000002_") == 0);
  CHECK(id != "commit_00000002_bbbbbbbbbbbb");
  CHECK(store.read("rows/1/write_count") == "2\n");
  CHECK(store.read("rows/1/saved_at") == "2024-01-02T00:00:00+00:00\n");
  std::string expected = before;
  expected.replace(expected.find("commit_00000002_bbbbbbbbbbbb"), 28, id);
  const std::size_t row = expected.find(id), value = expected.find("\"value\": 6", row);
  expected.replace(value, 10, "\"value\": 12");
  CHECK(store.file("catalog.json") == expected);
  const Json manifest = json_of(store.file("commits/" + id + "/manifest.json"));
  CHECK(manifest.find("commit_id")->text == id);
  CHECK(manifest.find("metadata")->find("lead_time")->find("value")->text == "12");
  CHECK(manifest.find("metadata")->find("pair")->find("kind")->text == "tuple");
  // What it replaced stays for a run that may name it again; arrays are the same file.
  const std::string array = "/states/" + hashed("my.module.Noise") + "/noise.npy";
  CHECK(store.disk.fingerprint("/store/commits/commit_00000002_bbbbbbbbbbbb" + array) ==
        store.disk.fingerprint("/store/commits/" + id + array));
  CHECK(store.session->sweep() == 1);
  CHECK_FALSE(store.disk.exists("/store/commits/commit_00000002_bbbbbbbbbbbb"));
  CHECK(store.read("rows/1/states/my.module.Noise/noise.npy").size() > 8);
  CHECK(store.disk.list("/store") == Names{"catalog.json", "commits"});
}

TEST_CASE("kinds that the catalog cannot tell survive an edit", "[earth2studio]") {
  TestStore store;
  store.edit("rows/1/metadata/pair", "[1, 3]\n");
  store.edit("rows/1/metadata/rate", "2\n");
  store.edit("rows/1/metadata/fresh", "2\n");
  const Json manifest = json_of(store.file("commits/" + store.commit_id(1) + "/manifest.json"));
  const Json& metadata = *manifest.find("metadata");
  CHECK(dumps_line(*metadata.find("pair")) ==
        R"({"items": [{"kind": "int", "value": 1}, {"kind": "int", "value": 3}], "kind": "tuple"})");
  CHECK(dumps_line(*metadata.find("rate")) == R"({"kind": "float", "value": 2.0})");
  CHECK(dumps_line(*metadata.find("fresh")) == R"({"kind": "int", "value": 2})");
  CHECK(store.read("rows/1/metadata/rate") == "2.0\n");
  CHECK(store.read("rows/1/metadata_keys") == "[\n\"lead_time\",\n\"note\",\n\"rate\",\n\"pair\",\n\"fresh\"\n]\n");
}

TEST_CASE("an edit that Earth2Studio could not read is refused", "[earth2studio]") {
  TestStore store;
  const std::string before = store.file("catalog.json");
  CHECK_THROWS_WITH(store.edit("rows/1/metadata/lead_time/value", "soon\n"), says("expected a number, got 'soon'"));
  CHECK_THROWS_WITH(store.edit("rows/1/metadata/lead_time/value", "1.5\n"), says("expected an integer"));
  CHECK_THROWS_WITH(store.edit("rows/1/metadata/lead_time/unit", "x\n"), says("expected a unit of NumPy"));
  CHECK_THROWS_WITH(
      store.edit("rows/1/metadata/lead_time/kind", "np_timedelta"),
      says("metadata.json: lead_time: expected a kind that Earth2Studio decodes (ndarray_label, datetime, "
           "date, timedelta, np_datetime64, np_timedelta64, torch_device, torch_dtype, np_dtype), got "
           "\"np_timedelta\""));
  CHECK_THROWS_WITH(store.remove("rows/1/metadata/lead_time/kind"), says("expected a kind that Earth2Studio decodes"));
  store.edit("next/metadata/lead_time", R"({"kind": "np_timedelta", "value": 6, "unit": "h"})");
  CHECK_THROWS_WITH(store.rename("next", "rows/next"), says("next/metadata.json: lead_time: expected a kind"));
  CHECK_THROWS_WITH(store.edit("rows/1/metadata.json", "[]"), says("metadata.json: expected a JSON object"));
  CHECK_THROWS_WITH(store.edit("rows/1/metadata.json", "{"), says("metadata.json:1:2"));
  CHECK_THROWS_WITH(store.edit("rows/1/metadata.json", "{\"n\": " + std::string(5000, '1') + "}"),
                    says("an integer of at most 4300 digits"));
  CHECK_THROWS_WITH(store.edit("rows/1/states/my.module.Noise/seed", "1.5"), says("expected an integer"));
  CHECK_THROWS_WITH(store.edit("rows/1/states/my.module.Noise/noise.npy", npy_of("<f4", {3}, std::string(12, 'x'))),
                    says("expected float32 of shape [2], as the state's schema has it, got float32 of shape [3]"));
  CHECK(store.file("catalog.json") == before);
  CHECK(store.disk.list("/store/commits").size() == 3);
  // A dict of the user's may have a member of that name.
  store.edit("rows/1/metadata/storm", R"({"kind": "hurricane"})");
  CHECK(store.read("rows/1/metadata/storm/kind") == "hurricane\n");
}

TEST_CASE("what is not editable by default needs edit=all", "[earth2studio]") {
  TestStore store{ViewOptions()};
  CHECK_THROWS_WITH(store.edit("rows/1/states/my.module.Noise/seed", "1"),
                    says("an edit of a state needs -o edit=all"));
  CHECK_THROWS_WITH(store.remove("commits/commit_00000002_bbbbbbbbbbbb"), says("dropping a row needs -o edit=all"));
  CHECK_FALSE(store.has("next"));
  const auto working = store.session->working();
  for (const char* path : {"next/metadata.json", "next/metadata/a", "next/labels.json", "next/labels/a"})
    CHECK_THROWS_WITH(working->apply(TestStore::write_of(path, "{}")), says("a new row needs -o edit=all"));
  store.edit("rows/1/labels/member", "7\n");
  CHECK(store.read("rows/1/labels/member") == "7\n");
}

TEST_CASE("level=0 shows nothing of states", "[earth2studio]") {
  ViewOptions options;
  options.level = 0;
  TestStore store(options);
  CHECK_FALSE(store.has("rows/1/states"));
  CHECK_FALSE(store.has("rows/1/states.tsv"));
  CHECK(store.names("rows/1").find("states.tsv") == std::string::npos);
  store.edit("rows/1/metadata/note", "mine");
  CHECK(store.disk.exists("/store/commits/" + store.commit_id(1) + "/states/" + hashed("my.module.Noise") +
                          "/noise.npy"));
}

TEST_CASE("a state's values are written in their kind", "[earth2studio]") {
  TestStore store;
  store.edit("rows/1/states/my.module.Noise/seed", "7\n");
  store.edit("rows/1/states/my.module.Noise/tags", "[2, \"three\"]\n");
  store.edit("rows/1/states/my.module.Noise/noise.npy", npy_of("<f4", {2}, "ABCDEFGH"));
  const std::string state = "commits/" + store.commit_id(1) + "/states/" + hashed("my.module.Noise") + "/";
  const Json tree = json_of(store.file(state + "metadata.json"));
  CHECK(tree.find("schema_hash")->text == "hash");
  CHECK(dumps_line(*tree.find("fields")->find("seed")) == R"({"kind": "int", "value": 7})");
  CHECK(tree.find("fields")->find("tags")->find("kind")->text == "tuple");
  CHECK(store.file(state + "noise.npy") == npy_of("<f4", {2}, "ABCDEFGH"));
  CHECK(store.read("rows/0/states/my.module.Noise/seed") == "42\n");
}

TEST_CASE("with edits=append an edited row becomes the last", "[earth2studio]") {
  ViewOptions options;
  options.edits_append = true;
  TestStore store(options);
  store.edit("rows/1/metadata/note", "new\n");
  CHECK(store.names("rows") == "0 1 2 3");
  CHECK(store.read("rows/1/metadata/note") == "a text\n");
  CHECK(store.read("rows/3/metadata/note") == "new\n");
  CHECK(store.read("rows/3/write_count") == "3\n");
  CHECK(store.read("rows/3/saved_at") > store.read("rows/1/saved_at"));
}
