// semantics.md section 6: "All or nothing, at every instant, for ... power loss"; "Durable when the call ... returns".

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "../unit/catch.hpp"
#include "ckptree/error.hpp"
#include "commit/execute.hpp"
#include "commit/store.hpp"
#include "enumerator.hpp"
#include "plain_format.hpp"

using namespace ckptree;
using namespace ckptree_test;
using Kind = Step::Kind;

namespace {

const std::string kTarget = "/d/model.pt";

/// A commit of one text over another, and what power loss leaves of it.
struct Story {
  MemoryDisk disk;
  PlainFormat format;
  std::string old_text, new_text;

  Story(std::string from, std::string to) : old_text(std::move(from)), new_text(std::move(to)) {
    disk.add(kTarget, {PlainFormat::bytes(old_text), "rw-r-----"});
  }

  Plan plan() {
    const auto file = disk.open(kTarget);
    const auto source = memory_source(file);
    const auto base = format.open(source, {});
    const auto edited = with_text(*base, new_text);
    return format.plan(*base, *source, format.seal(*base, *edited, {}),
                       {false, kTarget, "/d/.model.pt.ckptree-commit-1"});
  }

  Verdict run(const Plan& plan) {
    return cut_the_power(
        disk, [&] { execute(plan, disk.fingerprint(kTarget), disk); },
        [&](const MemoryDisk::Image& image) { return judge(image); });
  }

  Found judge(const MemoryDisk::Image& image) const {
    const auto found = image.find(kTarget);
    if (found == image.end() || found->second.attributes != "rw-r-----") return Found::neither;
    try {
      const std::string text = PlainFormat::parse(*memory_file(kTarget, found->second.content));
      return text == old_text ? Found::old : text == new_text ? Found::fresh : Found::neither;
    } catch (const Error&) {
      return Found::neither;
    }
  }
};

/// The plan without the steps of one kind.
Plan without(Plan plan, Kind kind) {
  const auto gone = std::remove_if(plan.steps.begin(), plan.steps.end(), [&](const Step& s) { return s.kind == kind; });
  REQUIRE(gone != plan.steps.end());
  plan.steps.erase(gone, plan.steps.end());
  return plan;
}

/// The plan with the step of one kind where that of another is, and the other way round.
Plan exchanged(Plan plan, Kind one, Kind other) {
  const auto find = [&](Kind k) {
    return std::find_if(plan.steps.begin(), plan.steps.end(), [&](const Step& s) { return s.kind == k; });
  };
  REQUIRE((find(one) != plan.steps.end() && find(other) != plan.steps.end()));
  std::iter_swap(find(one), find(other));
  return plan;
}

}  // namespace

TEST_CASE("power loss leaves the old checkpoint or the new one, and the new one once the commit returned", "[crash]") {
  const std::string lengths[][2] = {
      {std::string(900, 'a'), std::string(900, 'b')},  // as long as before
      {std::string(40, 'a'), std::string(2000, 'b')},  // grown over several sectors
      {std::string(5000, 'a'), std::string(10, 'b')},  // shrunk
      {std::string(3, 'a'), ""},                       // emptied
  };
  Verdict total;
  for (const auto& [from, to] : lengths) {
    Story story(from, to);
    const Verdict v = story.run(story.plan());
    INFO(v.first);
    CHECK(v.violations == 0);
    CHECK(v.old > 0);
    CHECK(v.fresh > 0);
    total.states += v.states;
    total.old += v.old;
    total.fresh += v.fresh;
    total.violations += v.violations;
  }
  print("clone", total);
  CHECK(total.states > 10000);
}

TEST_CASE("the enumerator finds what a plan without one of its syncs would lose", "[crash]") {
  SECTION("without the sync of the file its name may come first") {
    Story story("old text", "new text");
    const Verdict v = story.run(without(story.plan(), Kind::sync));
    print("no sync of the file", v);
    CHECK(v.violations > 0);
    CHECK_THAT(v.first, says("neither old nor fresh"));
  }
  SECTION("without the sync of the directory a commit that returned may be undone") {
    Story story("old text", "new text");
    const Verdict v = story.run(without(story.plan(), Kind::sync_dir));
    print("no sync of the directory", v);
    CHECK(v.violations > 0);
    CHECK_THAT(v.first, says("the commit had returned and is lost"));
  }
  SECTION("a rename before the sync shows bytes that are not there yet") {
    Story story("old text", "new text");
    Plan plan = exchanged(without(story.plan(), Kind::verify), Kind::sync, Kind::rename);
    for (Step& step : plan.steps)
      if (step.kind == Kind::sync) step.path = kTarget;  // its name by then
    CHECK_THAT(story.run(plan).first, says("neither old nor fresh"));
  }
  SECTION("a directory synced before the rename is synced in vain") {
    Story story("old text", "new text");
    const Verdict v = story.run(exchanged(story.plan(), Kind::rename, Kind::sync_dir));
    CHECK_THAT(v.first, says("the commit had returned and is lost"));
  }
  SECTION("attributes given after the sync may be lost") {
    Story story("old text", "new text");
    CHECK(story.run(exchanged(story.plan(), Kind::copy_attributes, Kind::sync)).violations > 0);
  }
  SECTION("a write in place is torn") {
    Story story(std::string(900, 'a'), std::string(900, 'b'));
    Plan plan = story.plan();
    plan.steps = {{Kind::write, kTarget, "", 0, 0, Recipe::literal(PlainFormat::bytes(story.new_text)), {}},
                  {Kind::sync, kTarget, "", 0, 0, {}, {}}};
    CHECK_THAT(story.run(plan).first, says("torn"));
  }
}

TEST_CASE("an error at any step leaves the old checkpoint and nothing beside it", "[crash]") {
  std::size_t steps = 0;
  for (bool failed = true; failed; ++steps) {
    Story story("old text", "a longer new text");
    failed = false;
    bool told_in_place = false;
    story.disk.before_change = [&](std::size_t number) {
      if (number != steps || failed) return;  // once: what removes the temporary after it works
      failed = true;
      throw std::system_error(ENOSPC, std::generic_category(), "write");
    };
    const Plan plan = story.plan();
    try {
      execute(plan, story.disk.fingerprint(kTarget), story.disk);
      CHECK_FALSE(failed);
    } catch (const NotDurable& e) {
      told_in_place = true;
      CHECK_THAT(e.what(), says("in place but a power loss may undo it: write: No space left on device"));
    } catch (const std::system_error& e) {
      CHECK(e.code().value() == ENOSPC);
      CHECK_THAT(e.what(), says(kTarget + ": the commit stopped at "));
    }
    const auto after = story.disk.seen();
    INFO("failure at change " << steps);
    CHECK(after.size() == 1);
    // Past the rename there is no way back; the error says so then.
    const bool in_place = told_in_place || !failed;
    CHECK(story.judge(after) == (in_place ? Found::fresh : Found::old));
    CHECK((!in_place || steps + 1 >= story.disk.changes()));
  }
  CHECK(steps > 8);
}
