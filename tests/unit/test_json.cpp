#include "catch.hpp"

#include <random>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"

using namespace ckptree;
namespace json = ckptree::json;

namespace {

std::string times(std::size_t n, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < n; ++i) all += text;
  return all;
}

std::string nested(std::size_t depth) { return times(depth, "[") + times(depth, "]"); }

bool accepts(const std::string& text) {
  try {
    json::validate(text, "x");
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// "" when the text is valid, else the code and the sentence.
std::string verdict(const std::string& text) {
  try {
    json::validate(text, "d");
    return "";
  } catch (const Error& e) {
    return (e.code() == Errc::incomplete ? "incomplete "
            : e.code() == Errc::rejected ? "rejected "
                                         : "? ") +
           std::string(e.what());
  }
}

std::string slice(const std::string& text, json::Extent at) { return text.substr(at.begin, at.size()); }

/// The entries of a container, as a test reads them: key=value:type.
std::string entries_of(const std::string& text, json::Extent container) {
  const char* types[] = {"object", "array", "string", "number", "boolean", "null"};
  std::string all;
  for (const json::Member& m : json::members(text, container))
    all += slice(text, m.key) + "=" + slice(text, m.value) + ":" + types[static_cast<int>(m.type)] +
           (m.nested ? "+ " : " ");
  return all;
}

}  // namespace

TEST_CASE("validate accepts what json.loads of Python accepts, and nothing else", "[json]") {
  // The verdicts were checked with json.loads of Python 3.11; the text was given to it as a str.
  struct Row {
    const char* text;
    bool accepted;
  };
  const Row rows[] = {
      {"0", true},
      {"-0", true},
      {"-0.0e+00", true},
      {"1E400", true},
      {"123456789012345678901234567890", true},
      {"-123456789012345678901234567890.5e-7", true},
      {"NaN", true},
      {"Infinity", true},
      {"-Infinity", true},
      {"[NaN, Infinity, -Infinity]", true},
      {" \t\r\n1 \t\r\n", true},
      {"\"\"", true},
      {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", true},
      {"\"\\uD83D\\ude00\"", true},
      {"\"\\ud83d\"", true},
      {"\"\\ude00\"", true},
      {"\"\\ud83d\\n\"", true},
      {"\"\\ud83d\\u0041\"", true},
      {"\"\\ud83d\\ud83d\\ude00\"", true},
      {"\"\x7f\"", true},
      {"\"\\u0000\"", true},
      {"\"\u00e9\u20ac\U0001f600\u2028\"", true},
      {"{}", true},
      {"[]", true},
      {"[ ]", true},
      {"{ }", true},
      {"{\"a\":1,\"a\":2}", true},
      {"{\"\":null}", true},
      {"[true,false,null]", true},
      {"{\"a\": [1, {\"b\": []}]}", true},
      {"", false},
      {" ", false},
      {"-", false},
      {"+1", false},
      {".5", false},
      {"1.", false},
      {"1.e5", false},
      {"1e", false},
      {"1e+", false},
      {"01", false},
      {"-01", false},
      {"0x10", false},
      {"1_000", false},
      {"1 2", false},
      {"nan", false},
      {"NAN", false},
      {"-NaN", false},
      {"+Infinity", false},
      {"Inf", false},
      {"- 1", false},
      {"- Infinity", false},
      {"True", false},
      {"None", false},
      {"nul", false},
      {"nulls", false},
      {"truefalse", false},
      {"\"", false},
      {"\"a", false},
      {"'a'", false},
      {"\"\\x41\"", false},
      {"\"\\u12\"", false},
      {"\"\\u12g4\"", false},
      {"\"\\u 123\"", false},
      {"\"\\u+123\"", false},
      {"\"\\U0041\"", false},
      {"\"a\nb\"", false},
      {"\"a\tb\"", false},
      {"\"\x01\"", false},
      {"\"\x1f\"", false},
      {"[", false},
      {"]", false},
      {"[1,]", false},
      {"[,1]", false},
      {"[1 2]", false},
      {"[1}", false},
      {"[1]]", false},
      {"{", false},
      {"}", false},
      {"{\"a\"}", false},
      {"{\"a\":}", false},
      {"{\"a\":1,}", false},
      {"{,}", false},
      {"{a:1}", false},
      {"{1:1}", false},
      {"{\"a\" 1}", false},
      {"{\"a\":1 \"b\":2}", false},
      {"{\"a\":1]", false},
      {"{} {}", false},
      {"[1] // no comments", false},
      {"\f1", false},
      {"\v1", false},
      {"\u00a0"
       "1",
       false},
      {"\ufeff"
       "1",
       false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(accepts(row.text) == row.accepted);
    // The same in places where simdjson reads blocks of 64 bytes, and where it leaves the text to us.
    CHECK(accepts("[" + std::string(70, ' ') + "\"x\", " + row.text + "\n]") ==
          (row.accepted && row.text[0] != '\xef'));
    CHECK(accepts("[NaN, " + std::string(row.text) + "]") == row.accepted);
  }
}

TEST_CASE("an integer may have more digits than any machine has bits", "[json]") {
  CHECK(accepts(times(4000, "7")));
  CHECK_FALSE(accepts("0" + times(4000, "7")));
}

TEST_CASE("a NUL byte ends nothing and is no white space", "[json]") {
  CHECK_FALSE(accepts(std::string("1\0", 2)));
  CHECK_FALSE(accepts(std::string("\0", 1)));
  CHECK_FALSE(accepts(std::string("\"\0\"", 3)));
  CHECK_FALSE(accepts(std::string("[1,2]\0", 6)));
  CHECK_FALSE(accepts(std::string("null\0", 5)));
}

TEST_CASE("an invalid text is told with its line, its column and what was expected", "[json]") {
  struct Row {
    std::string text, verdict;
  };
  const Row rows[] = {
      {"", "incomplete d:1:1: expected a value, got the end of the text"},
      {" \n\n ", "incomplete d:3:2: expected a value, got the end of the text"},
      {"[1,\n  2\n", "incomplete d:3:1: expected ',' or ']', got the end of the text"},
      {"[1, 2,", "incomplete d:1:7: expected a value, got the end of the text"},
      {"{", "incomplete d:1:2: expected '\"' or '}', got the end of the text"},
      {"{\"a", "incomplete d:1:4: expected '\"', got the end of the text"},
      {"{\"a\"", "incomplete d:1:5: expected ':', got the end of the text"},
      {"{\"a\":", "incomplete d:1:6: expected a value, got the end of the text"},
      {"{\"a\":1", "incomplete d:1:7: expected ',' or '}', got the end of the text"},
      {"{\"a\":1,", "incomplete d:1:8: expected a key in double quotes, got the end of the text"},
      {"nul", "incomplete d:1:4: expected 'null', got the end of the text"},
      {"[-Inf", "incomplete d:1:6: expected '-Infinity', got the end of the text"},
      {"n", "rejected d:1:1: expected a value, got 'n'"},
      {"-", "incomplete d:1:2: expected a digit, got the end of the text"},
      {"[1.", "incomplete d:1:4: expected a digit, got the end of the text"},
      {"1e+", "incomplete d:1:4: expected a digit, got the end of the text"},
      {"\"\\", "incomplete d:1:3: expected one of \" \\ / b f n r t u after '\\', got the end of the text"},
      {"\"\\u00", "incomplete d:1:6: expected four hexadecimal digits after '\\u', got the end of the text"},
      {"\"\xc3", "incomplete d:1:2: expected UTF-8, got half a character at the end of the text"},
      {"\"\xf0\x9f\x98", "incomplete d:1:2: expected UTF-8, got half a character at the end of the text"},
      {"[1,\n  2 3]", "rejected d:2:5: expected ',' or ']', got '3'"},
      {"{\"a\": 1 \"b\"}", "rejected d:1:9: expected ',' or '}', got '\"'"},
      {"{a: 1}", "rejected d:1:2: expected '\"' or '}', got 'a'"},
      {"{\"a\": 1, }", "rejected d:1:10: expected a key in double quotes, got '}'"},
      {"{\"a\" = 1}", "rejected d:1:6: expected ':', got '='"},
      {"[1, ]", "rejected d:1:5: expected a value, got ']'"},
      {"[True]", "rejected d:1:2: expected a value, got 'True'"},
      {"[1, nil]", "rejected d:1:5: expected a value, got 'nil'"},
      {"'a'", "rejected d:1:1: expected a value, got '''"},
      {"1 x", "rejected d:1:3: expected the end of the text, got 'x'"},
      {"{\"a\": 01}", "rejected d:1:8: expected ',' or '}', got '1'"},
      {"[1.x]", "rejected d:1:4: expected a digit, got 'x'"},
      {"[-]", "rejected d:1:3: expected a digit, got ']'"},
      {"[\"a\nb\"]", "rejected d:1:4: expected '\"' or an escape such as '\\n', got the end of the line"},
      {"[\"a\tb\"]", "rejected d:1:4: expected '\"' or an escape such as '\\n', got control character U+0009"},
      {"[\"\\x\"]", "rejected d:1:4: expected one of \" \\ / b f n r t u after '\\', got 'x'"},
      {"[\"\\u00g0\"]", "rejected d:1:7: expected four hexadecimal digits after '\\u', got 'g'"},
      {std::string("[\0]", 3), "rejected d:1:2: expected a value, got control character U+0000"},
      // Columns count characters, not bytes.
      {"[\"\u00e9\u20ac\U0001f600\" \u20ac]", "rejected d:1:8: expected ',' or ']', got '\u20ac'"},
      {"\xef\xbb\xbf{}", "rejected d:1:1: expected JSON without a byte order mark, got one at the beginning"},
      {"[\"a\xff\"]", "rejected d:1:4: expected UTF-8, got the byte 0xff"},
      {"[\"\xed\xa0\x80\"]", "rejected d:1:3: expected UTF-8, got the byte 0xed"},
      {"[\"\xc0\xaf\"]", "rejected d:1:3: expected UTF-8, got the byte 0xc0"},
      {"[1, \xff]", "rejected d:1:5: expected UTF-8, got the byte 0xff"},
      {"[x, \"\xff\"]", "rejected d:1:2: expected a value, got 'x'"},
      {"\"\xc3\"", "rejected d:1:2: expected UTF-8, got the byte 0xc3"},
      {"\xc3", "rejected d:1:1: expected UTF-8, got the byte 0xc3"},
  };
  for (const Row& row : rows) CHECK(verdict(row.text) == row.verdict);
}

TEST_CASE("a thousand levels are accepted, one more is not", "[json]") {
  CHECK(verdict(nested(json::kMaxDepth)) == "");
  CHECK(verdict(nested(json::kMaxDepth + 1)) ==
        "rejected d:1:1001: expected at most 1000 levels of nesting, got one more");
  CHECK(verdict(times(1000, "[") + "1" + times(1000, "]")) == "");
  CHECK(verdict(times(1001, "[") + "1" + times(1001, "]")) ==
        "rejected d:1:1001: expected at most 1000 levels of nesting, got one more");
  // Where simdjson refuses a number, our own scanner counts.
  const std::string key = "{\"a\":";
  CHECK(verdict(times(999, key) + "[NaN]" + times(999, "}")) == "");
  CHECK(verdict(times(1000, key) + "[NaN]" + times(1000, "}")) ==
        "rejected d:1:5001: expected at most 1000 levels of nesting, got one more");
  CHECK(verdict(times(1000000, "[")) == "rejected d:1:1001: expected at most 1000 levels of nesting, got one more");
}

TEST_CASE("texts that simdjson reads and texts that are left to our scanner get the same verdict", "[json]") {
  // NaN in front makes simdjson refuse; a string there does not. All else is equal.
  std::mt19937 random(7);
  const std::string alphabet = "{}[]\",:\\ 01-.eE+tfnulrasNaI\n\t\x01u";
  const std::string seed = "{\"a\": [1, -2.5e3, \"x\\u00e9\\n\"], \"b\": {\"c\": true, \"d\": null}, \"e\": []}";
  for (int i = 0; i < 20000; ++i) {
    std::string text = seed;
    for (int n = static_cast<int>(random() % 4); n >= 0; --n) {
      const std::size_t at = random() % text.size();
      if (random() % 2) text[at] = alphabet[random() % alphabet.size()];
      else text.erase(at, 1 + random() % 3);
      if (text.empty()) text = "[";
    }
    CAPTURE(text);
    CHECK(accepts("[\"s\"," + text + "]") == accepts("[NaN," + text + "]"));
  }
}

TEST_CASE("members gives every entry in order, duplicates included", "[json]") {
  const std::string text =
      " { \"a\" : 1 ,\"b\":[1,[2]], \"a\":\"x]}\\\"\" ,\"\":{\"k\":{}}, \"c\":[ ] ,\"d\":NaN,\"e\":-Infinity}\n";
  CHECK(entries_of(text, json::root(text)) ==
        "\"a\"=1:number \"b\"=[1,[2]]:array+ \"a\"=\"x]}\\\"\":string \"\"={\"k\":{}}:object+ \"c\"=[ ]:array "
        "\"d\"=NaN:number \"e\"=-Infinity:number ");
  const std::string list = "[true , false,null,\"]\",{},[{}]\t]";
  CHECK(entries_of(list, json::root(list)) ==
        "=true:boolean =false:boolean =null:null =\"]\":string ={}:object =[{}]:array+ ");
  CHECK(entries_of("[ ]", {0, 3}) == "");
  CHECK(entries_of("{\n}", {0, 3}) == "");
  CHECK(entries_of("\"[1]\"", {0, 5}) == "");
  CHECK(entries_of("12", {0, 2}) == "");
}

TEST_CASE("root is the value without the white space around it", "[json]") {
  CHECK(slice(" \n[1] \t", json::root(" \n[1] \t")) == "[1]");
  CHECK(slice("\"  \"", json::root("\"  \"")) == "\"  \"");
}

TEST_CASE("unescape gives the text of a literal, lone surrogates as WTF-8", "[json]") {
  struct Row {
    std::string literal, text;
    bool lone;
  };
  const Row rows[] = {
      {"\"\"", "", false},
      {"\"plain \u00e9\"", "plain \u00e9", false},
      {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", false},
      {"\"\\u0041\\u00e9\\u20AC\"", "A\u00e9\u20ac", false},
      {"\"\\u0000\"", std::string("\0", 1), false},
      {"\"\\ud83d\\ude00\"", "\U0001f600", false},
      {"\"\\udbff\\udfff\"", "\U0010ffff", false},
      {"\"\\ud83d\"", "\xed\xa0\xbd", true},
      {"\"\\ude00\"", "\xed\xb8\x80", true},
      {"\"\\ude00\\ud83d\"", "\xed\xb8\x80\xed\xa0\xbd", true},
      {"\"\\ud83d\\ud83d\\ude00\"", "\xed\xa0\xbd\U0001f600", true},
      {"\"\\ud83d\\u0041\"",
       "\xed\xa0\xbd"
       "A",
       true},
      {"\"\\ud83d\\\\ude00\"", "\xed\xa0\xbd\\ude00", true},
      {"\"\\\\ud83d\"", "\\ud83d", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.literal);
    CHECK(json::unescape(row.literal) == row.text);
    CHECK(json::has_lone_surrogate(row.literal) == row.lone);
    CHECK(json::unescape(json::quote(row.text)) == row.text);
  }
}

TEST_CASE("quote writes what json.dumps writes", "[json]") {
  // The literals are those of json.dumps of Python 3.11.
  CHECK(json::quote("") == "\"\"");
  CHECK(json::quote("a/b \"q\" \\") == "\"a/b \\\"q\\\" \\\\\"");
  CHECK(json::quote("\b\f\n\r\t") == "\"\\b\\f\\n\\r\\t\"");
  CHECK(json::quote(std::string("\0\x01\x1f\x7f", 4)) == "\"\\u0000\\u0001\\u001f\\u007f\"");
  CHECK(json::quote("\u00e9\u20ac\uffff") == "\"\\u00e9\\u20ac\\uffff\"");
  CHECK(json::quote("\U0001f600\U0010ffff") == "\"\\ud83d\\ude00\\udbff\\udfff\"");
  CHECK(json::quote("\xed\xa0\xbd") == "\"\\ud83d\"");
}

TEST_CASE("quote refuses what no JSON string can spell", "[json]") {
  REQUIRE_THROWS_WITH(json::quote("ab\xff"), says("byte 2 of the text: expected UTF-8"));
  REQUIRE_THROWS_WITH(json::quote("\xc0\xaf"), says("byte 0 of the text: expected UTF-8"));
  REQUIRE_THROWS_WITH(json::quote("\xe2\x82"), says("byte 0 of the text: expected UTF-8"));
  REQUIRE_THROWS_WITH(json::quote("\xf4\x90\x80\x80"), says("byte 0 of the text: expected UTF-8"));
  // A pair of surrogates has four bytes in UTF-8; as six it would come back as those four.
  REQUIRE_THROWS_WITH(json::quote("\xed\xa0\xbd\xed\xb8\x80"), says("byte 3 of the text: expected UTF-8"));
}

TEST_CASE("locate follows keys unescaped and indices, and takes the last of equal keys", "[json]") {
  const std::string text = "{\"a\":{\"x\":1},\"\\u0061\":{\"y\":[10,{\"z\":20}]},\"\":5}";
  const auto at = [&](const std::vector<std::string>& path) {
    const auto found = json::locate(text, path);
    return found ? slice(text, *found) : "nothing";
  };
  CHECK(at({}) == text);
  CHECK(at({"a", "y", "1", "z"}) == "20");
  CHECK(at({"a", "y", "0"}) == "10");
  CHECK(at({""}) == "5");
  CHECK(at({"a", "x"}) == "nothing");
  CHECK(at({"a", "y", "2"}) == "nothing");
  CHECK(at({"a", "y", "01"}) == "nothing");
  CHECK(at({"", "q"}) == "nothing");
}

TEST_CASE("splice replaces the bytes of one value", "[json]") {
  CHECK(json::splice("{\"lr\": 1e-3, \"b\": 2}", {7, 11}, "2e-4") == "{\"lr\": 2e-4, \"b\": 2}");
  CHECK(json::splice("[1]", {1, 2}, "") == "[]");
}

TEST_CASE("append puts an entry last, in the spacing of its neighbours", "[json]") {
  struct Row {
    const char *text, *container, *result;
  };
  // The new entry is "k": 0.
  const Row rows[] = {
      {"{\"a\": 1, \"b\": 2}", "", "{\"a\": 1, \"b\": 2, \"k\": 0}"},
      {"{\"a\":1,\"b\":2}", "", "{\"a\":1,\"b\":2,\"k\":0}"},
      {"{\"a\": 1}", "", "{\"a\": 1, \"k\": 0}"},
      {"{\"a\":1}", "", "{\"a\":1,\"k\":0}"},
      {"{ \"a\" : 1 }", "", "{ \"a\" : 1, \"k\" : 0 }"},
      {"{}", "", "{\"k\": 0}"},
      {"{ }", "", "{\"k\": 0}"},
      {" {\n  \"a\": 1\n}\n", "", " {\n  \"a\": 1,\n  \"k\": 0\n}\n"},
      {"{\n  \"a\": 1,\n  \"b\": 2\n}", "", "{\n  \"a\": 1,\n  \"b\": 2,\n  \"k\": 0\n}"},
      {"{\n  \"a\": {},\n  \"b\": 2\n}", "a", "{\n  \"a\": {\n    \"k\": 0\n  },\n  \"b\": 2\n}"},
      {"{\n\t\"a\": []\n}", "a", "{\n\t\"a\": [\n\t\t0\n\t]\n}"},
      {"{\"a\":{}}", "a", "{\"a\":{\"k\":0}}"},
      {"{\"a\": []}", "a", "{\"a\": [0]}"},
      {"{\"a\": [1]}", "a", "{\"a\": [1, 0]}"},
      {"{\"a\": [1,2]}", "a", "{\"a\": [1,2,0]}"},
      {"[\n1\n]", "", "[\n1,\n0\n]"},
  };
  for (const Row& row : rows) {
    const std::string text = row.text;
    const std::vector<std::string> top, below{row.container};
    const auto at = json::locate(text, *row.container ? below : top);
    REQUIRE(at);
    CHECK(json::append(text, *at, "\"k\"", "0") == row.result);
  }
}

TEST_CASE("remove takes an entry and the comma that belonged to it", "[json]") {
  struct Row {
    const char* text;
    std::size_t index;
    const char* result;
  };
  const Row rows[] = {
      {"{\"a\": 1, \"b\": 2, \"c\": 3}", 0, "{\"b\": 2, \"c\": 3}"},
      {"{\"a\": 1, \"b\": 2, \"c\": 3}", 1, "{\"a\": 1, \"c\": 3}"},
      {"{\"a\": 1, \"b\": 2, \"c\": 3}", 2, "{\"a\": 1, \"b\": 2}"},
      {"{ \"a\": 1 }", 0, "{}"},
      {"{\n  \"a\": 1,\n  \"b\": 2\n}\n", 0, "{\n  \"b\": 2\n}\n"},
      {"{\n  \"a\": 1,\n  \"b\": 2\n}\n", 1, "{\n  \"a\": 1\n}\n"},
      {"[1,\n{\"x\": [2, 3]},\n4]", 1, "[1,\n4]"},
      {"[[1, 2]]", 0, "[]"},
  };
  for (const Row& row : rows) CHECK(json::remove(row.text, json::root(row.text), row.index) == row.result);
}
