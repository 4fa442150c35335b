// The plans of stores: many files, two directories, one commit point.

#include <map>

#include "../unit/catch.hpp"
#include "../unit/earth2studio_store.hpp"
#include "commit/execute.hpp"
#include "enumerator.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

const std::string kCatalog = "/store/catalog.json";

/// Everything that Earth2Studio reads of a store: its catalog, and of each row the manifest and every file of its
/// states; or why it cannot. Commit ids differ from run to run, so they are left out.
std::string shown(const MemoryDisk::Image& image) {
  using namespace earth2studio;
  const auto catalog = image.find(kCatalog);
  if (catalog == image.end()) return "no catalog";
  std::string text;
  try {
    for (const auto& row : parse_catalog(catalog->second.content, "catalog.json")) {
      Json entry = row->json();
      entry.erase("commit_id");
      text += dumps_line(entry) + "\n";
      const std::string commit = "/store/commits/" + row->commit_id() + "/";
      Json manifest = parse(image.at(commit + "manifest.json").content, "manifest.json");
      if (manifest.find("commit_id")->text != row->commit_id()) return "a manifest of another commit";
      manifest.erase("commit_id");
      text += dumps_line(manifest) + "\n";
      for (const auto& [id, known] : manifest.find("states")->members)
        for (const char* name : {"/metadata.json", "/noise.npy"})
          text += tag_of(image.at(commit + known.find("path")->text + name).content) + "\n";
    }
  } catch (const std::exception& e) {
    return std::string("cannot be read: ") + e.what();
  }
  return text + catalog->second.attributes;
}

Plan plan_of(MemoryDisk& disk, const std::vector<Op>& edits, const ViewOptions& options) {
  struct DiskSource final : Source {
    explicit DiskSource(MemoryDisk& d) : disk(d) {}
    const std::string& path() const override { return store; }
    bool is_directory() const override { return true; }
    Names list(const std::string& relative) const override { return disk.list(store + "/" + relative); }
    Ptr<File> open(const std::string& relative) const override { return disk.open(store + "/" + relative); }
    MemoryDisk& disk;
    const std::string store = "/store";
  };
  const auto source = std::make_shared<DiskSource>(disk);
  const Format& format = earth2studio_format();
  const auto base = format.open(source, options);
  auto edited = base;
  for (const Op& op : edits) edited = edited->apply(op);
  return format.plan(*base, *source, format.seal(*base, *edited, {}),
                     {false, kCatalog, "/store/.catalog.json.ckptree-stage-1"});
}

Verdict lose_power(
    const std::string& what, const std::vector<Op>& edits, const std::function<void(Plan&)>& spoil = [](Plan&) {}) {
  const ViewOptions options = TestStore::all();
  MemoryDisk calm, disk;
  TestStore::fill(calm);
  TestStore::fill(disk);
  const std::string before = shown(calm.seen());
  execute(plan_of(calm, edits, options), calm.fingerprint(kCatalog), calm);
  const std::string after = shown(calm.seen());
  CHECK(before.find("cannot be read") == std::string::npos);
  CHECK(after.find("cannot be read") == std::string::npos);
  CHECK(before != after);
  Plan plan = plan_of(disk, edits, options);
  spoil(plan);
  const Verdict verdict = cut_the_power(
      disk, [&] { execute(plan, disk.fingerprint(kCatalog), disk); },
      [&](const MemoryDisk::Image& image) {
        const std::string found = shown(image);
        return found == before ? Found::old : found == after ? Found::fresh : Found::neither;
      },
      1000);
  print("a store, " + what, verdict);
  return verdict;
}

}  // namespace

TEST_CASE("power loss during any edit of a store leaves it old or new", "[crash][earth2studio]") {
  const auto story = [&](const std::string& what, const std::vector<Op>& edits) {
    const Verdict verdict = lose_power(what, edits);
    INFO(what << ": " << verdict.first);
    CHECK(verdict.violations == 0);
    CHECK(verdict.old > 0);
    CHECK(verdict.fresh > 0);
  };
  story("one value", {TestStore::write_of("rows/1/metadata/note", "another")});
  story("two rows, one with an array",
        {TestStore::write_of("rows/0/metadata.json", "{}"),
         TestStore::write_of("rows/2/states/my.module.Noise/noise.npy", npy_of("<f4", {2}, "ABCDEFGH"))});
  story("a row dropped", {TestStore::op_of(Op::Kind::remove, "commits/commit_00000002_bbbbbbbbbbbb")});
  Op rename = TestStore::op_of(Op::Kind::rename, "next");
  rename.to = {"rows", "next"};
  story("a row written", {TestStore::write_of("next/metadata.json", "{\"n\": 1}"), rename});
}

TEST_CASE("the enumerator finds what a store's plan without a sync would lose", "[crash][earth2studio]") {
  const auto edit = TestStore::write_of("rows/1/metadata/note", "another");
  for (const auto kind : {Step::Kind::sync, Step::Kind::sync_dir}) {
    const Verdict verdict = lose_power("without its syncs", {edit}, [&](Plan& plan) {
      for (auto step = plan.steps.begin(); step != plan.steps.end();)
        step = step->kind == kind ? plan.steps.erase(step) : step + 1;
    });
    CHECK(verdict.violations > 0);
  }
}

TEST_CASE("a catalog that a run replaced under the exchange goes back, and the edit is stale",
          "[crash][earth2studio]") {
  MemoryDisk disk;
  TestStore::fill(disk);
  const Plan plan = plan_of(disk, {TestStore::write_of("rows/1/metadata/note", "mine")}, TestStore::all());
  const Fingerprint seen = disk.fingerprint(kCatalog);
  const std::string theirs = earth2studio::catalog_text({}) + "\n";
  bool done = false;
  std::string sentence;
  SECTION("the catalog") {
    std::size_t exchanges = 0;  // the change before the exchange is the sync of the new catalog
    disk.before_change = [&](std::size_t) {
      const auto image = disk.seen();
      if (done || image.count(plan.temporary + "/catalog.json") == 0) return;
      if (image.at(plan.temporary + "/catalog.json").content.size() < 100 || ++exchanges < 3) return;
      done = true;
      disk.overwrite(kCatalog, theirs);
    };
    CHECK_THROWS_WITH(execute(plan, seen, disk), says("another program changed it"));
    REQUIRE(done);
    CHECK(disk.seen().at(kCatalog).content == theirs);
  }
  SECTION("the commit, swept before the catalog named it") {
    const std::string old = disk.seen().at(kCatalog).content;
    disk.before_change = [&](std::size_t) {
      const auto image = disk.seen();
      if (done || image.count(plan.temporary + "/catalog.json") == 0) return;
      done = true;
      const auto all = disk.list("/store/commits");
      for (const std::string& id : all)
        if (image.count("/store/commits/" + id + "/manifest.json") > 0 && id.find("_aaaa") == std::string::npos &&
            id.find("_bbbb") == std::string::npos && id.find("_cccc") == std::string::npos)
          disk.remove_tree("/store/commits/" + id);
    };
    CHECK_THROWS_WITH(execute(plan, seen, disk), says("another program changed it"));
    REQUIRE(done);
    CHECK(disk.seen().at(kCatalog).content == old);
  }
  CHECK(disk.list("/store") == Names{"catalog.json", "commits"});
}
