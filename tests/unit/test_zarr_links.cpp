#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "codec/contained/contained.hpp"
#include "codec/ocdbt/database.hpp"
#include "codec/zarr/store.hpp"
#include "ocdbt_database.hpp"

using namespace ckptree;
using namespace ckptree_test;
namespace fs = std::filesystem;

namespace {

/// A folder with a checkpoint in it, `ckpt`, and something else, `other`.
struct Folder {
  Folder() {
    char name[] = "/tmp/ckptree-links-XXXXXX";
    if (!::mkdtemp(name)) throw_errno("mkdtemp");
    top = name;
  }
  ~Folder() { fs::remove_all(top); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((top / path).parent_path());
    std::ofstream(top / path, std::ios::binary) << text;
  }
  void link(const std::string& target, const std::string& path) const {
    fs::create_directories((top / path).parent_path());
    fs::create_symlink(target, top / path);
  }
  Ptr<Source> open() const { return open_source((top / "ckpt").string()); }

  fs::path top;
};

template <class Call>
int errno_of(const Call& call) {
  try {
    call();
  } catch (const std::system_error& e) {
    return e.code().value();
  }
  return 0;
}

}  // namespace

TEST_CASE("a link to a directory outside the checkpoint has no values", "[zarr]") {
  const Folder folder;
  folder.write("other/0", "secret");
  folder.write("ckpt/state/w/0", "0");
  folder.link("../../other", "ckpt/state/out");
  folder.link("w", "ckpt/state/again");
  folder.link("../../../other/0", "ckpt/state/v/0");
  const auto values = zarr::directory_store(folder.open(), "state");
  CHECK(values->find("w/0")->text(9, "0") == "0");
  CHECK(values->find("again/0")->text(9, "0") == "0");
  CHECK(values->find("v/0")->text(9, "0") == "secret");  // a file can be stored elsewhere
  CHECK_FALSE(values->find("none/0").has_value());
  CHECK(errno_of([&] { values->find("out/0"); }) == ELOOP);
  CHECK_THROWS_WITH(values->find("out/0"),
                    says("/ckpt/state/out: a link to a directory outside the checkpoint, or back, is not followed"));
}

TEST_CASE("data files of a database are not looked for outside the checkpoint", "[ocdbt]") {
  const Folder folder;
  const std::string node = leaf({{"a/zarr.json", {"{}"}}});
  folder.write("other/1", node);
  folder.write("ckpt/manifest.ocdbt", manifest({{"d/1"}}, {{1, 0, 0, 0, node.size()}}));
  folder.link("../other", "ckpt/d");
  const auto database = ocdbt::open_database(folder.open(), "");
  CHECK(errno_of([&] { database->find("a/zarr.json"); }) == ELOOP);
  fs::remove(folder.top / "ckpt/d");
  folder.write("ckpt/d/1", node);
  CHECK(database->find("a/zarr.json")->text(9, "a") == "{}");
}

TEST_CASE("a list of all directories comes to an end, whatever links there are", "[zarr]") {
  const Folder folder;
  folder.write("ckpt/a/file", "a");
  folder.write("ckpt/b/file", "b");
  folder.write("ckpt/c/file", "c");
  folder.write("ckptree/file", "a name that begins like the checkpoint's");
  folder.link(".", "ckpt/self");
  folder.link("..", "ckpt/a/up");
  folder.link("../b", "ckpt/a/x");
  folder.link("../a", "ckpt/b/y");
  folder.link("../c", "ckpt/b/z");
  folder.link("../d", "ckpt/c/z");
  folder.link("../ckptree", "ckpt/beside");
  folder.link("nowhere", "ckpt/broken");
  folder.write("ckpt/d/e/file", "e");
  const Ptr<Source> source = contained_source(folder.open());
  CHECK(source->list("").size() == 7);
  CHECK(source->list("a/x") == Names{"file", "y", "z"});
  CHECK(source->list("a/x/z") == Names{"file", "z"});
  CHECK(source->open("a/x/z/file")->size() == 1);
  CHECK(source->list("d/e") == Names{"file"});
  for (const std::string path : {"self", "self/a", "a/up", "a/x/y", "a/x/z/z", "a/x/z/z/e", "beside"}) {
    CAPTURE(path);
    CHECK(errno_of([&] { source->list(path); }) == ELOOP);
    CHECK(errno_of([&] { source->open(path + "/file"); }) == ELOOP);
  }
  CHECK(errno_of([&] { source->list("broken"); }) == ENOENT);
  CHECK(errno_of([&] { source->list("a/file"); }) == ENOTDIR);
}
