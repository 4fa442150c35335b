#include <limits>
#include <string>
#include <vector>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "codec/pickle/pickle.hpp"
#include "pickles.hpp"

using namespace ckptree;
using namespace ckptree::pickle;
using ckptree_test::hex;
using ckptree_test::kSamples;

namespace {

Graph of(const std::string& digits) { return decode(hex(digits), "x.pkl"); }

Id value_of(const Graph& graph, const char* key) {
  const auto entry = find(graph, graph.root(), key);
  REQUIRE(entry);
  return entry->value;
}

std::vector<Id> items_of(const Graph& graph, Id list) {
  std::vector<Id> found;
  Items items(graph, list);
  for (Item item; items.next(item);) found.push_back(item.value);
  return found;
}

std::string keys_of(const Graph& graph, Id dict) {
  std::string found;
  Entries entries(graph, dict);
  for (Entry e; entries.next(e);) found.append(graph.text(e.key)).append(" ");
  return found;
}

}  // namespace

TEST_CASE("the same values are read from a pickle of each protocol", "[pickle]") {
  const int protocol = GENERATE(0, 1, 2, 3, 4, 5);
  CAPTURE(protocol);
  const Graph graph = of(kSamples[protocol]);
  CHECK(graph.protocol() == (protocol < 2 ? 0 : protocol));
  CHECK(graph.kind(graph.root()) == Kind::dict);
  CHECK(keys_of(graph, graph.root()) == "n b i f s y t set fs o c ");
  CHECK(graph.kind(value_of(graph, "n")) == Kind::none);

  const auto booleans = items_of(graph, value_of(graph, "b"));
  REQUIRE(booleans.size() == 2);
  CHECK(graph.kind(booleans[0]) == Kind::boolean);
  CHECK(graph.boolean(booleans[0]));
  CHECK_FALSE(graph.boolean(booleans[1]));

  std::string integers;
  for (const Id id : items_of(graph, value_of(graph, "i"))) integers += graph.decimal(id) + " ";
  CHECK(integers == "0 255 256 65535 65536 -1 2147483648 1267650600228229401496703205376 ");
  const auto numbers = items_of(graph, value_of(graph, "i"));
  CHECK(graph.integer(numbers[5]) == -1);
  CHECK(graph.integer(numbers[6]) == 2147483648);
  CHECK(graph.integer(numbers[7]) == std::nullopt);

  CHECK(graph.kind(value_of(graph, "f")) == Kind::real);
  CHECK(graph.real(value_of(graph, "f")) == 1.5);
  CHECK(graph.is_text(value_of(graph, "s"), "caf\xC3\xA9"));

  const Id tuples = value_of(graph, "t");
  REQUIRE(graph.kind(tuples) == Kind::tuple);
  REQUIRE(graph.count(tuples) == 5);
  for (std::size_t i = 0; i < 5; ++i) CHECK(graph.count(graph.child(tuples, i)) == i);
  CHECK(graph.integer(graph.child(graph.child(tuples, 4), 3)) == 4);

  const Id ordered = value_of(graph, "o");
  REQUIRE(graph.kind(ordered) == Kind::reduce);
  CHECK(graph.is_global(graph.child(ordered, 0), "collections", "OrderedDict"));
  CHECK(keys_of(graph, ordered) == "a ");
  CHECK(graph.state(ordered) == kNone);

  const Id complex = value_of(graph, "c");
  CHECK(graph.is_global(complex, "builtins", "complex"));
  CHECK(graph.global(complex).module == (protocol < 3 ? "__builtin__" : "builtins"));

  const Id set = value_of(graph, "set"), frozen = value_of(graph, "fs"), bytes = value_of(graph, "y");
  if (protocol < 3) {
    CHECK(graph.is_global(graph.child(bytes, 0), "_codecs", "encode"));
  } else {
    CHECK(graph.kind(bytes) == Kind::bytes);
    CHECK(graph.text(bytes) == Bytes("\0\xFF", 2));
  }
  if (protocol < 4) {
    CHECK(graph.is_global(graph.child(set, 0), "builtins", "set"));
  } else {
    CHECK(graph.kind(set) == Kind::set);
    CHECK(items_of(graph, set).size() == 1);
    CHECK(graph.kind(frozen) == Kind::frozenset);
    CHECK(graph.integer(graph.child(frozen, 0)) == 2);
  }
}

TEST_CASE("an untouched pickle is written as it was read", "[pickle]") {
  const int protocol = GENERATE(2, 3, 4, 5);
  const std::string bytes = hex(kSamples[protocol]);
  const Graph graph = decode(bytes, "x.pkl");
  CHECK_FALSE(why_not_editable(graph));
  CHECK(encode(graph) == bytes);
  CHECK(graph.wire() == bytes);
}

TEST_CASE("lines of protocols 0 and 1 make a pickle that is shown and not edited", "[pickle]") {
  CHECK(why_not_editable(of(kSamples[0])) == "x.pkl at byte 1: DICT is read, but not written");
  CHECK(why_not_editable(of(kSamples[1])) == "x.pkl at byte 25: INT is read, but not written");
  REQUIRE_THROWS_WITH(encode(of(kSamples[0])), says("x.pkl at byte 1: DICT is read, but not written"));
}

TEST_CASE("what a text line of protocol 0 says is read", "[pickle]") {
  const auto root = [](const std::string& bytes) {
    const Graph graph = decode(bytes + "\n.", "x");
    return std::string(graph.text(graph.root()));
  };
  CHECK(root("S'a\\x41\\'\\n\\101\\q\"'") == "aA'\nA\\q\"");
  CHECK(root("S\"it's\"") == "it's");
  CHECK(root("Va\\u00e9\\U0001f600\\x41\xE9\\\\u0041") == "a\xC3\xA9\xF0\x9F\x98\x80\\x41\xC3\xA9\\\\u0041");
  CHECK(root("V\\ud800") == "\xED\xA0\x80");
  CHECK(root("V") == "");
  const Graph latin = decode("S'\\xff'\n.", "x");
  CHECK(latin.kind(latin.root()) == Kind::bytes);
  for (const char* number : {"F-inf", "F1e400", "F", "F1.5x"}) {
    INFO(number);
    if (std::string(number) == "F-inf") {
      const Graph graph = decode("F-inf\n.", "x");
      CHECK(graph.real(graph.root()) == -std::numeric_limits<double>::infinity());
    } else {
      REQUIRE_THROWS_WITH(decode(std::string(number) + "\n.", "x"), says("x at byte 0: FLOAT: expected a float"));
    }
  }
  const Graph number = decode("L-5L\n.", "x");
  CHECK(number.integer(number.root()) == -5);
}

TEST_CASE("entries, items and a state are found on an object that is called, too", "[pickle]") {
  // An OrderedDict with an attribute, as torch writes a state_dict: REDUCE, SETITEMS, BUILD.
  const Graph dict =
      of("8002 63636f6c6c656374696f6e730a4f726465726564446963740a 7100 29 52 7101 28 580100000061 7102 4b01"
         "580100000062 7103 4b02 75 7d 7104 5801000000 6d 7105 4b03 73 62 2e");
  CHECK_FALSE(why_not_editable(dict));
  CHECK(keys_of(dict, dict.root()) == "a b ");
  CHECK(keys_of(dict, dict.state(dict.root())) == "m ");
  CHECK(dict.at(dict.state_slot(dict.root())) == dict.state(dict.root()));
}

TEST_CASE("an entry that comes twice is found by its last value, as in Python", "[pickle]") {
  const Graph graph = of("8002 7d 28 580100000061 4b01 580100000061 4b02 75 2e");
  CHECK(keys_of(graph, graph.root()) == "a a ");
  CHECK(graph.integer(value_of(graph, "a")) == 2);
  CHECK_FALSE(find(graph, graph.root(), "b"));
}

TEST_CASE("a shared object is one node, and an object may hold itself", "[pickle]") {
  const Graph graph = of("8002 5d 7100 28 6800 5d 7101 6801 65 2e");  // a = []; b = []; a += [a, b, b]
  const auto items = items_of(graph, graph.root());
  REQUIRE(items.size() == 3);
  CHECK(items[0] == graph.root());
  CHECK(items[1] == items[2]);
  CHECK_FALSE(why_not_editable(graph));
}

TEST_CASE("opcodes nobody writes any more are shown as those that replaced them", "[pickle]") {
  const struct {
    const char* bytes;
    const char* why;
    Kind kind;
  } rare[] = {
      {"8002 28 4b01 69610a620a 2e", "at byte 5: INST is read, but not written", Kind::reduce},
      {"8002 28 63610a620a 4b01 6f 2e", "at byte 10: OBJ is read, but not written", Kind::reduce},
      {"8002 50 69640a 2e", "at byte 2: PERSID is read, but not written", Kind::persistent},
      {"8002 82 f0 2e", "at byte 2: EXT1 is read, but not written", Kind::extension},
      {"8002 83 f000 2e", "at byte 2: EXT2 is read, but not written", Kind::extension},
      {"8002 84 f0000000 2e", "at byte 2: EXT4 is read, but not written", Kind::extension},
      {"8005 97 2e", "at byte 2: NEXT_BUFFER is read, but not written", Kind::buffer},
      {"8005 97 98 2e", "at byte 2: NEXT_BUFFER is read, but not written", Kind::buffer},
      {"8005 4300 98 2e", "at byte 4: READONLY_BUFFER is read, but not written", Kind::bytes},
      {"8002 4e 32 86 2e", "at byte 3: DUP is read, but not written", Kind::tuple},
      {"8002 28 4e 4e 31 4e 2e", "at byte 5: POP_MARK is read, but not written", Kind::none},
      {"8002 4e 4e 30 2e", "at byte 4: POP is read, but not written", Kind::none},
      {"8002 28 30 4e 2e", "at byte 3: POP is read, but not written", Kind::none},
      {"8002 28 4b01 6c 2e", "at byte 5: LIST is read, but not written", Kind::list},
      {"8002 28 4b01 4b02 64 2e", "at byte 7: DICT is read, but not written", Kind::dict},
      {"8002 28 64 2e", "at byte 3: DICT is read, but not written", Kind::dict},
      {"8002 4e 70310a 67310a 86 2e", "at byte 3: PUT is read, but not written", Kind::tuple},
      {"8002 8002 4e 2e", "at byte 2: a PROTO that is not the first opcode is read, but not written", Kind::none},
      {"8002 4e 4e 2e", "at byte 4: left on the stack behind the STOP: 1 objects, 0 marks", Kind::none},
      {"8002 28 4e 2e", "at byte 4: left on the stack behind the STOP: 0 objects, 1 marks", Kind::none},
      {"8002 4e 2e 0000 4e", "at byte 6: bytes behind the STOP that are not zero", Kind::none},
  };
  for (const auto& r : rare) {
    INFO(r.bytes);
    const Graph graph = of(r.bytes);
    CHECK(graph.kind(graph.root()) == r.kind);
    CHECK(graph.obstacle() == "x.pkl " + std::string(r.why));
    CHECK(why_not_editable(graph) == graph.obstacle());
  }
}

TEST_CASE("INST and OBJ are calls, with a class and a tuple of arguments", "[pickle]") {
  const char* bytes = GENERATE("28 4b07 69610a620a 2e", "28 63610a620a 4b07 6f 2e");
  const Graph graph = of(bytes);
  CHECK(graph.is_global(graph.child(graph.root(), 0), "a", "b"));
  CHECK(graph.integer(graph.child(graph.child(graph.root(), 1), 0)) == 7);
}

TEST_CASE("a pickle that is not written the way Python does it is not edited", "[pickle]") {
  const char* others[] = {
      "8002 5d 7105 2e",        // a memo id that does not count up
      "8002 5d 7200000000 2e",  // the long form for a short id
      "8002 5d 7100 7101 2e",   // two ids
      "8002 5d 4e 61 7100 2e",  // a memo id after it was filled
      "8004 5d 94 2e 00",       // (this one is as Python does it, without a frame)
      "8002 5d 7100 29 86 7101 30 6800 6801 61 2e",
      "8002 7d 7100 63610a620a 6800 85 52 7101 30 6800 4b01 6801 73 2e",
  };
  for (const char* bytes : others) {
    INFO(bytes);
    const auto why = why_not_editable(of(bytes));
    const bool as_python = std::string(bytes).find("8004") == 0;
    CHECK(why.has_value() != as_python);
  }
  CHECK(why_not_editable(of(others[0])) ==
        "x.pkl at byte 4: not written as Python's pickle writes it; an edit would change more than was asked for");
}

TEST_CASE("an object that is filled with what it is made of is shown and not edited", "[pickle]") {
  // l = []; r = f(l); l.append(r), where r is made before l is filled: written depth first, r would come within itself.
  const Graph graph = of("8002 63610a620a 5d 7100 85 52 7101 6800 6801 61 86 2e");
  CHECK(why_not_editable(graph) == "x.pkl: an object is part of what it is made of, which is not written");
  REQUIRE_THROWS_WITH(encode(graph), says("x.pkl: an object is part of what it is made of"));
}

TEST_CASE("names of Python 2 are known by those of Python 3 where the protocol is old enough", "[pickle]") {
  const auto name = [](Bytes module, Bytes text) {
    const Global known = python3_name({module, text});
    return std::string(known.module) + " " + std::string(known.name);
  };
  CHECK(name("__builtin__", "set") == "builtins set");
  CHECK(name("__builtin__", "xrange") == "builtins range");
  CHECK(name("copy_reg", "_reconstructor") == "copyreg _reconstructor");
  CHECK(name("exceptions", "ValueError") == "builtins ValueError");
  CHECK(name("exceptions", "StandardError") == "builtins Exception");
  CHECK(name("cPickle", "loads") == "pickle loads");
  CHECK(name("urllib2", "HTTPError") == "urllib.error HTTPError");
  CHECK(name("UserDict", "UserDict") == "collections UserDict");
  CHECK(name("socket", "_socketobject") == "socket SocketType");
  CHECK(name("torch._utils", "_rebuild_tensor_v2") == "torch._utils _rebuild_tensor_v2");
  CHECK(name("", "") == " ");
  const Graph old = of("8002 635f5f6275696c74696e5f5f0a7365740a 2e"),
              recent = of("8003 635f5f6275696c74696e5f5f0a7365740a 2e");
  CHECK(old.is_global(old.root(), "builtins", "set"));
  CHECK_FALSE(recent.is_global(recent.root(), "builtins", "set"));
  CHECK(recent.is_global(recent.root(), "__builtin__", "set"));
}

TEST_CASE("integers of any length are shown in decimal, up to Python's own limit", "[pickle]") {
  const auto shown = [](const std::string& digits) { return decimal_of(hex(digits)); };
  CHECK(shown("") == "0");
  CHECK(shown("00") == "0");
  CHECK(shown("0000000000000000000000") == "0");
  CHECK(shown("ff") == "-1");
  CHECK(shown("7f") == "127");
  CHECK(shown("80") == "-128");
  CHECK(shown("8000") == "128");
  CHECK(shown("0000000000000080") == "-9223372036854775808");
  CHECK(shown("000000000000008000") == "9223372036854775808");
  CHECK(shown("00000000000000000001") == "4722366482869645213696");
  for (const char* text : {"0", "1", "-1", "127", "128", "-128", "-129", "255", "256", "32767", "-32768", "999999999",
                           "1000000000", "-1000000000000000000000000000", "18446744073709551616"})
    CHECK(decimal_of(twos_complement_of(text)) == text);
  CHECK(twos_complement_of("-128") == hex("80"));
  CHECK(twos_complement_of("128") == hex("8000"));
  CHECK(twos_complement_of("-0") == "");
  CHECK(twos_complement_of("007") == hex("07"));
  const std::string longest(kMaxDigits, '9');
  CHECK(decimal_of(twos_complement_of(longest)) == longest);
  CHECK(decimal_of(twos_complement_of("-" + longest)) == "-" + longest);
  REQUIRE_THROWS_WITH(twos_complement_of(longest + "9"), says("an integer of 4301 digits; in decimal they are read and "
                                                              "shown up to 4300 digits"));
  REQUIRE_THROWS_WITH(decimal_of(std::string(1785, '\0') + "\x7F"), says("an integer of 4301 digits"));
  REQUIRE_THROWS_WITH(decimal_of(std::string(60000, '\x01')), says("an integer of 60000 bytes"));
  for (const char* text : {"", "-", "+1", "1_0", " 1", "1.", "0x1", "--1"})
    REQUIRE_THROWS_WITH(twos_complement_of(text), says("expected an integer, got '" + std::string(text) + "'"));
}

TEST_CASE("a graph is read after the one it was edited from, and its pickle's text, are gone", "[pickle]") {
  auto first = std::make_unique<Graph>(of("8002 7d 7100 580100000061 7101 580100000062 7102 73 2e"));
  Editor edit(*first);
  edit.insert(first->root(), edit.text("c"), edit.text("d"));
  const Graph next = std::move(edit).finish();
  const Bytes b = first->text(value_of(*first, "a"));
  first.reset();
  CHECK(b == "b");
  CHECK(keys_of(next, next.root()) == "a c ");
}
