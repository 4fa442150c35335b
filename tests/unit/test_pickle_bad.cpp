#include <cstdint>
#include <string>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "codec/pickle/limits.hpp"
#include "codec/pickle/pickle.hpp"
#include "pickles.hpp"

using namespace ckptree;
using namespace ckptree::pickle;
using ckptree_test::hex;
using ckptree_test::kSamples;

namespace {

std::string repeated(const std::string& bytes, std::size_t n) {
  std::string all;
  all.reserve(bytes.size() * n);
  for (std::size_t i = 0; i < n; ++i) all += bytes;
  return all;
}

}  // namespace

TEST_CASE("a malformed pickle is damage, and the text says where and what", "[pickle]") {
  const struct {
    const char* bytes;
    const char* text;
  } bad[] = {
      {"", "at byte 0: opcode needs 1, 0 left"},
      {"80", "at byte 1: protocol needs 1, 0 left"},
      {"8006 4e 2e", "at byte 0: PROTO: protocol 6, at most 5 is known"},
      {"8002 2e", "at byte 2: STOP: needs an object, the stack is empty"},
      {"8002 28 2e", "at byte 3: STOP: needs an object, the stack is empty"},
      {"8002 4e", "at byte 3: opcode needs 1, 0 left"},
      {"8002 ff 2e", "at byte 2: 0xff is no opcode"},
      {"8002 00 2e", "at byte 2: 0x00 is no opcode"},
      // The stack
      {"8002 52 2e", "at byte 2: REDUCE: objects needed: 2, on the stack: 0"},
      {"8002 4e 52 2e", "at byte 3: REDUCE: objects needed: 2, on the stack: 1"},
      {"8002 4e 4e 28 86 2e", "at byte 5: TUPLE2: objects needed: 2, on the stack: 0"},
      {"8002 4e 4e 92 2e", "at byte 4: NEWOBJ_EX: objects needed: 3, on the stack: 2"},
      {"8002 51 2e", "at byte 2: BINPERSID: objects needed: 1, on the stack: 0"},
      {"8002 4e 74 2e", "at byte 3: TUPLE: needs a mark, there is none"},
      {"8002 5d 65 2e", "at byte 3: APPENDS: needs a mark, there is none"},
      {"8002 28 65 2e", "at byte 3: APPENDS: needs an object to change, the stack is empty"},
      {"8002 5d 28 4e 61 2e", "at byte 5: APPEND: needs an object to change, the stack is empty"},
      {"8002 7d 28 4e 75 2e", "at byte 5: SETITEMS: a key without a value"},
      {"8002 28 4e 64 2e", "at byte 4: DICT: a key without a value"},
      {"8002 4e 4e 61 2e", "at byte 4: APPEND: the object below is of a kind that cannot be changed so"},
      {"8002 7d 4e 61 2e", "at byte 4: APPEND: the object below is of a kind that cannot be changed so"},
      {"8002 5d 4e 4e 73 2e", "at byte 5: SETITEM: the object below is of a kind that cannot be changed so"},
      {"8002 29 4e 62 2e", "at byte 4: BUILD: the object below is of a kind that cannot be changed so"},
      {"8002 7d 4e 62 2e", "at byte 4: BUILD: the object below is of a kind that cannot be changed so"},
      {"8004 5d 28 4e 90 2e", "at byte 5: ADDITEMS: the object below is of a kind that cannot be changed so"},
      {"8002 30 2e", "at byte 2: POP: needs an object, the stack is empty"},
      {"8002 31 2e", "at byte 2: POP_MARK: needs a mark, there is none"},
      {"8002 32 2e", "at byte 2: DUP: needs an object, the stack is empty"},
      {"8002 98 2e", "at byte 2: READONLY_BUFFER: needs an object, the stack is empty"},
      {"8002 28 6f 2e", "at byte 3: OBJ: needs a class, the stack is empty"},
      {"8002 69610a620a 2e", "at byte 2: INST: needs a mark, there is none"},
      {"8004 4e 4e 93 2e", "at byte 4: STACK_GLOBAL: needs two texts"},
      {"8004 8c0161 4b01 93 2e", "at byte 7: STACK_GLOBAL: needs two texts"},
      // The memo
      {"8002 7100 2e", "at byte 2: BINPUT: needs an object, the stack is empty"},
      {"8004 94 2e", "at byte 2: MEMOIZE: needs an object, the stack is empty"},
      {"8002 6800 2e", "at byte 2: BINGET: memo entry 0 is not defined"},
      {"8002 4e 7101 6800 2e", "at byte 5: BINGET: memo entry 0 is not defined"},
      {"8002 6affffffff 2e", "at byte 2: LONG_BINGET: memo entry 4294967295 is not defined"},
      {"8002 67310a 2e", "at byte 2: GET: memo entry 1 is not defined"},
      {"8002 672d310a 2e", "at byte 2: GET: expected a memo id, got '-1'"},
      {"8002 67 393939393939393939393939393939393939390a 2e", "at byte 2: GET: expected a memo id, got '9999999999"},
      // Lengths
      {"8002 58ffffffff 2e", "at byte 7: text needs 4294967295, 1 left"},
      {"8002 580500000061", "at byte 7: text needs 5, 1 left"},
      {"8002 5805", "at byte 3: length needs 4, 1 left"},
      {"8004 8d0000000000000040 2e", "at byte 11: text needs 4611686018427387904, 1 left"},
      {"8004 8effffffffffffffff 2e", "at byte 11: bytes needs 18446744073709551615, 1 left"},
      {"8005 960000000000000040 2e", "at byte 11: bytes needs 4611686018427387904, 1 left"},
      {"8004 950000000000000040 2e", "at byte 11: 4611686018427387904 bytes of a frame need 1 bytes each, 1 left"},
      {"8002 54ffffffff 2e", "at byte 7: string needs 4294967295, 1 left"},
      {"8002 8b01000100 2e", "at byte 2: LONG4: an integer of 65537 bytes, at most 65536 are read"},
      {"8002 8bffffffff 2e", "at byte 2: LONG4: an integer of 4294967295 bytes, at most 65536 are read"},
      {"8002 8a05 00 2e", "at byte 4: integer needs 5, 2 left"},
      {"8002 47 00000000", "at byte 3: float needs 8, 4 left"},
      // Texts
      {"8002 5801000000ff 2e", "at byte 2: BINUNICODE: text that is not UTF-8"},
      {"8002 5802000000c0af 2e", "at byte 2: BINUNICODE: text that is not UTF-8"},
      {"8004 8c03eda041 2e", "at byte 2: SHORT_BINUNICODE: text that is not UTF-8"},
      {"8002 63ff0a620a 2e", "at byte 2: GLOBAL: text that is not UTF-8"},
      {"8002 63610aff0a 2e", "at byte 2: GLOBAL: text that is not UTF-8"},
      {"8002 63610a62 2e", "at byte 2: GLOBAL: name is a line without an end"},
      {"8002 50ff0a 2e", "at byte 2: PERSID: text that is not UTF-8"},
      {"4931322e", "at byte 0: INT: integer is a line without an end"},
      {"49310a", "at byte 3: opcode needs 1, 0 left"},
      {"49782e0a2e", "at byte 0: INT: expected an integer, got 'x.'"},
      {"4c0a2e", "at byte 0: LONG: expected an integer, got ''"},
      {"53610a2e", "at byte 0: STRING: expected a string in quotes"},
      {"53270a2e", "at byte 0: STRING: expected a string in quotes"},
      {"53275c270a2e", "at byte 0: STRING: expected a string in quotes"},
      {"53275c7834270a2e", "at byte 0: STRING: expected a string in quotes"},
      {"565c75303030670a2e", "at byte 0: UNICODE: a broken escape"},
      {"565c55303031313030 30300a2e", "at byte 0: UNICODE: a broken escape"},
  };
  for (const auto& b : bad) {
    INFO(b.bytes);
    REQUIRE_THROWS_WITH(decode(hex(b.bytes), "x.pkl"), says("x.pkl " + std::string(b.text)));
    try {
      decode(hex(b.bytes), "x.pkl");
    } catch (const Error& e) {
      CHECK(e.code() == Errc::corrupt);
    }
  }
}

TEST_CASE("a pickle that is cut off anywhere is damage", "[pickle]") {
  for (const char* sample : kSamples) {
    const std::string whole = hex(sample);
    for (std::size_t n = 0; n < whole.size(); ++n) {
      CAPTURE(whole.size(), n);
      CHECK_THROWS_AS(decode(whole.substr(0, n), "x.pkl"), Error);
    }
  }
}

TEST_CASE("a pickle with any one byte changed is read or refused", "[pickle]") {
  for (const char* sample : kSamples) {
    const std::string whole = hex(sample);
    for (std::size_t n = 0; n < whole.size(); ++n) {
      for (int flip : {1, 0x20, 0x80, 0xFF}) {
        std::string other = whole;
        other[n] = static_cast<char>(other[n] ^ flip);
        try {
          const Graph graph = decode(other, "x.pkl");
          if (!why_not_editable(graph)) CHECK(encode(graph) == graph.wire());
        } catch (const Error& e) {
          CHECK(e.code() == Errc::corrupt);
        }
      }
    }
  }
}

TEST_CASE("sixty levels of a tuple of twice the level below are sixty-one nodes", "[pickle]") {
  std::string bomb = hex("8002 29");
  for (int i = 0; i < 60; ++i) {
    bomb += 'q';
    bomb += static_cast<char>(i);
    bomb += 'h';
    bomb += static_cast<char>(i);
    bomb += '\x86';
  }
  bomb += '.';
  const Graph graph = decode(bomb, "x.pkl");
  CHECK(graph.size() == 61);
  CHECK_FALSE(why_not_editable(graph));
}

TEST_CASE("a list or tuple nested 100,000 deep is read, written and edited", "[pickle]") {
  const std::string list = "\x80\x02" + std::string(100000, ']') + std::string(99999, 'a') + ".";
  const std::string tuple = "\x80\x02)" + std::string(100000, '\x85') + ".";
  for (const std::string& bytes : {list, tuple}) {
    const Graph graph = decode(bytes, "x.pkl");
    CHECK_FALSE(why_not_editable(graph));
    Editor edit(graph);
    edit.replace(graph.root_slot(), edit.list({graph.root()}));
    CHECK(decode(encode(std::move(edit).finish()), "x.pkl").size() == graph.size() + 1);
  }
}

TEST_CASE("what a pickle may cost is limited", "[pickle]") {
  SECTION("opcodes") {
    REQUIRE_THROWS_WITH(decode(repeated("(0", kMaxOps / 2) + "N.", "x.pkl"),
                        says("x.pkl at byte 50000000: NONE: more than 50000000 opcodes"));
  }
  SECTION("objects on the stack") {
    REQUIRE_THROWS_WITH(decode(hex("4e 7100") + repeated(hex("6800"), kMaxStack), "x.pkl"),
                        says("BINGET: more than 20000000 objects on the stack"));
  }
  SECTION("marks") {
    REQUIRE_THROWS_WITH(decode(std::string(kMaxStack + 1, '('), "x.pkl"),
                        says("x.pkl at byte 20000000: MARK: more than 20000000 marks"));
  }
  SECTION("the memo") {
    std::string odd = "N";
    for (std::uint32_t id = 1; id <= kMaxOddMemo + 1; ++id) {
      odd += 'r';
      for (int shift = 0; shift < 32; shift += 8) odd += static_cast<char>(id >> shift & 0xFF);
    }
    REQUIRE_THROWS_WITH(decode(odd, "x.pkl"),
                        says("x.pkl at byte 20000001: LONG_BINPUT: more than 4000000 memo ids that do not count up"));
    const Graph graph = decode("N" + repeated("\x94", kMaxOddMemo + 1) + ".", "x.pkl");
    CHECK(graph.size() == 1);
  }
  SECTION("a memo id costs nothing by its size") {
    const Graph graph = decode(hex("8002 5d 72ffffffff 6affffffff 86 2e"), "x.pkl");
    CHECK(graph.child(graph.root(), 0) == graph.child(graph.root(), 1));
  }
  SECTION("depth, of what is edited") {
    const auto nested = [](std::size_t n) { return decode(")" + std::string(n, '\x85') + ".", "x.pkl"); };
    CHECK_FALSE(why_not_editable(nested(kMaxDepth - 1)));
    CHECK(why_not_editable(nested(kMaxDepth)) == "x.pkl: objects nested more than 1000000 deep");
  }
  SECTION("a name") {
    const std::string line = std::string(kMaxName, 'm') + "\n";
    const Graph graph = decode("c" + line + line + ".", "x.pkl");
    CHECK(graph.global(graph.root()).name.size() == kMaxName);
    REQUIRE_THROWS_WITH(decode("cm" + line + line + ".", "x.pkl"),
                        says("x.pkl at byte 0: GLOBAL: module is a line of more than 65536 bytes"));
    REQUIRE_THROWS_WITH(decode("c" + line + "m" + line + ".", "x.pkl"),
                        says("x.pkl at byte 0: GLOBAL: name is a line of more than 65536 bytes"));
  }
}
