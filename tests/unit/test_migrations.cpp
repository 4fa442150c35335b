#include "catch.hpp"
#include "ckptree/error.hpp"
#include "ckptree/sha256.hpp"
#include "cli/migration.hpp"
#include "codec/pickle/pickle.hpp"
#include "formats/torch/migration_rules.hpp"
#include "formats/torch/migration_scripts.hpp"
#include "formats/torch/migrations.hpp"

using namespace ckptree;
using namespace ckptree::torch;
using namespace ckptree_test;

namespace {

Migration script(const std::string& name, bool final = false, const std::string& signature = "s") {
  Migration m;
  m.name = name;
  m.migration = "1.0.0";
  m.version = "v" + name;
  m.final = final;
  m.signature = signature;
  return m;
}

std::vector<Migration> all(const std::string& letters) {
  std::vector<Migration> result;
  for (const char c : letters) result.push_back(script(std::string(1, c)));
  return result;
}

std::string standings(const std::string& scripts, const std::string& registered) {
  std::string text;
  for (const auto& one : compare(groups_of(all(scripts)), all(registered)).all)
    text += (text.empty() ? "" : " ") + one.migration.name + ":" + name_of(one.standing);
  return text;
}

std::string names(const std::vector<Migration>& migrations) {
  std::string text;
  for (const Migration& m : migrations) text += m.name;
  return text;
}

/// The pickle of {"migrations": [...]}. @param items  opcodes that leave them on the stack
std::string registering(const std::string& items) {
  return std::string("\x80\x02}X\x0a\0\0\0migrations](", 20) + items + "es.";
}

std::string text(const std::string& content) {
  std::string opcode = "X";
  for (int shift = 0; shift < 32; shift += 8) opcode += static_cast<char>(content.size() >> shift & 0xff);
  return opcode + content;
}

}  // namespace

TEST_CASE("SHA-256 is that of the standard", "[sha256]") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("groups begin at the final migrations", "[migrations]") {
  std::vector<Migration> scripts = all("abcde");
  CHECK(groups_of(scripts).size() == 1);
  scripts[2].final = scripts[4].final = true;
  const Groups groups = groups_of(scripts);
  REQUIRE(groups.size() == 3);
  CHECK(names(groups[0]) == "ab");
  CHECK(names(groups[1]) == "cd");
  CHECK(names(groups[2]) == "e");
  CHECK(group_of(groups, {}) == std::optional<std::size_t>(0));
  CHECK(group_of(groups, all("cd")) == std::optional<std::size_t>(1));
  CHECK_FALSE(group_of(groups, all("bc")));
  CHECK(first_incompatible_version(groups, all("ab")) == "vc");
  CHECK(first_incompatible_version(groups, all("e")).empty());
  CHECK(why_incompatible(groups, all("e")).empty());
  CHECK(why_incompatible(groups, all("cd")) == "it is too old: use a version of anemoi-models before ve");
  CHECK(why_incompatible(groups, all("")) == "it is too old: use a version of anemoi-models before vc");
  CHECK(why_incompatible(groups, all("x")) == "its first migration, x, begins no group: it is too old, or too new");
  CHECK(why_incompatible(groups, std::nullopt) == "it has no list of migrations: it is too old");
}

TEST_CASE("no scripts are one empty group", "[migrations]") {
  const Groups groups = groups_of({});
  CHECK(why_incompatible(groups, std::vector<Migration>()).empty());
  CHECK_FALSE(why_incompatible(groups, all("a")).empty());
}

TEST_CASE("registered migrations are compared by position", "[migrations]") {
  CHECK(standings("abc", "abc") == "a:registered b:registered c:registered");
  CHECK(standings("abc", "a") == "a:registered b:missing c:missing");
  CHECK(standings("abc", "") == "a:missing b:missing c:missing");
  CHECK(standings("abc", "abcx") == "a:registered b:registered c:registered x:extra");
  // A hole in the middle: the Migrator calls c extra, and would run b and c.
  CHECK(standings("abc", "ac") == "a:registered c:out-of-order b:missing");
  const Standings hole = compare(groups_of(all("abc")), all("ac"));
  CHECK(hole.extra == std::vector<std::string>{"c"});
  CHECK(names(hole.missing) == "bc");
  // It looks from the end for the first that is in place, and does not look further.
  CHECK(standings("abc", "axc") == "a:registered x:extra c:registered b:missing");
  CHECK(compare(groups_of(all("abc")), all("axc")).extra.empty());
}

TEST_CASE("a script that is not what was registered is told", "[migrations]") {
  const auto standing = [](const Migration& now, const Migration& registered) {
    return compare(groups_of({now}), {registered}).all.front().standing;
  };
  CHECK(standing(script("a"), script("a")) == Standing::registered);
  CHECK(standing(script("a"), script("a", false, "other")) == Standing::changed);
  CHECK(standing(script("a", false, ""), script("a", false, "other")) == Standing::unverified);
  Migration other = script("a");
  other.version = "2";
  CHECK(standing(script("a"), other) == Standing::changed);
  Migration next = script("a");
  next.version = kNextVersion;
  CHECK(standing(next, other) == Standing::registered);
}

TEST_CASE("a script says what it is in its first lines", "[migrations]") {
  const std::string text = "#!/bin/sh\n# ckptree: migration=1.0.0 anemoi-models=0.8.1\nmv a b\n";
  const auto tree = read_script("17_move.sh", text, "d/17_move.sh");
  REQUIRE(tree);
  CHECK(tree->name == "17_move");
  CHECK(tree->version == "0.8.1");
  CHECK_FALSE(tree->final);
  CHECK(tree->signature == sha256(text));
  CHECK(read_script("1_x", "// ckptree: migration=1.0.0 anemoi-models=1 [final]", "p")->final);
  CHECK_FALSE(read_script("README", "nothing", "p"));
  CHECK_FALSE(read_script("tool.py", "print()", "p"));
  REQUIRE_THROWS_WITH(read_script("1_x", "# ckptree: migration=1.0.0", "p"),
                      says("p: its head does not say anemoi-models="));
  REQUIRE_THROWS_WITH(read_script("1_x", "# ckptree: migration=1.0.0 anemoi-models=1 finally", "p"),
                      says("p: expected migration=, anemoi-models= or final, got 'finally'"));
  const auto python = read_script("1_x.py",
                                  "metadata = MigrationMetadata(\n    versions={\n        \"migration\": "
                                  "\"1.0.0\",\n        \"anemoi-models\": \"0.9.4\",\n    },\n    "
                                  "final=True,\n)\n",
                                  "p");
  REQUIRE(python);
  CHECK(python->name == "1_x");
  CHECK(python->version == "0.9.4");
  CHECK(python->final);
  CHECK(python->signature.empty());
}

TEST_CASE("a new script reads as what it was made to be", "[migrations]") {
  for (const bool final : {false, true}) {
    const auto made = read_script("1_x", cli::new_script(final, !final), "p");
    REQUIRE(made);
    CHECK(made->final == final);
    CHECK(made->version == kNextVersion);
  }
}

TEST_CASE("new scripts are stamped behind the last merged one", "[migrations]") {
  using Names = std::vector<std::string>;
  const auto renamed = [](const Names& all, const Names& added) {
    std::string text;
    for (const auto& r : cli::renamings(all, added)) text += r.from + ">" + r.to + " ";
    return text;
  };
  CHECK(renamed({"10_a", "20_b", "30_c"}, {"20_b"}) == "20_b>31_b ");
  CHECK(renamed({"10_a", "20_b", "30_c", "40_d"}, {"20_b", "40_d"}) == "20_b>31_b 40_d>32_d ");
  CHECK(renamed({"10_a", "20_b"}, {"20_b"}).empty());
  CHECK(renamed({"10_a"}, {"10_a"}).empty());
}

TEST_CASE("a registered migration reads back from its text", "[migrations]") {
  Migration m = script("a\"b", true);
  const Migration again = migration_of(json_of(m), "p");
  CHECK(again.name == m.name);
  CHECK(again.version == m.version);
  CHECK(again.final);
  CHECK(again.signature == m.signature);
  m.name = std::string(1025, 'n');
  REQUIRE_THROWS_WITH(migration_of(json_of(m), "p"), says("p: expected at most 1024 bytes at /name, got 1025"));
  REQUIRE_THROWS_WITH(migration_of("{\"name\": 1}", "p"), says("p: expected a string at /name"));
  REQUIRE_THROWS_WITH(migration_of(R"({"name": "a", "metadata": {"versions": {"migration": "1"}}})", "p"),
                      says("p: expected a string at /metadata/versions/anemoi-models"));
}

TEST_CASE("what is read of migrations is bounded, whatever a list shares", "[migrations]") {
  const auto read = [](const std::string& items) { return *registered_in(pickle::decode(registering(items), "p")); };
  CHECK(read(std::string(1000, 'N')).size() == 1000);
  try {
    read(std::string(1001, 'N'));
    FAIL("1001 were read");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::too_large);
    CHECK(std::string(e.what()) == "migrations: more than 1000 are registered");
  }
  // 1023 bytes and half a character: a name has whole ones, so that its file can be written.
  const std::string name = std::string(1023, 'n');
  const Migration cut = read("}" + text("name") + text(name + "\u00e9nd") + "s").at(0).what;
  CHECK(cut.name == name);
  CHECK(migration_of(json_of(cut), "p").name == name);
}
