#include "pickled_checkpoint.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

/// What was edited shows what it will show once it is stored.
void check_stored(const Pickle& p) { CHECK(p.again().all() == p.all()); }

// {"gone": {"one": D, "two": D, "items": [1, D, {}]}} with D = {"a": 1}
const std::string kSharedPickle(
    "\x80\x02}X\4\0\0\0gone}(X\3\0\0\0one}q\0X\1\0\0\0aK\1sX\3\0\0\0twoh\0"
    "X\5\0\0\0items](K\1h\0}eus.",
    65);

}  // namespace

TEST_CASE("a scalar keeps its type", "[object]") {
  Pickle p(kValuesPickle);
  p.write("object/int", "13\n");
  p.write("object/float", "1\n");
  p.write("object/text", "7\n");
  p.write("object/flag", "false\n");
  p.write("object/big", "-" + std::string(40, '9') + "\n");
  p.write("object/nan", "-Infinity\n");
  CHECK(p.read("object/int") == "13\n");
  CHECK(p.read("object/float") == "1.0\n");
  CHECK(p.read("object/text") == "7\n");
  CHECK(p.find("object/text")->type == "string");
  CHECK(p.read("object/flag") == "false\n");
  CHECK(p.read("object/big") == "-" + std::string(40, '9') + "\n");
  CHECK(p.read("object/nan") == "-Infinity\n");
  check_stored(p);
  const auto refused = [&](const std::string& name, const std::string& text, const std::string& why) {
    CHECK(code_of([&] { p.write("object/" + name, text); }) == Errc::rejected);
    REQUIRE_THROWS_WITH(p.write("object/" + name, text), says("object/" + name + ": " + why));
  };
  refused("int", "1.5", "expected an integer, got 1.5");
  refused("int", "1e3", "expected an integer, got 1e3");
  refused("int", "x", "expected a number, got 'x'");
  refused("float", "1e999", "expected a number that a float of 64 bits can hold");
  refused("float", "true", "expected a number, got 'true'");
  refused("flag", "1", "expected true or false, got '1'");
  CHECK(code_of([&] { p.write("object/int", ""); }) == Errc::incomplete);
}

TEST_CASE("null may become anything", "[object]") {
  Pickle p(kValuesPickle);
  const auto [text, shown] =
      GENERATE(table<std::string, std::string>({{"5", "5\n"}, {"word", "word\n"}, {"[1, 2]", "[\n1,\n2\n]\n"}}));
  p.write("object/none", text);
  CHECK(p.read("object/none") == shown);
  check_stored(p);
  Pickle q(kValuesPickle);
  q.write("object/none", R"({"a": [1, {"b": null}], "c": {}})");
  CHECK(q.names("object/none") == Names{"a/", "c/"});
  CHECK(q.names("object/none/a/1") == Names{"b"});
  check_stored(q);
}

TEST_CASE("a list of scalars stays the list, tuple or set it is", "[object]") {
  Pickle p(kValuesPickle);
  p.write("object/ints", "[8, 11, 7, 9]");
  p.write("object/list", "[1, 2.5]");
  p.write("object/empty", "[\"x\"]");
  p.write("object/tuple", "[1, 0.99]");
  p.write("object/set", "[1, 2]");
  p.write("object/frozen", "[]");
  CHECK(p.read("object/ints") == "[\n8,\n11,\n7,\n9\n]\n");
  CHECK(p.read("object/tuple") == "[\n1.0,\n0.99\n]\n");
  check_stored(p);
  const auto& graph = p.pickled().graph();
  const auto kind = [&](Bytes key) { return graph.kind(pickle::find(graph, graph.root(), key)->value); };
  CHECK(kind("ints") == pickle::Kind::list);
  CHECK(kind("tuple") == pickle::Kind::tuple);
  CHECK(kind("set") == pickle::Kind::reduce);
  REQUIRE_THROWS_WITH(p.write("object/ints", "[8, 11.5, 7, 9]"), says("object/ints: expected an integer, got 11.5"));
  REQUIRE_THROWS_WITH(p.write("object/ints", "[[1]]"), says("expected a list of scalars"));
  CHECK(code_of([&] { p.write("object/ints", "{}"); }) == Errc::rejected);
  CHECK(code_of([&] { p.write("object/ints", "[1,"); }) == Errc::incomplete);
  Pickle four(kProtocol4Pickle);
  four.write("object/set", "[1, 3]");
  four.write("object/frozen", "[2]");
  CHECK(four.again().read("object/set") == "[\n1,\n3\n]\n");
  CHECK(four.again().read("object/frozen") == "[\n2\n]\n");
}

TEST_CASE("items of a list that stay are the objects they were", "[object]") {
  Pickle p(kValuesPickle);
  p.write("object/list", "[1, 3, 4, \"a\", null]");
  CHECK(p.read("object/list") == "[\n1,\n3,\n4,\n\"a\",\nnull\n]\n");
  check_stored(p);
  p.write("object/list", "[null]");
  CHECK(p.read("object/list") == "[\nnull\n]\n");
  check_stored(p);
}

TEST_CASE("the text of what is unchanged changes nothing", "[object]") {
  Pickle p(kValuesPickle);
  const auto* before = &p.pickled();
  for (const char* name : {"int", "float", "text", "none", "flag", "list", "tuple", "set"})
    p.write(std::string("object/") + name, p.read(std::string("object/") + name));
  CHECK(&p.pickled() == before);
  CHECK(p.encoded() == kValuesPickle);
}

TEST_CASE("a new file becomes a key, a directory an empty dict", "[object]") {
  Pickle p(kValuesPickle);
  p.write("object/new", "0.5\n");
  p.edit(Op::Kind::make_dir, "object/made");
  p.write("object/made/word", "two words\n");
  p.write("object/made/7", "{\"a\": 1}\n");
  p.write("object/made/%30", "\"12\"\n");
  p.write("object/made/None", "[1]\n");
  CHECK(p.names("object/made") == Names{"word", "7/", "%30", "None"});
  check_stored(p);
  const Pickle stored = p.again();
  const auto& graph = stored.pickled().graph();
  const auto made = pickle::find(graph, graph.root(), "made");
  REQUIRE(made);
  CHECK(pickle::find(graph, made->value, "0"));
  pickle::Entries entries(graph, made->value);
  pickle::Entry entry;
  CHECK((entries.next(entry) && entries.next(entry) && graph.integer(entry.key) == 7));
  CHECK(code_of([&] { p.edit(Op::Kind::make_dir, "object/made"); }) == Errc::exists);
  CHECK(code_of([&] { p.edit(Op::Kind::make_dir, "object/other/made"); }) == Errc::not_found);
  CHECK(code_of([&] { p.edit(Op::Kind::make_dir, "object/int/made"); }) == Errc::not_directory);
  CHECK(code_of([&] { p.write("object/made/(1, 2)", "1"); }) == Errc::invalid);
  CHECK(code_of([&] { p.write("object/made/%41", "1"); }) == Errc::invalid);
  CHECK(code_of([&] { p.write("object/made", "1"); }) == Errc::is_directory);
}

TEST_CASE("what a new name would become is known before it has content", "[object]") {
  Pickle p(kObjectsPickle);
  for (const char* name : {"object/new", "object/7", "object/thing/new", "object/thing/list/2", "object/dot/new"})
    CHECK(p->vacant(parse_path(name)));
  for (const char* name : {"object/.new", "object/thing/list/1", "object/thing/list/x", "object/device/new",
                           "object/none/new", "object/size/2"})
    CHECK_FALSE(p->vacant(parse_path(name)));
  // Nobody calls scratch so: who writes it means a value.
  for (const char* name : {"object/%41", "object/(1, 2)", "object/thing/list/3", "object/row/@args/2"})
    CHECK(code_of([&] { p->vacant(parse_path(name)); }) == Errc::invalid);
  REQUIRE_THROWS_WITH(p->vacant(parse_path("object/thing/list/3")),
                      says("object/thing/list/3: the next item of this list is 2"));
  REQUIRE_THROWS_WITH(p->vacant(parse_path("object/row/@args/2")), says("only a list gets new items, no tuple or set"));
  CHECK_FALSE(Pickle(kOmegaPickle)->vacant({"object", "config", "new"}));
}

TEST_CASE("attributes are edited like entries", "[object]") {
  Pickle p(kObjectsPickle);
  p.write("object/thing/number", "2");
  p.write("object/thing/new", "x");
  p.write("object/ns/lr", "0.2");
  p.write("object/ns/new", "1");
  p.write("object/dot/new", "1");
  p.remove("object/dot/x");
  p.rename("object/thing/number", "object/thing/count");
  CHECK(p.names("object/thing") == Names{"count", "list/", "new", "@class"});
  CHECK(p.names("object/ns") == Names{"lr", "new"});
  check_stored(p);
}

TEST_CASE("items are added and removed at the end of a list", "[object]") {
  Pickle p(kValuesPickle);
  p.write("object/items/3", "{\"x\": 1}");
  p.edit(Op::Kind::make_dir, "object/items/4");
  CHECK(p.names("object/items") == Names{"4/", "3/", "2/", "1", "0"});
  check_stored(p);
  REQUIRE_THROWS_WITH(p.remove("object/items/1"), says("object/items/1: only the last item of a list can be removed"));
  REQUIRE_THROWS_WITH(p.write("object/items/7", "1"), says("object/items/7: the next item of this list is 5"));
  p.remove("object/items/4");
  CHECK(code_of([&] { p.remove("object/items/3"); }) == Errc::not_empty);
  p.edit(Op::Kind::remove_tree, "object/items/3");
  p.edit(Op::Kind::remove_tree, "object/items/2");
  CHECK(p.names("object/items") == Names{"1", "0"});
  check_stored(p);
  p.edit(Op::Kind::remove_tree, "object/items/1");
  // It stays a directory until it is stored, so that who removes all of it finds what he began with.
  CHECK(p.names("object/items") == Names{"0"});
  CHECK(p.again().read("object/items") == "[\n1\n]\n");
}

TEST_CASE("a key is removed with everything below it, or once it is empty", "[object]") {
  Pickle p(kLightningPickle);
  CHECK(code_of([&] { p.remove("object/optimizer_states"); }) == Errc::not_empty);
  p.edit(Op::Kind::remove_tree, "object/optimizer_states");
  CHECK_FALSE(p.find("object/optimizer_states"));
  CHECK(p.tensors() == Names{"enc.weight", "enc.bias", "dec.weight", "weight"});
  p.remove("object/state_dict/enc.bias");
  CHECK(p.tensors() == Names{"enc.weight", "dec.weight", "weight"});
  CHECK(p.again().tensors() == p.tensors());
  check_stored(p);
  CHECK(code_of([&] { p.remove("object/other"); }) == Errc::not_found);
  CHECK(code_of([&] { p.edit(Op::Kind::remove_tree, "object"); }) == Errc::immutable);
}

TEST_CASE("rm -r removes one thing after the other, whatever it is", "[object]") {
  const auto [pickle, top] = GENERATE(table<std::string, std::string>({{kLightningPickle, "optimizer_states"},
                                                                       {kObjectsPickle, "thing"},
                                                                       {kObjectsPickle, "row"},
                                                                       {kObjectsPickle, "deque"},
                                                                       {kSharedPickle, "gone"},
                                                                       {kValuesPickle, "fixed"},
                                                                       {kValuesPickle, "items"},
                                                                       {kArraysPickle, "objects"},
                                                                       {kOmegaPickle, "config"}}));
  Pickle p(pickle);
  if (p.names("object").size() == 1) p.write("object/kept", "1");  // the last key has to stay
  const std::string above = "object/" + top;
  const std::function<void(const std::string&)> remove = [&](const std::string& path) {
    if (p.find(path)->kind == Node::Kind::directory) {
      for (std::string name : p.names(path)) {
        if (name.back() == '/') name.pop_back();
        remove(path + "/" + name);
        CHECK_FALSE(p.find(path + "/" + name));
      }
      CHECK(p.names(path).empty());
    }
    p.remove(path);
  };
  remove(above);
  CHECK_FALSE(p.find(above));
  CHECK(p.waiting().empty());
  check_stored(p);
}

TEST_CASE("the last key of the object stays", "[object]") {
  Pickle p(kOmegaPickle);
  CHECK(code_of([&] { p.edit(Op::Kind::remove_tree, "object/config"); }) == Errc::last_one);
  p.write("object/other", "1");
  p.edit(Op::Kind::remove_tree, "object/config");
  CHECK(code_of([&] { p.remove("object/other"); }) == Errc::last_one);
  CHECK(p.names("object") == Names{"other"});
  check_stored(p);
}

TEST_CASE("what goes with its object only waits until that is removed", "[object]") {
  Pickle p(kObjectsPickle);
  p.remove("object/thing/@class");
  CHECK_FALSE(p.find("object/thing/@class"));
  CHECK(p.waiting() == Names{"object/thing/@class"});
  CHECK(p.encoded() == kObjectsPickle);
  p.edit(Op::Kind::remove_tree, "object/thing");
  CHECK(p.waiting().empty());
}

TEST_CASE("when the home of something shared is removed, another place becomes its home", "[object]") {
  Pickle p(kLightningPickle);
  p.edit(Op::Kind::remove_tree, "object/one");
  CHECK(p.read("object/two/0/a") == "1\n");
  check_stored(p);
  Pickle q(kLightningPickle);
  q.remove("object/two/0");
  CHECK(q.read("object/one/a") == "1\n");
  CHECK(q.again().read("object/two") == "[]\n");
  Pickle singly(kLightningPickle);
  singly.remove("object/one/a");
  singly.remove("object/one");
  // The list that it stands in stays a directory when the walk begins anew.
  Pickle list(kLightningPickle);
  list.remove("object/two/0");
  list.rename("object/one", "object/uno");
  CHECK(list.names("object/two").empty());
  CHECK(singly.find("object/two/0")->kind == Node::Kind::directory);
  check_stored(singly);
}

TEST_CASE("mv renames a key in its place", "[object]") {
  Pickle p(kLightningPickle);
  p.rename("object/epoch", "object/Epoch");
  p.rename("object/optimizer_states", "object/opt");
  p.rename("object/one", "object/1");
  CHECK(p.names("object") == Names{"Epoch", "lr", "state_dict/", "opt/", "1/", "two/", "weight"});
  CHECK(p.tensors().back() == "opt.0.state.0.exp_avg");
  CHECK(p.target("object/opt/0/state/0/step") == "../../../../../tensors/opt.0.state.0.step");
  CHECK(p.target("object/two/0") == "../../object/1");
  check_stored(p);
  CHECK(code_of([&] { p.rename("object/Epoch", "object/lr"); }) == Errc::exists);
  CHECK(code_of([&] { p.rename("object/none", "object/x"); }) == Errc::not_found);
  CHECK(code_of([&] { p.rename("object/opt/0", "object/opt/1"); }) == Errc::invalid);
  CHECK(code_of([&] { p.rename("object/opt", "object/opt/0/x"); }) == Errc::invalid);
  CHECK(code_of([&] { p.rename("object/Epoch", "metadata.json"); }) == Errc::immutable);
}

TEST_CASE("mv moves an entry to another directory, and exchange swaps two", "[object]") {
  Pickle p(kLightningPickle);
  p.rename("object/epoch", "object/one/epoch");
  p.rename("object/optimizer_states/0/state", "object/state");
  CHECK(p.names("object/one") == Names{"a", "epoch"});
  CHECK(p.tensors()[4] == "state.0.step");
  check_stored(p);
  p.edit(Op::Kind::exchange, "object/lr", "object/one/a");
  CHECK(p.read("object/lr") == "1\n");
  p.edit(Op::Kind::exchange, "object/state_dict/enc.weight", "object/state_dict/enc.bias");
  p.edit(Op::Kind::exchange, "object/one", "object/state");
  CHECK(p.target("object/two/0") == "../../object/state");
  check_stored(p);
}

TEST_CASE("arrays are renamed and removed, and their content is only shown", "[object]") {
  Pickle p(kArraysPickle);
  CHECK(p->vacant({"object", "g.npy"}));
  p.rename("object/f.npy", "object/g.npy");
  p.remove("object/big.npy");
  CHECK(p.names("object") == Names{"g.npy", "dates.npy", "objects/", "x"});
  check_stored(p);
  CHECK(code_of([&] { p.write("object/g.npy", "x"); }) == Errc::immutable);
  CHECK(code_of([&] { p.write("object/new.npy", "x"); }) == Errc::immutable);
  CHECK(code_of([&] { p.rename("object/g.npy", "object/g"); }) == Errc::invalid);
}

TEST_CASE("a key of a dict comes once, though an array and a scalar of it have two names", "[object]") {
  Pickle p(kArraysPickle);
  CHECK(code_of([&] { p.write("object/f", "5"); }) == Errc::exists);
  REQUIRE_THROWS_WITH(p.write("object/f", "5"), says("object/f: the same key is there already, as f.npy"));
  CHECK(code_of([&] { p.edit(Op::Kind::make_dir, "object/f"); }) == Errc::exists);
  CHECK(code_of([&] { p.rename("object/x", "object/f"); }) == Errc::exists);
  CHECK(code_of([&] { p.rename("object/f.npy", "object/x.npy"); }) == Errc::exists);
  p.remove("object/f.npy");
  p.rename("object/x", "object/f");
  check_stored(p);
  Pickle numbers(kValuesPickle);  // 0, None and (1, 'a') are keys in it
  for (const char* same : {"False", "0.0", "-0.0"})
    CHECK(code_of([&] { numbers.write(std::string("object/keys/") + same, "1"); }) == Errc::exists);
  numbers.write("object/keys/True", "1");
  CHECK(code_of([&] { numbers.write("object/keys/1", "1"); }) == Errc::exists);
}

TEST_CASE("what can only be shown is refused", "[object]") {
  Pickle p(kValuesPickle);
  for (const char* name : {"complex", "bytes", "np", "fixed/x"})
    CHECK(code_of([&] { p.write(std::string("object/") + name, "1"); }) == Errc::immutable);
  Pickle q(kObjectsPickle);
  for (const char* name : {"dtype", "storage", "thing/@class", "device/x"})
    CHECK(code_of([&] { q.write(std::string("object/") + name, "1"); }) == Errc::immutable);
  CHECK(code_of([&] { Pickle(kLightningPickle).write("object/weight", "1"); }) == Errc::immutable);
  CHECK(code_of([&] { Pickle(kLightningPickle).write("object/two/0", "1"); }) == Errc::immutable);
}

TEST_CASE("values that OmegaConf wraps are edited, none are added", "[object]") {
  Pickle p(kOmegaPickle);
  p.write("object/config/lr", "0.2");
  p.write("object/config/l", "[1, 3]");
  p.write("object/config/d/e", "x");
  CHECK(p.read("object/config/l") == "[\n1,\n3\n]\n");
  check_stored(p);
  const std::string wraps = "OmegaConf";
  REQUIRE_THROWS_WITH(p.write("object/config/l", "[1]"), says(wraps));
  REQUIRE_THROWS_WITH(p.write("object/config/new", "1"), says(wraps));
  REQUIRE_THROWS_WITH(p.rename("object/config/lr", "object/config/rate"), says(wraps));
  p.write("object/config/d/e", "y");
  p.remove("object/config/d/e");
  CHECK(p.names("object/config/d").empty());
  check_stored(p);
}

TEST_CASE("nothing below object/ is edited unless it is asked for, and possible", "[object]") {
  Pickle p(kValuesPickle, ViewOptions{});
  CHECK(p.find("object/int")->saving == Node::Saving::none);
  CHECK_FALSE(p->vacant({"object", "new"}));
  CHECK(code_of([&] { p.write("object/int", "1"); }) == Errc::immutable);
  REQUIRE_THROWS_WITH(p.remove("object/int"), says("object/int: is edited under -o edit=all only"));
  ViewOptions options = edit_all();
  options.read_only = true;
  CHECK(code_of([&] { Pickle(kValuesPickle, options).write("object/int", "1"); }) == Errc::read_only);
  // DUP is read, and not written.
  Pickle dup(std::string("\x80\x02}X\1\0\0\0aK\1s20.", 15));
  CHECK(dup.read("object/a") == "1\n");
  CHECK(dup.find("object/a")->saving == Node::Saving::none);
  CHECK(code_of([&] { dup.write("object/a", "2"); }) == Errc::immutable);
  REQUIRE_THROWS_WITH(dup.write("object/a", "2"), says("object/a: cannot be edited: "));
  CHECK(Pickle(kValuesPickle).find("object/int")->saving == Node::Saving::value);
}

TEST_CASE("thousands of removals one after the other leave what was not removed", "[object]") {
  std::string pickle("\x80\x02}(", 4);
  const int n = 3000;
  for (int i = 0; i < n; ++i) {
    const std::string key = "key" + std::to_string(i);
    pickle += "X" + std::string(1, static_cast<char>(key.size())) + std::string(3, '\0') + key + "K\1";
  }
  Pickle p(pickle + "u.");
  for (int i = 0; i < n; ++i) {
    if (i == n / 2) continue;
    const std::string path = "object/key" + std::to_string(i);
    p.remove(path);
    REQUIRE_FALSE(p.find(path));
  }
  CHECK(p.names("object") == Names{"key" + std::to_string(n / 2)});
  check_stored(p);
}
