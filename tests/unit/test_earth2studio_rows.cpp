// Which rows a store of Earth2Studio has: new ones, dropped ones, and those of a run beside us.

#include <cerrno>
#include <system_error>

#include "catch.hpp"
#include "earth2studio_store.hpp"
#include "formats/earth2studio/catalog.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/prune.hpp"

using namespace ckptree;
using namespace ckptree::earth2studio;
using namespace ckptree_test;

namespace {

Json json_of(const std::string& text) { return parse(text, "here"); }

/// An empty store.
struct Nowhere final : Source {
  const std::string& path() const override { return name; }
  bool is_directory() const override { return true; }
  Names list(const std::string&) const override { return {}; }
  Ptr<File> open(const std::string& relative) const override {
    throw std::system_error(ENOENT, std::generic_category(), relative);
  }
  std::string name = "/store";
};

}  // namespace

TEST_CASE("rows are pruned as upstream does it", "[earth2studio]") {
  const auto row = [](const std::string& id, const std::string& labels) {
    return Entry::make(json_of("{\"commit_id\": \"" + id + "\", \"saved_at\": \"\", \"labels\": " + labels + "}"), id);
  };
  const Entries rows{row("a", "{\"m\": 1}"), row("b", "{\"m\": 2}"), row("c", "{\"m\": 1.0}")};
  const auto ids = [](const Entries& all) {
    std::string text;
    for (const auto& entry : all) text += entry->commit_id();
    return text;
  };
  CHECK(ids(with_row(rows, row("d", "{\"m\": true}"), {})) == "abcd");
  CHECK(ids(with_row(rows, row("d", "{\"m\": true}"), {true, {}})) == "bd");
  CHECK(ids(with_row(rows, row("d", "{\"m\": true}"), {false, 2})) == "bcd");
  CHECK(ids(with_row(rows, row("d", "{}"), {true, {}})) == "abcd");
  CHECK(ids(with_row(rows, row("b", "{\"m\": 3}"), {})) == "acb");
}

TEST_CASE("a row is dropped, another made the last, but one stays", "[earth2studio]") {
  TestStore store;
  store.remove("commits/commit_00000002_bbbbbbbbbbbb");
  CHECK(store.names("rows") == "0 1");
  CHECK(store.read("rows/1/write_count") == "3\n");
  CHECK(store.disk.exists("/store/commits/commit_00000002_bbbbbbbbbbbb/manifest.json"));
  store.edit("latest", "rows/0");
  CHECK(store.read("rows/1/write_count") == "1\n");
  CHECK_THROWS_WITH(store.edit("latest", "rows/7"), says("expected a row such as rows/2, got 'rows/7'"));
  store.remove("commits/" + store.commit_id(0));
  CHECK_THROWS_WITH(store.remove("commits/" + store.commit_id(0)), says("the last row cannot be dropped"));
}

TEST_CASE("a row is written below next/ and moved into rows/", "[earth2studio]") {
  TestStore store;
  store.edit("next/metadata.json", R"({"lead_time": {"kind": "np_timedelta64", "value": 24, "unit": "h"}})");
  store.edit("next/labels/member", "9");
  store.make_dir("next/states/my.module.Noise");
  const std::string state = "next/states/my.module.Noise/";
  store.edit(state + "state_id", "my.module.Noise\n");
  store.edit(state + "seed", "7\n");
  CHECK_THROWS_WITH(store.rename("next", "rows/next"), says("schema_hash: expected the schema_hash of the state's"));
  store.edit(state + "schema_hash", "hash\n");
  store.edit(state + "tags", "[1, \"x\"]");
  store.edit(state + "%73tate_id", "own");
  store.edit(state + "noise.npy", npy_of("<f4", {2}, "nextnext"));
  CHECK(store.names("rows") == "0 1 2");
  store.rename("next", "rows/next");
  CHECK(store.names("rows") == "0 1 2 3");
  CHECK(store.names("next/states").empty());
  CHECK(store.read("next/metadata.json") == "{}\n");
  CHECK(store.session->working()->waiting().empty());
  CHECK(store.read("rows/3/write_count") == "4\n");
  CHECK(store.read("rows/3/labels/member") == "9\n");
  CHECK(store.read("rows/3/states/my.module.Noise/noise.npy") == npy_of("<f4", {2}, "nextnext"));
  const Json fields =
      *json_of(store.file("commits/" + store.commit_id(3) + "/states/" + hashed("my.module.Noise") + "/metadata.json"))
           .find("fields");
  CHECK(fields.find("tags")->find("kind")->text == "tuple");
  CHECK(fields.find("noise")->find("kind")->text == "tensor");
  CHECK(fields.find("seed")->find("kind")->text == "int");
  CHECK(fields.find("state_id")->find("value")->text == "own");
  const Json manifest = json_of(store.file("commits/" + store.commit_id(3) + "/manifest.json"));
  CHECK(manifest.find("checkpoint")->text == "forecast");
}

TEST_CASE("rows of one commit are counted one after the other", "[earth2studio]") {
  TestStore store;
  store.session->set_flush_interval(FlushInterval::parse("none"));
  for (const char* note : {"first", "second"}) {
    store.edit("next/metadata/note", note);
    store.rename("next", std::string("rows/") + note);
  }
  store.session->commit();
  CHECK(store.names("rows") == "0 1 2 3 4");
  CHECK(store.read("rows/3/write_count") == "4\n");
  CHECK(store.read("rows/4/write_count") == "5\n");
  CHECK(store.read("rows/4/metadata/note") == "second\n");
}

TEST_CASE("a commit that drops a row and edits another is looked for in both", "[earth2studio]") {
  TestStore store;
  const auto base = store.session->committed()->model;
  const auto edited = base->apply(TestStore::op_of(Op::Kind::remove, "commits/commit_00000001_aaaaaaaaaaaa"))
                          ->apply(TestStore::write_of("rows/0/metadata/note", "mine\n"));
  const auto& format = earth2studio_format();
  const auto source = std::make_shared<Nowhere>();
  const Plan plan = format.plan(*base, *source, format.seal(*base, *edited, Stamp()), Medium());
  CHECK(plan.made.size() == 1);
  CHECK(plan.unmade == std::vector<std::string>{"commit_00000001_aaaaaaaaaaaa", "commit_00000002_bbbbbbbbbbbb"});
}

TEST_CASE("an edit beside a run that writes is made again, or stale", "[earth2studio]") {
  TestStore store;
  const std::uint64_t epoch = store.session->epoch();
  Json third = store.row_json("commit_00000004_dddddddddddd", 4, "{}");
  SECTION("its row is untouched") {
    store.run_writes({0, 1, 2}, third);
    store.edit("rows/1/metadata/note", "mine\n");
    CHECK(store.names("rows") == "0 1 2 3");
    CHECK(store.read("rows/1/metadata/note") == "mine\n");
  }
  SECTION("its row is another now") {
    store.run_writes({1, 2}, third);
    CHECK_THROWS_WITH(store.save("rows/1/metadata/note", "mine\n", epoch), says("was changed by another program"));
    CHECK(store.read("rows/0/metadata/note") == "a text\n");
  }
  SECTION("its commit was removed before the edit could be made") {
    const auto base = store.session->committed()->model;
    const auto edited = base->apply(TestStore::write_of("rows/1/metadata/note", "mine\n"));
    store.disk.remove_tree("/store/commits/commit_00000002_bbbbbbbbbbbb");
    const auto seal = [&] { earth2studio_format().seal(*base, *edited, Stamp()); };
    CHECK_THROWS_WITH(seal(), says("commits/commit_00000002_bbbbbbbbbbbb: cannot be read: No such file"));
    store.run_writes({0, 2}, third);
    CHECK_THROWS_WITH(seal(), says("another program replaced this commit since it was listed"));
  }
  SECTION("undone after it was made") {
    store.edit("rows/1/metadata/note", "mine\n");
    store.run_writes({0, 1, 2}, third);
    CHECK(store.session->refresh(true));
    CHECK(store.read("rows/1/metadata/note") == "a text\n");
    REQUIRE(store.session->rejected().size() == 1);
    CHECK(store.session->rejected()[0].content.text(100, "") == "mine\n");
    CHECK(store.session->last_error().find("undid this edit") != std::string::npos);
  }
}
