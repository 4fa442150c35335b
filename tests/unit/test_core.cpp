#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "catch.hpp"
#include "ckptree/cursor.hpp"
#include "ckptree/error.hpp"
#include "ckptree/name.hpp"
#include "ckptree/recipe.hpp"
#include "ckptree/row.hpp"
#include "ckptree/source.hpp"

using namespace ckptree;

TEST_CASE("a cursor reads little-endian fields and knows where it is", "[cursor]") {
  Cursor c(Bytes("\x01\x02\x03\x04\x05", 5), "end record", 100);
  CHECK(c.le<std::uint16_t>("magic") == 0x0201);
  CHECK(c.offset() == 102);
  CHECK(c.take(2, "name") == Bytes("\x03\x04", 2));
  CHECK(c.left() == 1);
}

TEST_CASE("a cursor refuses a field that runs past the end", "[cursor]") {
  Cursor c("abc", "footer", 100);
  REQUIRE_THROWS_WITH(c.le<std::uint64_t>("directory offset"),
                      says("footer at byte 100") && says("directory offset needs 8, 3 left"));
}

TEST_CASE("a cursor refuses a count that the bytes cannot hold", "[cursor]") {
  const Cursor c("abcdefgh", "rows");
  CHECK(c.count(2, 4, "rows") == 2);
  REQUIRE_THROWS_WITH(c.count(~std::uint64_t{0}, 4, "rows"), says("need 4 bytes each, 8 left"));
}

TEST_CASE("every failure has an errno and keeps its sentence", "[error]") {
  const auto failure_of = [](auto raise) {
    try {
      raise();
    } catch (...) {
      return current_failure();
    }
    return Failure{0, {}};
  };
  CHECK(failure_of([] { throw Error(Errc::stale, "a.pt: changed"); }).number == ESTALE);
  CHECK(failure_of([] { throw Error(Errc::stale, "a.pt: changed"); }).text == "a.pt: changed");
  CHECK(failure_of([] { throw std::system_error(ENOSPC, std::generic_category(), "write a.pt"); }).number == ENOSPC);
  CHECK(failure_of([] { throw std::bad_alloc(); }).number == ENOMEM);
  CHECK(failure_of([] { throw 1; }).number == EIO);
}

TEST_CASE("keys become file names and come back", "[name]") {
  const auto [key, name] = GENERATE(table<std::string, std::string>({
      {"lr", "lr"},
      {"a.b.c", "a.b.c"},
      {"", "%"},
      {"a/b", "a%2Fb"},
      {"100%", "100%25"},
      {".hidden", "%2Ehidden"},
      {".", "%2E"},
      {"..", "%2E."},
      {"backup~", "%62ackup~"},
      {"x.swp", "%78.swp"},
      {"sedABCDEF", "%73edABCDEF"},
      {"#a#", "%23a#"},
      {"tab\there", "tab%09here"},
      {std::string("nul\0", 4), "nul%00"},
      {"\x7f", "%7F"},
      {"\xED\xA0\x80", "%ED%A0%80"},
      {"\xC3\xA9", "\xC3\xA9"},
      {"sedan", "sedan"},
  }));
  CAPTURE(key);
  const FileName got = file_name_of(key);
  CHECK(got.text == name);
  CHECK_FALSE(got.cut);
  CHECK(key_of(got.text) == key);
  CHECK_FALSE(is_scratch_name(got.text));
}

TEST_CASE("a key too long for a file name is cut and hashed", "[name]") {
  const std::string a(300, 'a'), b = a + "b";
  CHECK(file_name_of(a).cut);
  CHECK(file_name_of(a).text.size() <= 255);
  CHECK(file_name_of(a).text != file_name_of(b).text);
  std::string accents;
  for (int i = 0; i < 200; ++i) accents += "\xC3\xA9";
  CHECK(file_name_of(accents).text.size() <= 255);
}

TEST_CASE("temporaries of editors and tools are scratch", "[name]") {
  for (const char* name : {".metadata.json.swp", "metadata.json~", "sedXy12Za", ".#metadata.json", "#metadata.json#",
                           "a.swx", ".git", ".metadata.json.Ab12"})
    CHECK(is_scratch_name(name));
  for (const char* name : {"metadata.json", "lr", "sediment", "a.swallow", "#1", "4913", "%2Ehidden"})
    CHECK_FALSE(is_scratch_name(name));
}

TEST_CASE("a path is split at its slashes, passes over single dots and refuses double ones", "[name]") {
  CHECK(parse_path("/a//b/") == TreePath{"a", "b"});
  CHECK(parse_path("./a/./b/.") == TreePath{"a", "b"});
  CHECK(parse_path("").empty());
  CHECK(to_string({"a", "b"}) == "a/b");
  REQUIRE_THROWS_WITH(parse_path("a/../b"), says("'..' is no name in the tree"));
}

TEST_CASE("a recipe reads over the borders of its pieces", "[recipe]") {
  const Ptr<File> file = memory_file("numbers", "0123456789");
  Recipe r = Recipe::literal("head-");
  r.pieces.push_back({std::make_pair(file, std::uint64_t{3}), 4});
  r.pieces.push_back({std::string("-tail"), 5});
  CHECK(r.size() == 14);
  CHECK(r.text(100, "r") == "head-3456-tail");
  char part[6];
  CHECK(r.read(4, Buffer(part, 6)) == 6);
  CHECK(std::string(part, 6) == "-3456-");
  CHECK(r.read(12, Buffer(part, 6)) == 2);
  CHECK(r.read(14, Buffer(part, 6)) == 0);
  REQUIRE_THROWS_WITH(r.text(13, "metadata.json"), says("metadata.json: has 14 bytes, at most 13 are read"));
}

TEST_CASE("an extent outside its file is an error with both numbers", "[recipe]") {
  const Recipe r = Recipe::extent(memory_file("model.pt", "abc"), 2, 5, "t");
  REQUIRE_THROWS_WITH(r.text(100, "x"), says("model.pt at byte 2: needs 5, the file has 3"));
}

TEST_CASE("equal texts have equal tags, others do not", "[recipe]") {
  CHECK(tag_of("abc") == tag_of("abc"));
  CHECK(tag_of("abc") != tag_of("abd"));
  CHECK(tag_of(Bytes("abc\0", 4)) != tag_of("abc"));
  CHECK(tag_of(std::string(16, 'a')) != tag_of(std::string(24, 'a')));
}

TEST_CASE("patterns match names and the rest of a path", "[row]") {
  CHECK(match("kind", {"kind"}));
  CHECK_FALSE(match("kind", {"kind", "x"}));
  CHECK(match("rows/*/id", {"rows", "3", "id"})->names == TreePath{"3"});
  CHECK(match("arrays/**", {"arrays"})->names.empty());
  CHECK(match("arrays/**", {"arrays", "a", "b.npy"})->names == TreePath{"a", "b.npy"});
  CHECK_FALSE(match("arrays/**", {"array"}));
}

TEST_CASE("what is below a directory is read there, whatever symbolic links say", "[file]") {
  namespace fs = std::filesystem;
  char name[] = "core-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const fs::path dir = fs::canonical(name);
  const std::string store = dir / "store";
  fs::create_directories(dir / "store" / "inner");
  fs::create_directory(dir / "outer");
  std::ofstream(dir / "outer" / "secret") << "secret";
  std::ofstream(dir / "store" / "inner" / "file") << "text";
  fs::create_symlink("inner/file", dir / "store" / "near");
  fs::create_symlink(dir / "store" / "inner" / "file", dir / "store" / "absolute");
  fs::create_symlink("../outer/secret", dir / "store" / "far");
  fs::create_directory_symlink("../outer", dir / "store" / "way");
  fs::create_directory_symlink("inner", dir / "store" / "again");
  fs::create_symlink("nowhere", dir / "store" / "dangling");
  const auto text = [&](const char* path) {
    const auto file = open_file_below(store, path);
    CHECK(file->name() == store + "/" + path);
    return Recipe::extent(file, 0, file->size(), "").text(100, path);
  };
  CHECK(text("inner/file") == "text");
  CHECK(text("near") == "text");
  CHECK(text("absolute") == "text");
  CHECK(text("again/file") == "text");
  CHECK_THROWS_WITH(open_file_below(store, "far"),
                    says("far: a symbolic link leads out of the checkpoint, to " + (dir / "outer/secret").string()));
  CHECK_THROWS_WITH(open_file_below(store, "way/secret"), says("leads out of the checkpoint"));
  CHECK_THROWS_WITH(open_file_below(store, "dangling"), says("No such file"));
  CHECK_THROWS_WITH(open_file_below(store, "inner"), says("expected a regular file"));
  CHECK(list_below(store, "inner") == Names{"file"});
  CHECK(list_below(store, "").size() == 7);
  CHECK_THROWS_WITH(list_below(store, "way"), says("way: a symbolic link stands for a directory"));
  CHECK_THROWS_WITH(list_below(store, "again"), says("a symbolic link stands for a directory"));
  CHECK_THROWS_WITH(list_below(store, "near"), says("Not a directory"));
  fs::remove_all(dir);
}
