#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "../crash/plain_format.hpp"
#include "catch.hpp"
#include "ckptree/fd.hpp"
#include "ckptree/log.hpp"
#include "commit/execute.hpp"
#include "commit/memory_disk.hpp"
#include "commit/real_disk.hpp"
#include "commit/store.hpp"

using namespace ckptree;
using namespace ckptree_test;
namespace fs = std::filesystem;
using Kind = Step::Kind;

namespace {

/// A directory of this test's own, beside the test so that its filesystem is a real one.
struct Place {
  Place() {
    char name[] = "commit-XXXXXX";
    if (!::mkdtemp(name)) throw_errno("mkdtemp");
    dir = fs::canonical(name);
    target = dir / "model.pt";
    disk = make_real_disk(std::chrono::milliseconds(200));
  }
  ~Place() { fs::remove_all(dir); }

  std::string make(const std::string& name, const std::string& content) const {
    std::ofstream(dir / name, std::ios::binary) << content;
    return dir / name;
  }
  std::string read(const std::string& name) const {
    std::ifstream in(dir / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(dir), fs::directory_iterator()));
  }
  struct stat status(const std::string& name) const {
    struct stat st;
    REQUIRE(::lstat((dir / name).c_str(), &st) == 0);
    return st;
  }
  std::shared_ptr<Checkpoint> store(StoreOptions options = {}) const {
    return make_store(format, target, *disk, options);
  }

  fs::path dir;
  std::string target;
  std::unique_ptr<Disk> disk;
  PlainFormat format;
};

std::string text_of(const Snapshot& snapshot) { return PlainFormat::text_of(*snapshot.model); }

Snapshot commit(Checkpoint& store, const Snapshot& base, const std::string& text) {
  return store.commit(base, *with_text(*base.model, text), {});
}

/// Bytes that repeat nowhere soon.
std::string noise(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t x = 1;
  for (char& c : text) c = static_cast<char>((x = x * 1664525u + 1013904223u) >> 24);
  return text;
}

bool has_extended_attributes(const std::string& path) {
  if (::setxattr(path.c_str(), "user.note", "kept", 4, 0) == 0) return true;
  REQUIRE(errno == EOPNOTSUPP);
  WARN("this filesystem has no user.* attributes: what is said about them is not tested here");
  return false;
}

}  // namespace

TEST_CASE("a commit replaces the checkpoint and leaves nothing beside it", "[store]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes("one"));
  const auto store = p.store();
  const Snapshot first = store->open();
  CHECK(text_of(first) == "one");
  CHECK(first.generation == 0);
  CHECK(first.seen == store->look());

  const Snapshot second = commit(*store, first, "two, and longer");
  CHECK(text_of(second) == "two, and longer");
  CHECK(second.generation == 1);
  CHECK(second.seen == store->look());
  CHECK(p.read("model.pt") == PlainFormat::bytes("two, and longer"));
  CHECK(p.entries() == 1);
  CHECK(store->kind() == "plain");
  CHECK(store->path() == p.target);
  CHECK(store->layout(*second.model) == "one text");
  CHECK_THAT(store->strategy(), says("clone ("));
}

TEST_CASE("an edit that changes nothing is no commit", "[store]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes("one"));
  const auto store = p.store();
  const Snapshot first = store->open();
  CHECK(commit(*store, first, "one").generation == 0);
  CHECK(store->look() == first.seen);
}

TEST_CASE("of two conflicting edits one gets ESTALE, and nothing of it is written", "[store]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes("one"));
  const auto here = p.store(), there = p.store();
  const Snapshot mine = here->open(), theirs = there->open();
  commit(*there, theirs, "theirs");
  try {
    commit(*here, mine, "mine");
    FAIL("the second edit overwrote the first");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::stale);
    CHECK_THAT(e.what(), says("model.pt: another program changed it after it was read; nothing was written"));
  }
  CHECK(p.read("model.pt") == PlainFormat::bytes("theirs"));
  CHECK(p.entries() == 1);
  CHECK(text_of(commit(*here, here->open(), "mine, on top")) == "mine, on top");
}

TEST_CASE("edits of many threads never overwrite each other", "[store]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes(""));
  std::atomic<std::size_t> commits{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      const auto disk = make_real_disk(std::chrono::seconds(10));
      const auto store = make_store(p.format, p.target, *disk, {});
      for (int done = 0; done < 10;) {
        try {
          const Snapshot base = store->open();
          commit(*store, base, text_of(base) + "x");
          ++commits;
          ++done;
        } catch (const Error& e) {
          wrong += e.code() != Errc::stale;
        }
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(commits == 40);
  CHECK(p.read("model.pt") == PlainFormat::bytes(std::string(40, 'x')));  // every one of them is in it
  CHECK(p.entries() == 1);
}

TEST_CASE("a program that knows nothing of the lock is noticed up to the rename", "[execute]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes("one"));
  const auto seen = p.disk->fingerprint(p.target);
  const auto source = memory_source(p.disk->open(p.target));
  const auto base = p.format.open(source, {});
  Plan plan = p.format.plan(*base, *source, p.format.seal(*base, *with_text(*base, "mine"), {}),
                            {false, p.target, temporary_name(p.target)});
  for (Step& step : plan.steps)
    if (step.kind == Kind::verify)
      step.check = [&](const Ptr<File>&) { p.make("model.pt", PlainFormat::bytes("theirs")); };
  REQUIRE_THROWS_WITH(execute(plan, seen, *p.disk), says("another program changed it"));
  CHECK(p.read("model.pt") == PlainFormat::bytes("theirs"));
  CHECK(p.entries() == 1);
}

TEST_CASE("a checkpoint with several hard links is refused unless its links may be split", "[store]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes("one"));
  fs::create_hard_link(p.target, p.dir / "also.pt");
  const auto store = p.store();
  try {
    commit(*store, store->open(), "two");
    FAIL("the links were split");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::hard_links);
    CHECK_THAT(e.what(), says("model.pt: has 2 hard links") && says("-o links=split"));
  }
  CHECK(p.read("model.pt") == PlainFormat::bytes("one"));

  StoreOptions split;
  split.split_links = true;
  const auto willing = p.store(split);
  commit(*willing, willing->open(), "two");
  CHECK(p.read("model.pt") == PlainFormat::bytes("two"));
  CHECK(p.read("also.pt") == PlainFormat::bytes("one"));
}

TEST_CASE("a symbolic link that leads to the checkpoint is kept", "[store]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes("one"));
  fs::create_directory(p.dir / "links");
  fs::create_symlink("../model.pt", p.dir / "links" / "latest.pt");
  const auto store = make_store(p.format, p.dir / "links" / "latest.pt", *p.disk, {});
  CHECK(store->path() == p.target);
  commit(*store, store->open(), "two");
  CHECK(fs::is_symlink(p.dir / "links" / "latest.pt"));
  CHECK(p.read("model.pt") == PlainFormat::bytes("two"));
}

TEST_CASE("mode, extended attributes and ACL are kept, and a directory's default ACL is not taken on", "[store]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes("one"));
  REQUIRE(::chmod(p.target.c_str(), 02640) == 0);
  const bool has_attributes = has_extended_attributes(p.target);
  // version 2; user::rwx, user:7:rwx, group::r-x, mask::rwx, other::---
  // clang-format off: an entry a line, each tag, permissions, id
  const unsigned char acl[] = {2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,  7,
                               0, 7, 0,   0,   0,   4,   0,  5, 0,   255, 255, 255, 255, 16, 0,
                               7, 0, 255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255};
  // clang-format on
  const bool has_acl = ::setxattr(p.dir.c_str(), "system.posix_acl_default", acl, sizeof acl, 0) == 0;
  if (!has_acl) WARN("this filesystem has no ACLs: what is said about them is not tested here");

  const auto store = p.store();
  Snapshot base = commit(*store, store->open(), "two");
  CHECK((p.status("model.pt").st_mode & 07777) == 02640);
  char value[64];
  CHECK(::getxattr(p.target.c_str(), "system.posix_acl_access", value, sizeof value) < 0);
  if (has_attributes) CHECK(::getxattr(p.target.c_str(), "user.note", value, sizeof value) == 4);

  if (has_acl) {
    REQUIRE(::setxattr(p.target.c_str(), "system.posix_acl_access", acl, sizeof acl, 0) == 0);
    commit(*store, store->open(), "three");
    REQUIRE(::getxattr(p.target.c_str(), "system.posix_acl_access", value, sizeof value) == sizeof acl);
    CHECK(std::string(value, sizeof acl) == std::string(reinterpret_cast<const char*>(acl), sizeof acl));
  }
  if (::geteuid() == 0) {
    REQUIRE(::chown(p.target.c_str(), 12, 34) == 0);
    REQUIRE(::chmod(p.target.c_str(), 04750) == 0);
    commit(*store, store->open(), "four");
    CHECK(p.status("model.pt").st_uid == 12);
    CHECK(p.status("model.pt").st_gid == 34);
    CHECK((p.status("model.pt").st_mode & 07777) == 04750);
  }
}

TEST_CASE("what may not be written is told before anything is", "[store]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes("one"));
  SECTION("a mount that is read-only") {
    StoreOptions options;
    options.view.read_only = true;
    const auto store = p.store(options);
    CHECK(store->strategy() == "read-only");
    REQUIRE_THROWS_WITH(commit(*store, store->open(), "two"), says("model.pt: is mounted read-only"));
  }
  // In a process of its own; root, who may write everything, becomes another user there.
  const auto refusal_is = [&](const std::string& sentence) {
    const pid_t child = ::fork();
    if (child == 0) {
      // The path is relative: what is above may be closed to others.
      int result = 1;
      if (::chdir(p.dir.c_str()) == 0 && (::geteuid() != 0 || (::setgid(65534) == 0 && ::setuid(65534) == 0))) {
        try {
          p.disk->check_replaceable("model.pt");
        } catch (const Error& e) {
          result = e.code() == Errc::no_permission && e.what() == sentence ? 0 : 2;
          if (result != 0) std::fprintf(stderr, "# %s\n", e.what());
        }
      }
      ::_exit(result);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  };
  SECTION("a file without write permission") {
    REQUIRE(::chmod(p.target.c_str(), 0444) == 0);
    REQUIRE(::chmod(p.dir.c_str(), 0777) == 0);
    refusal_is("model.pt: no permission to write it");
  }
  SECTION("a directory without write permission") {
    REQUIRE(::chmod(p.target.c_str(), 0666) == 0);
    REQUIRE(::chmod(p.dir.c_str(), 0555) == 0);
    refusal_is("model.pt: no permission to write its directory ., where a commit puts the new file");
    REQUIRE(::chmod(p.dir.c_str(), 0755) == 0);
  }
  SECTION("a file of somebody else's") {
    if (::geteuid() == 0) {
      REQUIRE(::chmod(p.target.c_str(), 0666) == 0);
      REQUIRE(::chmod(p.dir.c_str(), 0777) == 0);
      refusal_is("model.pt: belongs to user 0; a commit by user 65534 would change its owner");
    } else {
      CHECK_NOTHROW(p.disk->check_replaceable(p.target));
    }
  }
}

TEST_CASE("the lock of a checkpoint is waited for, and then given up with a sentence", "[real disk]") {
  Place p;
  p.make("model.pt", "x");
  const auto held = p.disk->lock(p.target);
  try {
    p.disk->lock(p.target);
    FAIL("two have the lock");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::busy);
    CHECK_THAT(e.what(), says("model.pt: another program has held its lock for 200 ms; nothing was written"));
  }
}

TEST_CASE("a lock is that of the file which has the name by then", "[real disk]") {
  Place p;
  p.make("model.pt", "old");
  p.make("fresh", "fresh");
  const auto patient = make_real_disk(std::chrono::seconds(10));
  auto held = p.disk->lock(p.target);
  std::unique_ptr<Disk::Lock> theirs;
  std::thread waiting([&] { theirs = patient->lock(p.target); });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  fs::rename(p.dir / "fresh", p.target);
  held.reset();
  waiting.join();
  const Fd now(::open(p.target.c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(::flock(now.get(), LOCK_EX | LOCK_NB) != 0);
}

TEST_CASE("a clone has the first bytes of its model, holes included, and no reader but its owner", "[real disk]") {
  Place p;
  const std::string data = noise(300000);
  p.make("model.pt", data);
  {
    const Fd fd(::open(p.target.c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(::ftruncate(fd.get(), 64 << 20) == 0);
    REQUIRE(::pwrite(fd.get(), "end", 3, (64 << 20) - 3) == 3);
  }
  const std::string fresh = p.dir / "fresh";
  SECTION("all of them") {
    p.disk->clone(p.target, fresh, 64 << 20);
    CHECK((p.read("fresh") == p.read("model.pt")));  // in parentheses, Catch2 prints no megabytes
    CHECK((p.status("fresh").st_mode & 07777) == 0600);
    CHECK(p.status("fresh").st_blocks * 512 < 8 << 20);
  }
  SECTION("some of them") {
    p.disk->clone(p.target, fresh, 123457);
    CHECK((p.read("fresh") == data.substr(0, 123457)));
  }
  SECTION("none of them") {
    p.disk->clone(p.target, fresh, 0);
    CHECK(p.read("fresh").empty());
  }
  SECTION("of no model") {
    p.disk->clone("", fresh, 0);
    CHECK(p.read("fresh").empty());
  }
  SECTION("more than there are: somebody has cut it") {
    REQUIRE_THROWS_WITH(p.disk->clone(p.target, fresh, (64 << 20) + 1), says("ends at byte 67108864"));
  }
  SECTION("a symbolic link of that name is not followed") {
    p.make("victim", "precious");
    fs::create_symlink("victim", p.dir / "fresh");
    REQUIRE_THROWS_WITH(p.disk->clone(p.target, fresh, 10), says("File exists"));
    CHECK(p.read("victim") == "precious");
  }
  p.disk->remove(fresh);
}

TEST_CASE("a temporary's name that somebody has is left to them", "[execute]") {
  Place p;
  p.make("model.pt", PlainFormat::bytes("one"));
  p.make("theirs", "precious");
  Plan plan;
  plan.target = p.target;
  plan.temporary = p.dir / "theirs";
  plan.steps = {{Kind::clone, plan.temporary, p.target, 0, 3, {}, {}}};
  REQUIRE_THROWS_WITH(execute(plan, p.disk->fingerprint(p.target), *p.disk),
                      says("model.pt: the commit stopped at copying the checkpoint, nothing has changed: create "));
  CHECK(p.read("theirs") == "precious");
}

TEST_CASE("a recipe is written piece by piece: literals, small and large extents, what is computed", "[real disk]") {
  struct Letters final : Computed {
    void read(std::uint64_t at, Buffer into) const override {
      for (std::size_t i = 0; i < into.size(); ++i) into[i] = static_cast<char>('a' + (at + i) % 26);
    }
  };
  Place p;
  const std::string data = noise(3 << 20);
  p.make("model.pt", data);
  const auto file = p.disk->open(p.target);
  const auto letters = std::make_shared<Letters>();
  Recipe recipe;
  recipe.pieces = {{std::string("literal"), 7},
                   {std::make_pair(file, std::uint64_t{1000}), 50},
                   {std::make_pair(file, std::uint64_t{77}), (2 << 20) + 5},
                   {Ptr<Computed>(letters), (1 << 20) + 3}};
  std::string computed((1 << 20) + 3, '\0');
  letters->read(0, Buffer(computed.data(), computed.size()));

  const std::string fresh = p.dir / "fresh";
  p.disk->clone("", fresh, 0);
  p.disk->write(fresh, 11, recipe);
  CHECK((p.read("fresh") ==
         std::string(11, '\0') + "literal" + data.substr(1000, 50) + data.substr(77, (2 << 20) + 5) + computed));
  p.disk->truncate(fresh, 5);
  CHECK(p.read("fresh").size() == 5);

  SECTION("and a file that was rewritten in place meanwhile is noticed") {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // file times move in steps
    p.make("model.pt", data + "!");
    REQUIRE_THROWS_WITH(p.disk->write(fresh, 0, recipe), says("was rewritten in place"));
  }
  SECTION("and a file that no commit made is not written") {
    REQUIRE_THROWS_WITH(p.disk->write(p.target, 0, recipe), says("only a file made by this commit is written"));
  }
  p.disk->remove(fresh);
}

TEST_CASE("what dead processes left is swept, and nothing else", "[sweep]") {
  Place p;
  p.make("model.pt", "x");
  p.make(".model.pt.ckptree-commit-1-0", "left by a dead one");
  p.make(".model.pt.ckptree-notes", "the user's");
  p.make(".other.pt.ckptree-commit-1-0", "of another checkpoint");
  fs::create_directories(p.dir / ".model.pt.ckptree-commit-3-0" / "sub");
  fs::create_symlink("model.pt", p.dir / ".model.pt.ckptree-commit-2-0");
  p.disk->clone(p.target, p.dir / ".model.pt.ckptree-commit-9-0", 1);  // its owner lives: it is us
  CHECK(sweep_temporaries(p.target) == 1);
  CHECK_FALSE(fs::exists(p.dir / ".model.pt.ckptree-commit-1-0"));
  CHECK(p.entries() == 6);
  p.disk->remove(p.dir / ".model.pt.ckptree-commit-9-0");
}

TEST_CASE("a scratch directory is swept when its lock is free, however deep, and no link is followed", "[sweep]") {
  Place p;
  p.make("model.pt", "x");
  p.make("precious", "kept");
  const fs::path scratch = p.dir / ".model.pt.ckptree-scratch-1";
  fs::create_directories(scratch / "a" / "b" / "closed" / "c");
  fs::create_directory(scratch / "up-0");
  std::ofstream(scratch / "up-0" / "file") << "x";
  fs::create_directory_symlink(p.dir, scratch / "a" / "link");
  ::chmod((scratch / "a" / "b" / "closed").c_str(), 0);
  Fd fd(::open(scratch.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(::flock(fd.get(), LOCK_EX) == 0);
  CHECK(sweep_temporaries(p.target) == 0);
  CHECK(fs::exists(scratch / "a" / "link"));

  // Deeper than there are descriptors or than a path can name.
  Fd deep(::open(scratch.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int depth = 0;
  while (depth < 3000 && ::mkdirat(deep.get(), "d", 0700) == 0) {
    deep = Fd(::openat(deep.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ++depth;
  }
  CHECK(depth == 3000);
  deep.reset();
  fd.reset();
  CHECK(sweep_temporaries(p.target) == 1);
  CHECK_FALSE(fs::exists(scratch));
  CHECK(p.read("precious") == "kept");
  CHECK(p.entries() == 2);
}

TEST_CASE("names of temporaries are hidden, name the checkpoint, differ, and fit", "[sweep]") {
  const std::string one = temporary_name("/d/model.pt");
  CHECK(one.rfind("/d/.model.pt.ckptree-commit-", 0) == 0);
  CHECK(one != temporary_name("/d/model.pt"));
  CHECK(temporary_name("/d/" + std::string(255, 'n')).size() <= 3 + 255);
  CHECK(temporary_prefix("model.pt") == ".model.pt.ckptree-");
}

TEST_CASE("a disk in memory keeps apart what programs see and what survives power loss", "[memory disk]") {
  MemoryDisk disk;
  disk.add("/d/f", {"old", "rw"});
  disk.clone("/d/f", "/d/g", 2);
  disk.write("/d/g", 1, Recipe::literal("new"));
  CHECK(disk.seen().at("/d/g").content == "onew");
  const auto fates = disk.fates();  // the name, the two bytes cloned, the three written
  REQUIRE(fates.size() == 3);
  CHECK(disk.after_power_loss({0, 1, 1}).count("/d/g") == 0);
  CHECK(disk.after_power_loss({1, 0, 0}).at("/d/g").content.empty());
  CHECK(disk.after_power_loss({1, 0, 1}).at("/d/g").content == std::string("\0new", 4));
  CHECK(disk.after_power_loss({1, 1, 2}).at("/d/g").content == std::string("ol\0\0", 4));  // the size alone
  disk.sync("/d/g");
  CHECK(disk.fates().size() == 1);
  CHECK(disk.after_power_loss({1}).at("/d/g").content == "onew");
  disk.rename("/d/g", "/d/f");
  CHECK(disk.after_power_loss({0, 0}).at("/d/f").content == "old");
  CHECK(disk.after_power_loss({0, 1}).at("/d/f").content == "onew");
  disk.sync_dir("/d");
  CHECK(disk.fates().empty());
  CHECK(disk.after_power_loss({}) == disk.seen());
}
