#include "formats/torch/imports.hpp"
#include "pickled_checkpoint.hpp"
#include "torch_objects.hpp"
#include "torch_pickle.hpp"

using namespace ckptree;
using namespace ckptree_test;
using pickle::Editor;
using pickle::Id;

namespace {

/// A dict with objects of m.A (two), m.B, n.C; n.Items, which has an item; n.Text, whose state is a text.
std::string objects() {
  Editor edit(pickle::decode(std::string("\x80\x02}q\x00.", 6), "p"));
  const Id root = edit.graph().root();
  const auto add = [&](const std::string& key, const char* module, const char* name) {
    const Id object = edit.newobj(edit.global(module, name), edit.tuple({}));
    edit.insert(root, edit.text(key), object);
    return object;
  };
  for (const char* key : {"a", "again"})
    edit.set_state(add(key, "m", "A"), edit.dict({{edit.text("x"), edit.integer(1)}}));
  add("b", "m", "B");
  add("c", "n", "C");
  edit.append(add("items", "n", "Items"), edit.integer(1));
  edit.set_state(add("text", "n", "Text"), edit.text("state"));
  const Id outer = edit.tuple({edit.global("n", "Outer"), edit.text("Inner")});
  edit.insert(root, edit.text("inner"), edit.reduce(edit.global("builtins", "getattr"), outer));
  return pickle::encode(std::move(edit).finish());
}

/// "m.A:2 ..." of all that is referred to.
std::string uses(const Pickle& p) {
  std::string text;
  const torch::Imports imports(p.pickled().graph());
  for (const auto& import : imports.all())
    if (import.module != "builtins")
      text += (text.empty() ? "" : " ") + import.module + "." + import.name + ":" + std::to_string(import.uses);
  return text;
}

std::optional<Errc> rename(Pickle& p, const std::string& from, const std::string& to) {
  return code_of([&] { p.edit(Op::Kind::rename, "imports/" + from, "imports/" + to); });
}

}  // namespace

TEST_CASE("classes and functions are listed by module, with their uses", "[imports]") {
  const Pickle p(objects());
  CHECK(p.names("imports") == Names{"builtins/", "m/", "n/"});
  CHECK(p.names("imports/m") == Names{"A", "B"});
  CHECK(p.read("imports/m/A") == "{\"module\": \"m\", \"name\": \"A\", \"uses\": 2, \"weights_only\": false}\n");
  CHECK(uses(p) == "m.A:2 m.B:1 n.C:1 n.Items:1 n.Outer:1 n.Text:1");
  CHECK_FALSE(p.find("imports/m/C"));
  CHECK_FALSE(p.find("imports/x"));
}

TEST_CASE("names of Python 2 are shown as those of Python 3, and other ones written", "[imports]") {
  Pickle p(std::string("\x80\x02") + "c__builtin__\nxrange\nq" + std::string("\0.", 2));
  CHECK(p.names("imports/builtins") == Names{"range"});
  p.edit(Op::Kind::make_dir, "imports/m");
  p.edit(Op::Kind::rename, "imports/builtins/range", "imports/m/Range");
  CHECK(p.encoded().find("cm\nRange\n") != std::string::npos);
}

TEST_CASE("a name and a module get other names wherever they are used", "[imports]") {
  Pickle p(objects());
  p.edit(Op::Kind::make_dir, "imports/new");
  p.edit(Op::Kind::rename, "imports/m/A", "imports/new/A2");
  CHECK(uses(p) == "m.B:1 n.C:1 n.Items:1 n.Outer:1 n.Text:1 new.A2:2");
  p.edit(Op::Kind::rename, "imports/m/B", "imports/new/A2");
  CHECK(uses(p) == "n.C:1 n.Items:1 n.Outer:1 n.Text:1 new.A2:3");
  CHECK(p.names("imports") == Names{"builtins/", "n/", "new/", "m/"});  // emptied, and there until it is removed
  p.edit(Op::Kind::remove, "imports/m");
  p.edit(Op::Kind::rename, "imports/new", "imports/n/new");  // onto an existing one
  CHECK(uses(p) == "n.A2:3 n.C:1 n.Items:1 n.Outer:1 n.Text:1");
  p.edit(Op::Kind::exchange, "imports/n/A2", "imports/n/C");
  CHECK(uses(p) == "n.A2:1 n.C:3 n.Items:1 n.Outer:1 n.Text:1");
  CHECK(uses(p.again()) == uses(p));
}

TEST_CASE("an edit whose module is all that is left of it leaves that again", "[imports]") {
  Pickle p(objects());
  p.edit(Op::Kind::rename, "imports/x/Gone", "imports/y/Gone");
  CHECK(p.names("imports") == Names{"builtins/", "m/", "n/", "x/"});
  CHECK(p->waiting() == std::vector<TreePath>{{"imports", "x", "Gone"}});
  p.edit(Op::Kind::remove, "imports/x");
  CHECK(p->waiting().empty());
}

TEST_CASE("a removed name is a placeholder, where that can be loaded", "[imports]") {
  Pickle p(objects());
  p.edit(Op::Kind::remove, "imports/m/A");
  p.edit(Op::Kind::remove_tree, "imports/m");
  CHECK(uses(p) == "anemoi.models.migrations.migrator.MissingAttribute:3 n.C:1 n.Items:1 n.Outer:1 n.Text:1");
  CHECK(p.read("object/a/x") == "1\n");
  const auto refused = [&](const std::string& name, const std::string& why) {
    REQUIRE_THROWS_WITH(p.edit(Op::Kind::remove, "imports/" + name), says("imports/" + name + ": " + why));
  };
  refused("n/Items", "cannot be removed: an object of it holds items, which its placeholder could not take");
  refused("n/Text", "cannot be removed: an object of it has a state that is no dict");
  refused("n/Outer", "cannot be removed: a class within it is referred to");
  refused("anemoi.models.migrations.migrator/MissingAttribute", "is the placeholder for what was removed");
}

TEST_CASE("what has no meaning below imports/ is refused", "[imports]") {
  Pickle p(objects());
  CHECK(rename(p, "m/A", "X") == Errc::immutable);
  CHECK(rename(p, "m", "n/other") == Errc::immutable);
  CHECK(rename(p, "m/A", "x/A") == Errc::not_found);
  CHECK(rename(p, "m/Gone", "n/Gone") == Errc::not_found);
  CHECK(code_of([&] { p.edit(Op::Kind::rename, "imports/m", "object/m"); }) == Errc::immutable);
  CHECK(code_of([&] { p.edit(Op::Kind::make_dir, "imports/m/sub"); }) == Errc::immutable);
  CHECK(code_of([&] { p.edit(Op::Kind::make_dir, "imports/m"); }) == Errc::exists);
  CHECK(code_of([&] { p.edit(Op::Kind::remove, "imports/m"); }) == Errc::not_empty);
  CHECK(code_of([&] { p.write("imports/m/A", "x"); }) == Errc::immutable);
  Pickle read_only(objects(), ViewOptions{});
  CHECK(rename(read_only, "m/A", "m/X") == Errc::immutable);
  CHECK(read_only.find("imports/m/A")->saving == Node::Saving::none);
}

TEST_CASE("what torch makes tensors with keeps its name", "[imports]") {
  Pickle p(kLightningPickle);
  const Names before = p.tensors();
  p.edit(Op::Kind::make_dir, "imports/m");
  CHECK(code_of([&] { p.remove("imports/torch._utils/_rebuild_tensor_v2"); }) == Errc::immutable);
  CHECK(rename(p, "torch._utils/_rebuild_tensor_v2", "m/f") == Errc::immutable);
  CHECK(rename(p, "torch/FloatStorage", "torch/DoubleStorage") == Errc::immutable);
  CHECK(rename(p, "torch/FloatStorage", "m/FloatStorage") == Errc::immutable);
  CHECK(code_of([&] { p.edit(Op::Kind::exchange, "imports/torch/FloatStorage", "imports/collections/OrderedDict"); }) ==
        Errc::immutable);
  CHECK(rename(p, "torch", "m") == Errc::immutable);
  CHECK(p.tensors().size() == before.size());

  Pickle naked(kObjectsPickle);
  naked.edit(Op::Kind::make_dir, "imports/m");
  REQUIRE_THROWS_WITH(
      naked.edit(Op::Kind::rename, "imports/torch.storage/UntypedStorage", "imports/m/UntypedStorage"),
      says("torch makes tensors with torch.storage.UntypedStorage, and could not with m.UntypedStorage"));
  CHECK(rename(naked, "torch.storage", "torch.x") == Errc::immutable);
}

TEST_CASE("a tensor keeps the dtype that its call has by name, another object need not", "[imports]") {
  const auto both = [](const std::string& dtype) {
    return Pickle(py::pickle(py::dict({{"t", py::tensor_v3("uint16", "0", 4, {2}, {1})},
                                       {"lr", py::global("torch", dtype)},
                                       {"n", py::integer(1)}})));
  };
  Pickle p = both("float32");
  CHECK(rename(p, "torch/uint16", "torch/uint32") == Errc::immutable);
  REQUIRE_THROWS_WITH(p.edit(Op::Kind::rename, "imports/torch/uint16", "imports/torch/x"),
                      says("says what a tensor is made of; with x it would be another"));
  CHECK(rename(p, "torch/float32", "torch/float16") == std::nullopt);
  CHECK(p.read("object/lr") == "torch.float16\n");
  Pickle same = both("uint16");
  CHECK(rename(same, "torch/uint16", "torch/float16") == Errc::immutable);
}

TEST_CASE("a name that Python would take for Python 2's is refused", "[imports]") {
  Pickle p(objects());
  p.edit(Op::Kind::make_dir, "imports/dbm");
  REQUIRE_THROWS_WITH(p.edit(Op::Kind::rename, "imports/m/B", "imports/dbm/B"),
                      says("Python takes dbm.B in a pickle of protocol 2 for Python 2's, and loads dbm.ndbm.B"));
}

TEST_CASE("names that are too long to list are told", "[imports]") {
  const Pickle p(
      "\x80\x02"
      "cm\n" +
      std::string(5000, 'x') + "\nq" + std::string("\0.", 2));
  REQUIRE_THROWS_WITH(p.names("imports"), says("a class has a name of 5000 bytes, at most 4096 are listed"));
  CHECK(p.names("").size() == 9);
}

TEST_CASE("torch's weights_only takes the names of its table", "[imports]") {
  CHECK(torch::loads_weights_only("torch._utils", "_rebuild_tensor_v2"));
  CHECK(torch::loads_weights_only("collections", "OrderedDict"));
  CHECK_FALSE(torch::loads_weights_only("collections", "Ordered"));
  CHECK_FALSE(torch::loads_weights_only("collections", "Counter OrderedDict"));
  CHECK_FALSE(torch::loads_weights_only("builtins", "eval"));
}
