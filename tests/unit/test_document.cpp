#include "catch.hpp"

#include <chrono>
#include <thread>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "formats/document/document.hpp"

using namespace ckptree;

namespace {

using Kind = Op::Kind;
using DocumentPtr = std::shared_ptr<const Document>;

DocumentPtr document(std::string text) {
  return std::make_shared<Document>(std::move(text), "metadata.json", std::timespec{100, 5}, true);
}

/// The edit of a path as the tree names it; values start one name below the top: "metadata/...".
Op edit(Kind kind, const std::string& path, const std::string& to = "") {
  Op op;
  op.kind = kind;
  op.path = parse_path(path);
  op.to = parse_path(to);
  return op;
}

Op write(const std::string& path, const std::string& text) {
  Op op = edit(Kind::write, path);
  op.content = Recipe::literal(text);
  return op;
}

std::string after(const std::string& text, const Op& op) { return document(text)->apply(op, 1)->text(); }

/// The code of the error an edit gives, and its sentence.
std::string refusal(const std::string& text, const Op& op) {
  const char* names[] = {"not_found", "rejected",     "incomplete",    "invalid",       "exists",
                         "not_empty", "is_directory", "not_directory", "name_too_long", "immutable"};
  try {
    return "accepted: " + document(text)->apply(op, 1)->text();
  } catch (const Error& e) {
    const auto code = static_cast<std::size_t>(e.code());
    return (code < 10 ? names[code] : "?") + std::string(" ") + e.what();
  }
}

std::string content(const Document& doc, const std::string& path) {
  const auto node = doc.find(parse_path(path));
  if (!node) return "nothing";
  if (node->kind == Node::Kind::directory) return "directory";
  return node->type + " " + node->content.text(1 << 24, path);
}

std::string content(const std::string& text, const std::string& path) { return content(*document(text), path); }

/// The names of a directory, each with '/' when it is one itself.
std::string names(const std::string& text, const std::string& path) {
  std::string all;
  document(text)->list(parse_path(path), [&](const std::string& name, const Node& node) {
    all += name + (node.kind == Node::Kind::directory ? "/ " : " ");
    return true;
  });
  return all;
}

const std::string kTraining =
    "{\"version\": \"1.0\", \"config\": {\"training\": {\"lr\": 0.00100, \"max_epochs\": null}, \"on\": true},\n"
    " \"levels\": [1000,  850, 1e3], \"layers\": [{\"n\": 1}, 2], \"empty\": {}, \"none\": []}\n";

}  // namespace

TEST_CASE("every value of a document is a file or a directory", "[document]") {
  CHECK(names(kTraining, "") == "version config/ levels layers/ empty/ none ");
  CHECK(names(kTraining, "config") == "training/ on ");
  CHECK(names(kTraining, "layers") == "0/ 1 ");
  CHECK(names(kTraining, "empty") == "");
  CHECK(content(kTraining, "") == "directory");
  CHECK(content(kTraining, "config/training") == "directory");
  CHECK(content(kTraining, "version") == "string 1.0\n");
  CHECK(content(kTraining, "config/training/lr") == "number 0.00100\n");
  CHECK(content(kTraining, "config/training/max_epochs") == "null null\n");
  CHECK(content(kTraining, "config/on") == "boolean true\n");
  CHECK(content(kTraining, "levels") == "list [\n1000,\n850,\n1e3\n]\n");
  CHECK(content(kTraining, "none") == "list []\n");
  CHECK(content(kTraining, "layers/0/n") == "number 1\n");
  CHECK(content(kTraining, "layers/1") == "number 2\n");
}

TEST_CASE("what is not in a document is not found", "[document]") {
  for (const char* path : {"x", "config/x", "version/x", "levels/0", "layers/2", "layers/00", "layers/-1", "layers/n",
                           "layers/99999999999999999999", "config/training/lr/x", "%"})
    CHECK(content(kTraining, path) == "nothing");
  REQUIRE_THROWS_WITH(names(kTraining, "config/x"), says("metadata.json: config/x: no such directory"));
  REQUIRE_THROWS_WITH(names(kTraining, "levels"), says("metadata.json: levels: not a directory"));
  REQUIRE_THROWS_WITH(names(kTraining, "version/x"), says("metadata.json: version/x: no such directory"));
}

TEST_CASE("values are shown digit for digit, strings as their text", "[document]") {
  CHECK(content("{\"a\": 123456789012345678901234567890}", "a") == "number 123456789012345678901234567890\n");
  CHECK(content("{\"a\": -1.50E+007}", "a") == "number -1.50E+007\n");
  CHECK(content("{\"a\": NaN}", "a") == "number NaN\n");
  CHECK(content("{\"a\": -Infinity}", "a") == "number -Infinity\n");
  CHECK(content("{\"a\": \"\\u00e9\\ud83d\\ude00\"}", "a") == "string \u00e9\U0001f600\n");
  CHECK(content("{\"a\": \"two\\nlines\\n\"}", "a") == "string two\nlines\n\n");
  CHECK(content("{\"a\": \"\"}", "a") == "string \n");
  CHECK(content("{\"a\": \"x\\ud83d\\u00e9\"}", "a") == "string \"x\\ud83d\\u00e9\"\n");
  CHECK(content("{\"a\": [ \"x\" ,null ,\n NaN,\"], [\" ]}", "a") == "list [\n\"x\",\nnull,\nNaN,\n\"], [\"\n]\n");
  CHECK(content("{\"a\": [ ]}", "a") == "list []\n");
  CHECK(content("{\"a\": [[]]}", "a") == "directory");
  CHECK(content("{\"a\": [[]]}", "a/0") == "list []\n");
}

TEST_CASE("a node tells size, time, tag and what may be done with it", "[document]") {
  const DocumentPtr doc = document("{\"a\": \"\\u0061\", \"b\": \"a\", \"c\": {}, \"d\": 1}");
  const Node a = *doc->find({"a"}), b = *doc->find({"b"}), c = *doc->find({"c"}), d = *doc->find({"d"});
  CHECK(a.content.size() == 2);
  CHECK(a.content.tag == b.content.tag);
  CHECK(a.content.tag != d.content.tag);
  CHECK(a.saving == Node::Saving::value);
  CHECK(c.saving == Node::Saving::value);
  CHECK(doc->find({})->saving == Node::Saving::value);
  CHECK(a.mtime.tv_sec == 100);
  CHECK(c.mtime.tv_nsec == 5);
  CHECK(c.type.empty());

  const Document frozen("{\"a\": 1, \"c\": {}}", "metadata.json", {}, false);
  CHECK(frozen.find({"a"})->saving == Node::Saving::none);
  CHECK(frozen.find({})->saving == Node::Saving::none);
  CHECK_FALSE(frozen.vacant({"x"}));
  REQUIRE_THROWS_WITH(frozen.apply(write("metadata/a", "2"), 1), says("metadata/a: cannot be edited"));
}

TEST_CASE("list and find give the same nodes", "[document]") {
  const DocumentPtr doc = document(kTraining);
  int n = 0;
  doc->list({}, [&](const std::string& name, const Node& listed) {
    const auto found = doc->find({name});
    REQUIRE(found);
    CHECK(found->kind == listed.kind);
    CHECK(found->type == listed.type);
    CHECK(found->content.size() == listed.content.size());
    CHECK(found->content.tag == listed.content.tag);
    return ++n < 4;
  });
  CHECK(n == 4);  // list stopped when told to
}

TEST_CASE("of equal keys the last wins and is listed once", "[document]") {
  const std::string text = "{\"a\": 1, \"b\": 2, \"\\u0061\": 3, \"a\": 4, \"c\": 5}";
  CHECK(names(text, "") == "b a c ");
  CHECK(content(text, "a") == "number 4\n");
  CHECK(after(text, write("metadata/a", "9\n")) == "{\"a\": 1, \"b\": 2, \"\\u0061\": 3, \"a\": 9, \"c\": 5}");
  // An older one must not come to light.
  CHECK(after(text, edit(Kind::remove, "metadata/a")) == "{\"b\": 2, \"c\": 5}");
  CHECK(after(text, edit(Kind::rename, "metadata/a", "metadata/x")) ==
        "{\"x\": 1, \"b\": 2, \"x\": 3, \"x\": 4, \"c\": 5}");
  CHECK(after("{\"a\": 1, \"a\": 2, \"d\": {}}", edit(Kind::rename, "metadata/a", "metadata/d/a")) ==
        "{\"d\": {\"a\": 2}}");
}

TEST_CASE("keys that are no file names are found under their encoded names", "[document]") {
  const std::string text =
      "{\"a/b\": 1, \"\": 2, \".hidden\": 3, \"x~\": 4, \"50%\": 5, \"\\ud800\": 6, \"tab\\t\": 7, "
      "\"\\u00e9\": 8, \"..\": 9}";
  CHECK(names(text, "") == "a%2Fb % %2Ehidden %78~ 50%25 %ED%A0%80 tab%09 \u00e9 %2E. ");
  CHECK(content(text, "a%2Fb") == "number 1\n");
  CHECK(content(text, "%") == "number 2\n");
  CHECK(content(text, "%2Ehidden") == "number 3\n");
  CHECK(content(text, "%78~") == "number 4\n");
  CHECK(content(text, "50%25") == "number 5\n");
  CHECK(content(text, "%ED%A0%80") == "number 6\n");
  CHECK(content(text, "tab%09") == "number 7\n");
  CHECK(content(text, "\u00e9") == "number 8\n");
  // Every key has one name: other spellings of it name nothing.
  for (const char* name : {".hidden", "x~", "50%", "a%2fb", "%C3%A9", "%61%2Fb"})
    CHECK_FALSE(document(text)->find({name}));
}

TEST_CASE("a key too long for a file name is found under its cut name, whole in the node", "[document]") {
  const std::string long_key(300, 'k'), other = long_key + "2";
  const std::string longest(255, 's');
  const DocumentPtr doc = document("{\"" + long_key + "\": 1, \"" + other + "\": {\"x\": 2}, \"" + longest + "\": 3}");
  std::vector<std::string> found;
  doc->list({}, [&](const std::string& name, const Node& node) {
    CHECK(name.size() <= 255);
    CHECK(doc->find({name})->key == node.key);
    found.push_back(name);
    return true;
  });
  REQUIRE(found.size() == 3);
  CHECK(found[0] != found[1]);
  CHECK(doc->find({found[0]})->key == long_key);
  CHECK(doc->find({found[1]})->key == other);
  CHECK(doc->find({found[2]})->key.empty());
  CHECK(doc->find({found[1], "x"})->content.text(10, "x") == "2\n");
  const DocumentPtr written = doc->apply(write("metadata/" + found[0], "7"), 1);
  CHECK(written->find({found[0]})->content.text(10, "x") == "7\n");
  CHECK(written->apply(edit(Kind::remove_tree, "metadata/" + found[1]), 1)->find({found[1]}) == std::nullopt);
}

TEST_CASE("an edit of a value changes the bytes of that value and nothing else", "[document]") {
  struct Row {
    const char *text, *path, *written, *result;
  };
  const Row rows[] = {
      // Numbers.
      {"{ \"a\" : 1.50 ,\n\"b\":0.10}", "a", "2e-4\n", "{ \"a\" : 2e-4 ,\n\"b\":0.10}"},
      {"{\"a\": 1}", "a", "2", "{\"a\": 2}"},
      {"{\"a\": 1}", "a", "  NaN \n", "{\"a\": NaN}"},
      {"{\"a\": 1}", "a", "123456789012345678901234567890\r\n", "{\"a\": 123456789012345678901234567890}"},
      {"{\"a\": {\"b\": [{\"c\": -1}]}}", "a/b/0/c", "-Infinity\n", "{\"a\": {\"b\": [{\"c\": -Infinity}]}}"},
      // Booleans.
      {"{\"a\": true}", "a", "false\n", "{\"a\": false}"},
      // Strings take any text; one final newline is not part of it.
      {"{\"a\": \"x\"}", "a", "y\n", "{\"a\": \"y\"}"},
      {"{\"a\": \"x\"}", "a", "y", "{\"a\": \"y\"}"},
      {"{\"a\": \"x\"}", "a", "y\n\n", "{\"a\": \"y\\n\"}"},
      {"{\"a\": \"x\"}", "a", "", "{\"a\": \"\"}"},
      {"{\"a\": \"x\"}", "a", "\n", "{\"a\": \"\"}"},
      {"{\"a\": \"x\"}", "a", "1\n", "{\"a\": \"1\"}"},
      {"{\"a\": \"x\"}", "a", "\"q\"\n", "{\"a\": \"\\\"q\\\"\"}"},
      {"{\"a\": \"x\"}", "a", "\u00e9\t\\\n", "{\"a\": \"\\u00e9\\t\\\\\"}"},
      {"{\"a\": \"x\"}", "a", "[1,", "{\"a\": \"[1,\"}"},
      // The literal stays as it is spelled when the text is the same.
      {"{\"a\": \"\\u0078\\/\"}", "a", "x/\n", "{\"a\": \"\\u0078\\/\"}"},
      // Lone surrogates: the quoted literal.
      {"{\"a\": \"\\ud800\"}", "a", "\"\\udc00x\"\n", "{\"a\": \"\\udc00x\"}"},
      {"{\"a\": \"\\ud800\"}", "a", "\"plain\"\n", "{\"a\": \"plain\"}"},
      // null becomes anything.
      {"{\"a\": null}", "a", "1\n", "{\"a\": 1}"},
      {"{\"a\": null}", "a", "some text\n", "{\"a\": \"some text\"}"},
      {"{\"a\": null}", "a", "\"1\"\n", "{\"a\": \"1\"}"},
      {"{\"a\": null}", "a", "{\"b\": [1]}\n", "{\"a\": {\"b\": [1]}}"},
      {"{\"a\": null}", "a", "[x]\n", "{\"a\": \"[x]\"}"},
      {"{\"a\": null}", "a", "null\n", "{\"a\": null}"},
      // Lists keep their spacing.
      {"{\"a\": [1, 2, 3]}", "a", "[\n1,\n5,\n3\n]\n", "{\"a\": [1, 5, 3]}"},
      {"{\"a\": [1,2]}", "a", "[\n1,\n2,\n3\n]\n", "{\"a\": [1,2,3]}"},
      {"{\"a\": [ 1,  2,3 ]}", "a", "[\n1,\n2,\n4\n]\n", "{\"a\": [ 1,  2,4 ]}"},
      {"{\"a\": [ 1,  2,3 ]}", "a", "[\n1,\n2,\n3\n]\n", "{\"a\": [ 1,  2,3 ]}"},
      {"{\"a\": [\n  1,\n  2\n]}", "a", "[1]", "{\"a\": [\n  1\n]}"},
      {"{\"a\": [\n  1\n]}", "a", "[1,2]", "{\"a\": [\n  1,\n  2\n]}"},
      {"{\"a\": [1]}", "a", "[]\n", "{\"a\": []}"},
      {"{\"a\": [ ]}", "a", "[]\n", "{\"a\": [ ]}"},
      {"{\"a\": []}", "a", "[\n1,\n\"x\"\n]\n", "{\"a\": [1, \"x\"]}"},
      {"{\"a\": [1]}", "a", "[1, {\"b\": 2}]", "{\"a\": [1, {\"b\": 2}]}"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text, row.written);
    CHECK(after(row.text, write("metadata/" + std::string(row.path), row.written)) == row.result);
  }
}

TEST_CASE("writing back what is shown changes nothing", "[document]") {
  const std::string text =
      "{\"a\": \"\\u0061\\/\\ud83d\\ude00\", \"b\": 1.0e+0, \"c\": [ 1 ,2,\n\"\\u0062\"], \"d\": null, \"e\": true, "
      "\"f\": \"\\ud800\", \"g\": [{\"h\": \"x\\n\"}], \"i\": [ ], \"j\": \"\", \"k\": -0}";
  for (const char* path : {"a", "b", "c", "d", "e", "f", "g/0/h", "i", "j", "k"}) {
    CAPTURE(path);
    const std::string shown = document(text)->find(parse_path(path))->content.text(1000, path);
    CHECK(after(text, write("metadata/" + std::string(path), shown)) == text);
  }
}

TEST_CASE("a text that is not of the value's type is refused", "[document]") {
  struct Row {
    std::string text, written, refusal;
  };
  const Row rows[] = {
      {"1", "abc\n", "rejected metadata/a: expected a number, got 'abc'"},
      {"1", "\n", "rejected metadata/a: expected a number, got an empty line"},
      {"1", "", "incomplete metadata/a: expected a number, got an empty text"},
      {"1", "\"2\"\n", "rejected metadata/a: expected a number, got '\"2\"'"},
      {"1", "1 2\n", "rejected metadata/a: expected a number, got '1 2'"},
      {"1", "null\n", "rejected metadata/a: expected a number, got 'null'"},
      {"1", "two\nlines\n", "rejected metadata/a: expected a number, got 'two'..."},
      {"1", std::string(50, 'x'), "rejected metadata/a: expected a number, got '" + std::string(40, 'x') + "'..."},
      {"1", "x\xff", "rejected metadata/a: expected a number, got 'x'..."},
      {"true", "yes\n", "rejected metadata/a: expected true or false, got 'yes'"},
      {"true", "1\n", "rejected metadata/a: expected true or false, got '1'"},
      {"false", "", "incomplete metadata/a: expected true or false, got an empty text"},
      {"null", "", "incomplete metadata/a: expected a value, got an empty text"},
      {"null", "[1,\n", "incomplete metadata/a:2:1: expected a value, got the end of the text"},
      {"null", "\xff\n", "rejected metadata/a: byte 0 of the text: expected UTF-8"},
      {"\"x\"", "a\xff\n", "rejected metadata/a: byte 1 of the text: expected UTF-8"},
      {"\"\\ud800\"", "plain\n",
       "rejected metadata/a: expected a string in double quotes (it holds surrogates no plain text can), got 'plain'"},
      {"[1]", "abc\n", "rejected metadata/a: expected a list, got 'abc'"},
      {"[1]", "{\"b\": 1}\n", "rejected metadata/a: expected a list, got '{\"b\": 1}'"},
      {"[1]", "", "incomplete metadata/a:1:1: expected a value, got the end of the text"},
      {"[1]", "[\n1,\n2\n", "incomplete metadata/a:4:1: expected ',' or ']', got the end of the text"},
      {"[1]", "[\n1,\n2 3]\n", "rejected metadata/a:3:3: expected ',' or ']', got '3'"},
      {"[1]", "[1] 2\n", "rejected metadata/a:1:5: expected the end of the text, got '2'"},
      {"{}", "1\n", "is_directory metadata/a: a directory"},
      {"[{}]", "[1]\n", "is_directory metadata/a: a directory"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text, row.written);
    CHECK(refusal("{\"a\": " + row.text + "}", write("metadata/a", row.written)) == row.refusal);
  }
  CHECK(refusal("{}", write("metadata", "1")) == "is_directory metadata: a directory");
  CHECK(refusal(kTraining, write("metadata/config/training/lr", "abc\n")) ==
        "rejected metadata/config/training/lr: expected a number, got 'abc'");
  CHECK(refusal(kTraining, write("metadata/config/x/lr", "1")) == "not_found metadata/config/x: no such directory");
  CHECK(refusal(kTraining, write("metadata/version/lr", "1")) == "not_directory metadata/version: not a directory");
}

TEST_CASE("a new value takes the type of its text", "[document]") {
  struct Row {
    const char *written, *value;
  };
  const Row rows[] = {
      {"1\n", "1"},
      {"1e5", "1e5"},
      {" true \n", "true"},
      {"null\n", "null"},
      {"NaN\n", "NaN"},
      {"text\n", "\"text\""},
      {"\n", "\"\""},
      {"two\nlines\n", "\"two\\nlines\""},
      {"1 2\n", "\"1 2\""},
      {"\"1\"\n", "\"1\""},
      {"\"\\u00e9\"\n", "\"\\u00e9\""},
      {"\"open\n", "\"\\\"open\""},
      {"[\n1,\n2\n]\n", "[1, 2]"},
      {"[1,\n", "\"[1,\""},
      {"[{\"a\":1}]\n", "[{\"a\":1}]"},
      {"{\"a\":\n1}\n", "{\"a\":\n1}"},
      {"{}\n", "{}"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.written);
    CHECK(after("{\"a\": 0}", write("metadata/new", row.written)) ==
          "{\"a\": 0, \"new\": " + std::string(row.value) + "}");
  }
  CHECK(refusal("{}", write("metadata/new", "")) == "incomplete metadata/new: expected a value, got an empty text");
  CHECK(refusal("{}", write("metadata/new", "\xff")) == "rejected metadata/new: byte 0 of the text: expected UTF-8");
  CHECK(after("{}", write("metadata/a%2Fb", "1")) == "{\"a/b\": 1}");
  CHECK(after("{}", write("metadata/%", "1")) == "{\"\": 1}");
  CHECK(after("{}", write("metadata/\u00e9", "1")) == "{\"\\u00e9\": 1}");
  CHECK(after("{}", write("metadata/%ED%A0%80", "1")) == "{\"\\ud800\": 1}");
  CHECK(refusal("{}", write("metadata/%41", "1")) == "invalid metadata/%41: not how the name of a key is spelled");
  CHECK(refusal("{}", write("metadata/%FF", "1")) == "invalid metadata/%FF: not how the name of a key is spelled");
  CHECK(refusal("{}", write("metadata/x~", "1")) == "invalid metadata/x~: not how the name of a key is spelled");
}

TEST_CASE("a name is vacant where a new value could be", "[document]") {
  const DocumentPtr doc = document(kTraining);
  for (const char* path : {"x", "config/x", "config/training/x", "empty/x", "layers/2", "layers/0/m", "a%2Fb"}) {
    CAPTURE(path);
    const auto node = doc->vacant(parse_path(path));
    REQUIRE(node);
    CHECK(node->kind == Node::Kind::file);
    CHECK(node->saving == Node::Saving::value);
  }
  for (const char* path : {"x~", ".x", "sedAbCdEf", "#x#", "x.swp", "layers/x", "layers/02", "layers/1", "levels/3",
                           "none/0", "version/x", "nowhere/x"}) {
    CAPTURE(path);
    CHECK_FALSE(doc->vacant(parse_path(path)));
  }
  // Nobody calls scratch so: who writes it means a value.
  for (const char* path : {"50%", "%41", "%FF", "layers/3"}) {
    CAPTURE(path);
    REQUIRE_THROWS_WITH(doc->vacant(parse_path(path)), says(std::string(path) + ": "));
  }
  REQUIRE_THROWS_WITH(doc->vacant({"layers", "7"}), says("layers/7: the next item of this list is 2"));
  CHECK_FALSE(doc->vacant({}));
}

TEST_CASE("make_dir makes an empty object", "[document]") {
  CHECK(after("{\"a\": 1}", edit(Kind::make_dir, "metadata/b")) == "{\"a\": 1, \"b\": {}}");
  CHECK(after("{\"a\": {}}", edit(Kind::make_dir, "metadata/a/b")) == "{\"a\": {\"b\": {}}}");
  CHECK(after("{\"a\": [{}]}", edit(Kind::make_dir, "metadata/a/1")) == "{\"a\": [{}, {}]}");
  CHECK(refusal("{\"a\": 1}", edit(Kind::make_dir, "metadata/a")) == "exists metadata/a: exists");
  CHECK(refusal("{\"a\": {}}", edit(Kind::make_dir, "metadata/a")) == "exists metadata/a: exists");
  CHECK(refusal("{}", edit(Kind::make_dir, "metadata")) == "exists metadata: exists");
  CHECK(refusal("{}", edit(Kind::make_dir, "metadata/a/b")) == "not_found metadata/a: no such directory");
  CHECK(refusal("{\"a\": 1}", edit(Kind::make_dir, "metadata/a/b")) == "not_directory metadata/a: not a directory");
  CHECK(refusal("{\"a\": [{}]}", edit(Kind::make_dir, "metadata/a/2")) ==
        "invalid metadata/a/2: the next item of this list is 1");
  CHECK(refusal("{}", edit(Kind::make_dir, "metadata/.x")) ==
        "invalid metadata/.x: not how the name of a key is spelled");
}

TEST_CASE("remove takes a key, remove_tree whatever is there", "[document]") {
  CHECK(after("{\"a\": 1, \"b\": 2}", edit(Kind::remove, "metadata/a")) == "{\"b\": 2}");
  CHECK(after("{\"a\": [1, 2], \"b\": 2}", edit(Kind::remove, "metadata/a")) == "{\"b\": 2}");
  CHECK(after("{\"a\": {}, \"b\": 2}", edit(Kind::remove, "metadata/a")) == "{\"b\": 2}");
  CHECK(after("{\"a\": {\"b\": [{}]}}", edit(Kind::remove_tree, "metadata/a")) == "{}");
  CHECK(after("{\"a\": {\"b\": 1}}", edit(Kind::remove_tree, "metadata/a/b")) == "{\"a\": {}}");
  CHECK(refusal("{\"a\": {\"b\": 1}}", edit(Kind::remove, "metadata/a")) == "not_empty metadata/a: not empty");
  CHECK(refusal("{\"a\": [{}]}", edit(Kind::remove, "metadata/a")) == "not_empty metadata/a: not empty");
  CHECK(refusal("{}", edit(Kind::remove, "metadata/a")) == "not_found metadata/a: no such value");
  CHECK(refusal("{}", edit(Kind::remove_tree, "metadata/a/b")) == "not_found metadata/a: no such directory");
  CHECK(refusal("{}", edit(Kind::remove_tree, "metadata")) == "immutable metadata: a document as a whole");
}

TEST_CASE("the last item of a list can be removed and the next one made", "[document]") {
  const std::string text = "{\"a\": [{}, 1, {\"x\": 2}]}";
  CHECK(after(text, edit(Kind::remove_tree, "metadata/a/2")) == "{\"a\": [{}, 1]}");
  CHECK(refusal(text, edit(Kind::remove, "metadata/a/1")) ==
        "immutable metadata/a/1: only the last item of a list can be removed");
  CHECK(after(text, write("metadata/a/3", "new\n")) == "{\"a\": [{}, 1, {\"x\": 2}, \"new\"]}");
  CHECK(refusal(text, write("metadata/a/4", "new\n")) == "invalid metadata/a/4: the next item of this list is 3");
  CHECK(refusal(text, write("metadata/a/x", "new\n")) == "invalid metadata/a/x: the next item of this list is 3");

  // What is left of the list may be a file, and a file may become a directory.
  DocumentPtr doc = document("{\"a\": [1, {}]}");
  CHECK(content(*doc, "a") == "directory");
  doc = doc->apply(edit(Kind::remove, "metadata/a/1"), 1);
  CHECK(content(*doc, "a") == "list [\n1\n]\n");
  doc = doc->apply(write("metadata/a", "[1, [2, {}]]"), 1);
  CHECK(content(*doc, "a/1") == "directory");
  doc = doc->apply(edit(Kind::remove, "metadata/a/1/1"), 1);
  CHECK(content(*doc, "a/1") == "list [\n2\n]\n");
}

TEST_CASE("rename changes a key where it stands", "[document]") {
  const std::string text = "{\n  \"a\" : 1,\n  \"b\": {\"x\": [1, 2]},\n  \"c\": 3\n}";
  CHECK(after(text, edit(Kind::rename, "metadata/b", "metadata/z")) ==
        "{\n  \"a\" : 1,\n  \"z\": {\"x\": [1, 2]},\n  \"c\": 3\n}");
  CHECK(after(text, edit(Kind::rename, "metadata/a", "metadata/a%2Fb")) ==
        "{\n  \"a/b\" : 1,\n  \"b\": {\"x\": [1, 2]},\n  \"c\": 3\n}");
  CHECK(after(text, edit(Kind::rename, "metadata/a", "metadata/a")) == text);
  CHECK(after(text, edit(Kind::rename, "metadata/b/x", "metadata/x")) ==
        "{\n  \"a\" : 1,\n  \"b\": {},\n  \"c\": 3,\n  \"x\": [1, 2]\n}");
  CHECK(after("{\"a\": 1, \"b\": {}}", edit(Kind::rename, "metadata/a", "metadata/b/a")) == "{\"b\": {\"a\": 1}}");
  CHECK(after("{\"a\": 1, \"b\": [{}]}", edit(Kind::rename, "metadata/a", "metadata/b/1")) == "{\"b\": [{}, 1]}");
  CHECK(after("{\"a\": {}, \"b\": [{}, 1]}", edit(Kind::rename, "metadata/b/1", "metadata/a/y")) ==
        "{\"a\": {\"y\": 1}, \"b\": [{}]}");
  CHECK(after("{\"b\": [{}, {\"k\": 1}]}", edit(Kind::rename, "metadata/b/1", "metadata/b/0/y")) ==
        "{\"b\": [{\"y\": {\"k\": 1}}]}");
}

TEST_CASE("rename refuses what it cannot do", "[document]") {
  const std::string text = "{\"a\": 1, \"b\": {\"x\": {}}, \"l\": [{}, 1]}";
  const auto rename = [&](const char* from, const char* to) { return refusal(text, edit(Kind::rename, from, to)); };
  CHECK(rename("metadata/a", "metadata/b") == "exists metadata/b: exists");
  CHECK(rename("metadata/a", "metadata") == "exists metadata: exists");
  CHECK(rename("metadata/q", "metadata/r") == "not_found metadata/q: no such value");
  CHECK(rename("metadata/q", "metadata/q") == "not_found metadata/q: no such value");
  CHECK(rename("metadata/a", "metadata/q/r") == "not_found metadata/q: no such directory");
  CHECK(rename("metadata/b", "metadata/a/r") == "not_directory metadata/a: not a directory");
  CHECK(rename("metadata/b", "metadata/b/x/y") == "invalid metadata/b: cannot be moved below itself");
  CHECK(rename("metadata/l/0", "metadata/c") == "immutable metadata/l/0: only the last item of a list can be removed");
  CHECK(rename("metadata/l/1", "metadata/l/2") == "invalid metadata/l/1: an item of a list has no other name");
  CHECK(rename("metadata/a", "metadata/l/7") == "invalid metadata/l/7: the next item of this list is 2");
  CHECK(rename("metadata/a", "metadata/a~") == "invalid metadata/a~: not how the name of a key is spelled");
  CHECK(rename("metadata", "metadata/z") == "immutable metadata: a document as a whole");
}

TEST_CASE("exchange swaps two values", "[document]") {
  const std::string text = "{\"a\": 1, \"b\": {\"x\": [{}, 5]}, \"c\": \"s\"}";
  const auto swap = [&](const char* from, const char* to) { return refusal(text, edit(Kind::exchange, from, to)); };
  CHECK(swap("metadata/a", "metadata/c") == "accepted: {\"a\": \"s\", \"b\": {\"x\": [{}, 5]}, \"c\": 1}");
  CHECK(swap("metadata/c", "metadata/b") == "accepted: {\"a\": 1, \"b\": \"s\", \"c\": {\"x\": [{}, 5]}}");
  CHECK(swap("metadata/b/x/0", "metadata/b/x/1") == "accepted: {\"a\": 1, \"b\": {\"x\": [5, {}]}, \"c\": \"s\"}");
  CHECK(swap("metadata/a", "metadata/b/x/0") == "accepted: {\"a\": {}, \"b\": {\"x\": [1, 5]}, \"c\": \"s\"}");
  CHECK(swap("metadata/a", "metadata/a") == "accepted: " + text);
  CHECK(swap("metadata/a", "metadata/q") == "not_found metadata/q: no such value");
  CHECK(swap("metadata/b", "metadata/b/x") == "invalid metadata/b: cannot be moved below itself");
  CHECK(swap("metadata/b/x", "metadata/b") == "invalid metadata/b: cannot be moved below itself");
}

TEST_CASE("a document may be a list or a scalar", "[document]") {
  CHECK(names("[1, [2], {}]", "") == "0 1 2/ ");
  CHECK(names("[1, 2]", "") == "0 1 ");
  CHECK(names("[]", "") == "");
  CHECK(content("[1, 2]", "1") == "number 2\n");
  CHECK(after("[1, 2]", write("metadata/2", "x")) == "[1, 2, \"x\"]");
  CHECK(after("[1, 2]", edit(Kind::remove, "metadata/1")) == "[1]");
  CHECK(document("[1, 2]")->vacant({"2"}));
  for (const char* scalar : {"5", "\"[1]\"", "null"}) {
    CAPTURE(scalar);
    CHECK(names(scalar, "") == "");
    CHECK(content(scalar, "") == "directory");
    CHECK(content(scalar, "0") == "nothing");
    CHECK_FALSE(document(scalar)->vacant({"0"}));
    CHECK_FALSE(document(scalar)->vacant({"x"}));
    CHECK(refusal(scalar, write("metadata/0", "1")) ==
          "invalid metadata/0: the document is a single value, with no place for another");
  }
}

TEST_CASE("a document that is not JSON is refused", "[document]") {
  REQUIRE_THROWS_WITH(document("{\"a\": }"), says("metadata.json:1:7: expected a value, got '}'"));
  REQUIRE_THROWS_WITH(document(""), says("metadata.json:1:1: expected a value, got the end of the text"));
}

TEST_CASE("an edit cannot make a document too deep", "[document]") {
  std::string text;
  TreePath path{"metadata"};
  for (int i = 0; i < 999; ++i) {
    text += "{\"a\":";
    path.push_back("a");
  }
  text += "{}" + std::string(999, '}');
  DocumentPtr doc = document(text);
  Op op = edit(Kind::make_dir, "");
  op.path = path;
  op.path.push_back("b");
  REQUIRE_THROWS_WITH(doc->apply(op, 1), says("expected at most 1000 levels of nesting, got one more"));
  op.kind = Kind::write;
  op.content = Recipe::literal("\"[{\"");
  const DocumentPtr scalar = doc->apply(op, 1);
  json::validate(scalar->text(), "after");
  op.content = Recipe::literal("[1]");
  REQUIRE_THROWS_WITH(doc->apply(op, 1), says("expected at most 1000 levels of nesting, got one more"));
}

TEST_CASE("an explicit time of an edit is the time of the document", "[document]") {
  Op op = write("metadata/a", "2");
  CHECK(document("{\"a\": 1}")->apply(op, 1)->find({"a"})->mtime.tv_sec == 100);
  op.mtime = std::timespec{7, 0};
  CHECK(document("{\"a\": 1}")->apply(op, 1)->find({"a"})->mtime.tv_sec == 7);
}

TEST_CASE("an edit leaves the document before it as it was", "[document]") {
  const DocumentPtr before = document(kTraining);
  CHECK(content(*before, "config/training/lr") == "number 0.00100\n");
  const DocumentPtr edited = before->apply(write("metadata/config/training/lr", "123456789\n"), 1);
  CHECK(before->text() == kTraining);
  CHECK(content(*before, "config/training/lr") == "number 0.00100\n");
  CHECK(content(*edited, "config/training/lr") == "number 123456789\n");
}

TEST_CASE("after every edit the indexes say what the text says", "[document]") {
  // Documents share what an edit left alone: a fresh one of the same text must show the same tree.
  std::function<std::string(const Document&, const TreePath&)> tree = [&](const Document& doc, const TreePath& path) {
    std::string all;
    doc.list(path, [&](const std::string& name, const Node& node) {
      TreePath below = path;
      below.push_back(name);
      all += to_string(below) + "=" + node.content.text(1000, name) + ";" + node.type;
      const auto found = doc.find(below);
      if (!found || found->content.tag != node.content.tag) all += "?";
      if (node.kind == Node::Kind::directory) all += tree(doc, below);
      return true;
    });
    return all;
  };
  const Op edits[] = {
      write("m/config/training/lr", "3.14159265358979\n"),
      edit(Kind::make_dir, "m/config/new"),
      write("m/config/new/k", "[1, 2]"),
      edit(Kind::rename, "m/config/training", "m/config/t"),
      write("m/config/t/max_epochs", "{\"a\": {\"b\": [[]]}}"),
      write("m/config/t/max_epochs/a/b/1", "x"),
      edit(Kind::remove_tree, "m/config/t/max_epochs/a/b/1"),
      write("m/version", "a longer version than before"),
      edit(Kind::rename, "m/layers", "m/config/t/layers"),
      write("m/config/t/layers/0/n", "12345"),
      edit(Kind::remove, "m/config/t/layers/1"),
      edit(Kind::exchange, "m/config/t/layers/0", "m/levels"),
      write("m/levels/n", "1"),
      edit(Kind::remove_tree, "m/config"),
      write("m/empty/x", "1"),
  };
  DocumentPtr doc = document(kTraining);
  for (const Op& op : edits) {
    tree(*doc, {});  // every container of it has an index now
    doc = doc->apply(op, 1);
    json::validate(doc->text(), to_string(op.path));
    CHECK(tree(*doc, {}) == tree(*document(doc->text()), {}));
  }
  CHECK(doc->text() ==
        "{\"version\": \"a longer version than before\", \"levels\": {\"n\": 1}, \"empty\": {\"x\": 1}, "
        "\"none\": []}\n");
}

TEST_CASE("a large value is shown whole, and again after an edit beside it", "[document]") {
  std::string items, shown = "[";
  for (int i = 0; i < 50000; ++i) {
    items += (i ? ", " : "") + std::to_string(i);
    shown += (i ? ",\n" : "\n") + std::to_string(i);
  }
  shown += "\n]\n";
  DocumentPtr doc = document("{\"a\": [" + items + "], \"b\": 1, \"c\": \"" + std::string(100000, 'x') + "\"}");
  CHECK(content(*doc, "a") == "list " + shown);
  CHECK(doc->find({"a"})->content.tag == tag_of(shown));
  CHECK(doc->find({"a"})->content.size() == shown.size());
  CHECK(doc->find({"c"})->content.size() == 100001);
  doc = doc->apply(write("m/b", "22222"), 1);
  CHECK(content(*doc, "a") == "list " + shown);
  CHECK(content(*doc, "c") == "string " + std::string(100000, 'x') + "\n");
  doc = doc->apply(write("m/a", "[" + items + ", -1]"), 1);
  CHECK(doc->find({"a"})->content.size() == shown.size() + 4);
  CHECK(content(*doc, "b") == "number 22222\n");
}

TEST_CASE("an object of a hundred thousand keys is listed and searched in well under a second", "[document]") {
  std::string text = "{";
  for (int i = 0; i < 100000; ++i) text += (i ? ", \"key_" : "\"key_") + std::to_string(i) + "\": " + std::to_string(i);
  const DocumentPtr doc = document(text + "}");
  const auto start = std::chrono::steady_clock::now();
  std::size_t n = 0;
  doc->list({}, [&](const std::string&, const Node&) { return ++n > 0; });
  for (int i = 0; i < 100000; ++i) n += doc->find({"key_" + std::to_string(i)}).has_value();
  CHECK(n == 200000);
  // Far over what it takes, even under a sanitizer on a busy machine; a search of every key would take minutes.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("a document can be read from several threads at once", "[document]") {
  std::string text = "{";
  for (int i = 0; i < 200; ++i)
    text += (i ? ", \"k" : "\"k") + std::to_string(i) + "\": {\"a\": {\"b\": [1, {\"c\": " + std::to_string(i) + "}]}}";
  const DocumentPtr doc = document(text + "}");
  std::vector<int> right(4);
  std::vector<std::thread> threads;
  for (int& mine : right)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i)
        mine += content(*doc, "k" + std::to_string(i) + "/a/b/1/c") == "number " + std::to_string(i) + "\n";
    });
  for (std::thread& t : threads) t.join();
  CHECK(right == std::vector<int>(4, 200));
}
