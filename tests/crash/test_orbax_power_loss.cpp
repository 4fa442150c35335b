// The plan of a checkpoint of Orbax: one file, replaced.

#include "../unit/catch.hpp"
#include "../unit/orbax_checkpoint.hpp"
#include "ckptree/error.hpp"
#include "commit/execute.hpp"
#include "enumerator.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

const std::string kMetadata = "/ck/_CHECKPOINT_METADATA", kTemporary = "/ck/._CHECKPOINT_METADATA.ckptree-stage-1";

Plan plan_of(MemoryDisk& disk) {
  struct DiskSource final : Source {
    explicit DiskSource(MemoryDisk& d) : disk(d) {}
    const std::string& path() const override { return top; }
    bool is_directory() const override { return true; }
    Names list(const std::string& relative) const override { return disk.list(below(relative)); }
    Ptr<File> open(const std::string& relative) const override { return disk.open(below(relative)); }
    std::string below(const std::string& relative) const { return relative.empty() ? top : top + "/" + relative; }
    MemoryDisk& disk;
    const std::string top = "/ck";
  };
  const auto source = std::make_shared<DiskSource>(disk);
  const Format& format = orbax_format();
  const auto base = format.open(source, {});
  const auto edited = base->apply(OrbaxCheckpoint::write_of("custom_metadata/lr", "0.5"));
  return format.plan(*base, *source, format.seal(*base, *edited, {}), {false, kMetadata, kTemporary});
}

/// All files but the temporary.
std::string shown(const MemoryDisk::Image& image) {
  std::string text;
  for (const auto& [path, entry] : image)
    if (path != kTemporary) text += path + "\n" + entry.content + "\n" + entry.attributes + "\n";
  return text;
}

Verdict lose_power(const std::function<void(Plan&)>& spoil = [](Plan&) {}) {
  OrbaxCheckpoint calm, lossy;
  const std::string before = shown(calm.disk.seen());
  execute(plan_of(calm.disk), calm.disk.fingerprint(kMetadata), calm.disk);
  const std::string after = shown(calm.disk.seen());
  CHECK(before != after);
  Plan plan = plan_of(lossy.disk);
  spoil(plan);
  const Verdict verdict = cut_the_power(
      lossy.disk, [&] { execute(plan, lossy.disk.fingerprint(kMetadata), lossy.disk); },
      [&](const MemoryDisk::Image& image) {
        const std::string found = shown(image);
        return found == before ? Found::old : found == after ? Found::fresh : Found::neither;
      });
  print("a checkpoint of Orbax", verdict);
  return verdict;
}

}  // namespace

TEST_CASE("power loss during an edit of custom_metadata leaves it old or new", "[crash][orbax]") {
  const Verdict verdict = lose_power();
  INFO(verdict.first);
  CHECK(verdict.violations == 0);
  CHECK(verdict.old > 0);
  CHECK(verdict.fresh > 0);
}

TEST_CASE("the enumerator finds what a plan of Orbax without a sync would lose", "[crash][orbax]") {
  for (const auto kind : {Step::Kind::sync, Step::Kind::sync_dir}) {
    const Verdict verdict = lose_power([&](Plan& plan) {
      for (auto step = plan.steps.begin(); step != plan.steps.end();)
        step = step->kind == kind ? plan.steps.erase(step) : step + 1;
    });
    CHECK(verdict.violations > 0);
  }
}

TEST_CASE("a commit that fails leaves the directory its time", "[crash][orbax]") {
  OrbaxCheckpoint c;
  const Plan plan = plan_of(c.disk);
  const auto before = c.disk.fingerprint("/ck").mtime_ns;
  const std::string content = shown(c.disk.seen());
  bool touched = false;
  c.disk.before_change = [&](std::size_t) {
    if (touched || !c.disk.exists(kTemporary)) return;
    touched = true;
    c.disk.set_mtime("/ck", before + 1);  // as any directory's whose names change
    throw Error(Errc::no_space, "the disk is full");
  };
  CHECK_THROWS_WITH(execute(plan, c.disk.fingerprint(kMetadata), c.disk), says("the disk is full"));
  CHECK(touched);
  CHECK(c.disk.fingerprint("/ck").mtime_ns == before);
  CHECK(shown(c.disk.seen()) == content);
  CHECK_FALSE(c.disk.exists(kTemporary));
}
