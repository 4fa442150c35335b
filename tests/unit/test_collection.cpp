#include <cerrno>
#include <map>
#include <system_error>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "ckptree/format.hpp"
#include "formats/collection/format.hpp"

using namespace ckptree;

namespace {

/// Folders by path; an empty path is the top. One of them nobody may read.
struct Folders final : Source {
  const std::string& path() const override { return top; }
  bool is_directory() const override { return true; }
  Names list(const std::string& relative) const override {
    ++lists;
    if (relative == locked) throw std::system_error(EACCES, std::generic_category(), relative);
    const auto found = names.find(relative);
    if (found == names.end()) throw std::system_error(ENOTDIR, std::generic_category(), relative);
    return found->second;
  }
  Ptr<File> open(const std::string& relative) const override { throw Error(Errc::not_found, relative); }

  std::string top = "/collection", locked = "none";
  std::map<std::string, Names> names;
  mutable int lists = 0;
};

Ptr<Model> shown(const std::shared_ptr<Folders>& source) {
  ViewOptions options;
  options.is_checkpoint = [](const std::string& path) {
    return path.size() > 3 && path.substr(path.size() - 3) == ".pt";
  };
  return collection_format().open(source, options);
}

Names listed(const Model& model, const TreePath& path) {
  Names names;
  model.list(path, [&](const std::string& name, const Node&) {
    names.push_back(name);
    return true;
  });
  return names;
}

}  // namespace

TEST_CASE("a folder that cannot be read is shown, and who looks into it is told", "[collection]") {
  const auto source = std::make_shared<Folders>();
  source->names = {{"", {"file", "mine", "secret"}}, {"mine", {"a.pt"}}};
  source->locked = "secret";
  const Ptr<Model> model = shown(source);
  CHECK(listed(*model, {}) == Names{"mine", "secret"});
  REQUIRE(model->find({"secret"}));
  CHECK(model->find({"secret"})->is_directory());
  CHECK_FALSE(model->find({"file"}));
  CHECK_THROWS_WITH(listed(*model, {"secret"}), says("secret: no permission to read it"));
  try {
    listed(*model, {"secret"});
  } catch (const Error& e) {
    CHECK(e.code() == Errc::no_permission);
  }
  CHECK_THROWS_WITH(listed(*model, {"file"}), says("file: no such directory"));
  CHECK(model->find({"mine", "a.pt"})->kind == Node::Kind::nested);
  CHECK_FALSE(model->find({"mine", "a.pt", "x"}));
}

TEST_CASE("a folder whose encoded name is cut is found by it, and so is what is in it", "[collection]") {
  const auto source = std::make_shared<Folders>();
  const std::string percents(200, '%'), others = std::string(199, '%') + "x";
  source->names = {{"", {percents, others}}, {percents, {"a.pt"}}, {others, {"b.pt"}}};
  const Ptr<Model> model = shown(source);
  const Names names = listed(*model, {});
  REQUIRE(names.size() == 2);
  CHECK(names[0].size() <= 255);
  CHECK(names[0] != names[1]);
  for (const auto& [name, inner] : {std::pair(names[0], "a.pt"), std::pair(names[1], "b.pt")}) {
    REQUIRE(model->find({name}));
    CHECK(listed(*model, {name}) == Names{inner});
    CHECK(model->find({name, inner})->kind == Node::Kind::nested);
  }
  CHECK_FALSE(model->find({names[0] + "x"}));
  CHECK_FALSE(model->find({names[0], "b.pt", "x"}));
}

TEST_CASE("a listing takes one look at each entry, however long their names are", "[collection]") {
  const auto source = std::make_shared<Folders>();
  for (int i = 0; i < 100; ++i) source->names[""].push_back(std::string(200, '%') + std::to_string(i));
  const Ptr<Model> model = shown(source);
  source->lists = 0;
  CHECK(listed(*model, {}).empty());
  CHECK(source->lists == 101);
}

TEST_CASE("a name is spelled as shown or as it is, and none leads out of the collection", "[collection]") {
  const auto source = std::make_shared<Folders>();
  source->names = {{"", {".cache", "a"}}, {".cache", {}}, {"a", {}}};
  const Ptr<Model> model = shown(source);
  CHECK(model->find({"a"}));
  CHECK(model->find({".cache"}));
  CHECK(model->find({"%2Ecache"}));
  CHECK(listed(*model, {}) == Names{"a"});
  for (const char* name : {"%61", "%2E%2E", "%2E", "%", "%2Fetc", "a%2F..", "a%00.pt", "b"}) {
    CAPTURE(name);
    CHECK_FALSE(model->find({name}));
  }
}
