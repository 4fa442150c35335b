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

namespace {

// {"a": 1, "b": ["a", c d]} of protocol 2; the key "a" is used again by BINGET.
const char* const kShared =
    "8002 7d 7100 28 580100000061 7101 4b01 580100000062 7102 5d 7103 28 6801 63630a640a 7104 65 75 2e";

Graph of(const std::string& digits) { return decode(hex(digits), "x.pkl"); }

Entry entry(const Graph& graph, const char* key) {
  const auto found = find(graph, graph.root(), key);
  REQUIRE(found);
  return *found;
}

/// What `change` makes of a pickle; it can be edited again.
template <class Change>
std::string edited(const std::string& digits, Change change) {
  const Graph graph = of(digits);
  REQUIRE_FALSE(why_not_editable(graph));
  Editor edit(graph);
  change(edit, graph);
  std::string bytes = encode(std::move(edit).finish());
  CHECK(encode(graph) == hex(digits));
  CHECK_FALSE(why_not_editable(decode(bytes, "edited")));
  return bytes;
}

}  // namespace

TEST_CASE("a renamed key changes only there, and its text moves to where it is used next", "[pickle]") {
  const std::string bytes = edited(
      kShared, [](Editor& edit, const Graph& graph) { edit.replace(entry(graph, "a").key_slot(), edit.text("z")); });
  CHECK(bytes == hex("8002 7d 7100 28 58010000007a 7101 4b01 580100000062 7102 5d 7103 28 580100000061 7104"
                     "63630a640a 7105 65 75 2e"));
}

TEST_CASE("erased entries and items take their definitions along only where nobody else needs them", "[pickle]") {
  const std::string no_a = edited(kShared, [](Editor& edit, const Graph& graph) { edit.erase(entry(graph, "a")); });
  CHECK(no_a == hex("8002 7d 7100 28 580100000062 7101 5d 7102 28 580100000061 7103 63630a640a 7104 65 75 2e"));
  const std::string no_item = edited(kShared, [](Editor& edit, const Graph& graph) {
    Item item;
    Items(graph, entry(graph, "b").value).next(item);
    edit.erase(item);
  });
  CHECK(no_item == hex("8002 7d 7100 28 580100000061 7101 4b01 580100000062 7102 5d 7103 28 63630a640a 7104 65 75 2e"));
  const std::string none = edited(kShared, [](Editor& edit, const Graph& graph) {
    edit.erase(entry(graph, "a"));
    edit.erase(entry(graph, "b"));
  });
  CHECK(none == hex("8002 7d 7100 2e"));
}

TEST_CASE("fresh atoms are written as Python writes them", "[pickle]") {
  using Limits = std::numeric_limits<std::int64_t>;
  const struct {
    std::int64_t value;
    const char* bytes;
  } integers[] = {
      {0, "4b00"},
      {255, "4bff"},
      {256, "4d0001"},
      {65535, "4dffff"},
      {65536, "4a00000100"},
      {-1, "4affffffff"},
      {2147483647, "4affffff7f"},
      {-2147483648LL, "4a00000080"},
      {2147483648LL, "8a050000008000"},
      {-2147483649LL, "8a05ffffff7fff"},
      {Limits::max(), "8a08ffffffffffffff7f"},
      {Limits::min(), "8a080000000000000080"},
  };
  const auto fresh = [](auto make) {
    return edited("8002 4e 2e", [&](Editor& edit, const Graph& graph) { edit.replace(graph.root_slot(), make(edit)); });
  };
  for (const auto& i : integers) {
    CAPTURE(i.value);
    CHECK(fresh([&](Editor& edit) { return edit.integer(i.value); }) == hex("8002" + std::string(i.bytes) + "2e"));
    CHECK(fresh([&](Editor& edit) { return edit.integer(Bytes(std::to_string(i.value))); }) ==
          hex("8002" + std::string(i.bytes) + "2e"));
  }
  CHECK(fresh([](Editor& edit) { return edit.real(1.5); }) == hex("8002 473ff8000000000000 2e"));
  CHECK(fresh([](Editor& edit) { return edit.boolean(true); }) == hex("8002 88 2e"));
  CHECK(fresh([](Editor& edit) { return edit.boolean(false); }) == hex("8002 89 2e"));
  CHECK(fresh([](Editor& edit) { return edit.none(); }) == hex("8002 4e 2e"));
  CHECK(fresh([](Editor& edit) { return edit.text("caf\xC3\xA9"); }) == hex("8002 5805000000636166c3a9 7100 2e"));
  CHECK(fresh([](Editor& edit) { return edit.tuple({}); }) == hex("8002 29 2e"));
  CHECK(fresh([](Editor& edit) { return edit.tuple({edit.none()}); }) == hex("8002 4e 85 7100 2e"));
  CHECK(fresh([](Editor& edit) { return edit.list(); }) == hex("8002 5d 7100 2e"));
  CHECK(fresh([](Editor& edit) { return edit.list({edit.none()}); }) == hex("8002 5d 7100 4e 61 2e"));
  CHECK(fresh([](Editor& edit) { return edit.dict({{edit.none(), edit.none()}}); }) == hex("8002 7d 7100 4e 4e 73 2e"));
}

TEST_CASE("text is short where the protocol has a short form", "[pickle]") {
  const auto fresh = [](const std::string& text) {
    return edited("8004 4e 2e",
                  [&](Editor& edit, const Graph& graph) { edit.replace(graph.root_slot(), edit.text(text)); });
  };
  CHECK(fresh("ab") == hex("8004 950600000000000000 8c026162 94 2e"));
  CHECK(fresh(std::string(256, 'x')) ==
        hex("8004 950701000000000000 5800010000") + std::string(256, 'x') + hex("94 2e"));
}

TEST_CASE("an edit that a pickle cannot spell is refused", "[pickle]") {
  const Graph graph = of(kShared);
  Editor edit(graph);
  REQUIRE_THROWS_WITH(edit.text("\xFF"), says("expected text in UTF-8"));
  REQUIRE_THROWS_WITH(edit.integer(Bytes("x")), says("expected an integer, got 'x'"));
  REQUIRE_THROWS_WITH(edit.integer(Bytes(std::string(700, '9'))),
                      says("an integer of 291 bytes, at most 255 are written"));
  for (const char* name : {"", "a\nb", "\xFF"}) {
    const std::string text = "expected the name of a module, class or function: UTF-8 without a line break";
    REQUIRE_THROWS_WITH(edit.global(name, "x"), says(text));
    REQUIRE_THROWS_WITH(edit.global("x", name), says(text));
    REQUIRE_THROWS_WITH(edit.rename_global(0, "x", name), says(text));
  }
  const Id inner = edit.tuple({edit.none()});
  edit.replace(edit.graph().slot(inner, 0), inner);
  edit.replace(graph.root_slot(), inner);
  REQUIRE_THROWS_WITH(encode(edit.graph()),
                      says("x.pkl: an object is part of what it is made of, which is not written"));
}

TEST_CASE("a class is found by its name, and renamed wherever it is used", "[pickle]") {
  const std::string bytes = edited(kShared, [](Editor& edit, const Graph& graph) {
    const Id cls = edit.global("c", "d");
    CHECK(cls < graph.size());
    CHECK(edit.global("c", "e") >= graph.size());
    edit.rename_global(cls, "new", "name");
    CHECK(edit.global("new", "name") == cls);
    CHECK(graph.is_global(cls, "c", "d"));
    CHECK(edit.graph().is_global(cls, "new", "name"));
  });
  CHECK(bytes ==
        hex("8002 7d 7100 28 580100000061 7101 4b01 580100000062 7102 5d 7103 28 6801 636e65770a6e616d650a 7104"
            "65 75 2e"));
}

TEST_CASE("a new object reuses the class that is there", "[pickle]") {
  const std::string bytes = edited(kShared, [](Editor& edit, const Graph& graph) {
    const Id object = edit.newobj(edit.global("c", "d"), edit.tuple({}));
    edit.set_state(object, edit.dict({{edit.text("x"), edit.none()}}));
    edit.append(entry(graph, "b").value, object);
    edit.append(entry(graph, "b").value, edit.reduce(edit.global("c", "d"), edit.tuple({edit.integer(1)})));
  });
  CHECK(bytes == hex("8002 7d 7100 28 580100000061 7101 4b01 580100000062 7102 5d 7103 28 6801 63630a640a 7104 65"
                     "6804 29 81 7105 7d 7106 580100000078 7107 4e 73 62 61  6804 4b01 85 7108 52 7109 61 75 2e"));
}

TEST_CASE("a state is replaced where there is one, and entries come before it", "[pickle]") {
  const char* object = "8002 63610a620a 7100 29 81 7101 7d 7102 62 2e";
  const auto change = [](Editor& edit, const Graph& graph) {
    edit.set_state(graph.root(), edit.none());
    edit.insert(graph.root(), edit.integer(1), edit.integer(2));
    edit.insert(graph.root(), edit.integer(3), edit.integer(4));
    edit.append(graph.root(), edit.integer(5));
  };
  CHECK(edited(object, change) == hex("8002 63610a620a 7100 29 81 7101 4b01 4b02 73 4b03 4b04 73 4b05 61 4e 62 2e"));
}

TEST_CASE("an empty batch, which Python writes behind 1,000 entries, stays", "[pickle]") {
  const char* batch = "8002 7d 7100 28 4b01 4b02 75 28 75 2e";
  CHECK_FALSE(why_not_editable(of(batch)));
  CHECK(edited(batch, [](Editor& edit, const Graph& graph) {
          Entry e;
          Entries(graph, graph.root()).next(e);
          edit.erase(e);
        }) == hex("8002 7d 7100 28 75 2e"));
}

TEST_CASE("an object without a memo entry gets one when it is put in a second place", "[pickle]") {
  const std::string bytes = edited("8002 28 5d 4e 74 2e", [](Editor& edit, const Graph& graph) {
    edit.replace(graph.slot(graph.root(), 1), graph.child(graph.root(), 0));
  });
  CHECK(bytes == hex("8002 28 5d 7100 6800 74 2e"));
}

TEST_CASE("long lists and dicts are filled by the thousand", "[pickle]") {
  for (const std::size_t n : {2, 999, 1000, 1001, 2500}) {
    CAPTURE(n);
    const std::string bytes = edited("8002 4e 2e", [&](Editor& edit, const Graph& graph) {
      std::vector<Id> items;
      std::vector<std::pair<Id, Id>> entries;
      for (std::size_t i = 0; i < n; ++i) {
        items.push_back(edit.none());
        entries.emplace_back(edit.integer(static_cast<std::int64_t>(i)), edit.none());
      }
      edit.replace(graph.root_slot(), edit.tuple({edit.list(items), edit.dict(entries)}));
    });
    const Graph graph = decode(bytes, "x.pkl");
    std::size_t n_items = 0, n_entries = 0;
    Items items(graph, graph.child(graph.root(), 0));
    for (Item i; items.next(i);) ++n_items;
    Entries entries(graph, graph.child(graph.root(), 1));
    for (Entry e; entries.next(e);) CHECK(graph.integer(e.key) == static_cast<std::int64_t>(n_entries++));
    CHECK(n_items == n);
    CHECK(n_entries == n);
  }
}

TEST_CASE("thousands of edits, each on the graph before, leave every graph before as it was", "[pickle]") {
  std::string digits = "8002 7d 7100 28";
  for (int i = 0; i < 10000; ++i) {  // 10,000 keys are more than a chunk of nodes
    const char hexdigits[] = "0123456789abcdef";
    digits += "4d";
    for (const int shift : {4, 0, 12, 8}) digits += hexdigits[i >> shift & 15];
    digits += "4e";
  }
  const Graph first = of(digits + "75 2e");
  Graph last = first;
  std::vector<Entry> all;
  Entries entries(first, first.root());
  for (Entry e; entries.next(e);) all.push_back(e);
  REQUIRE(all.size() == 10000);
  const Graph middle = [&] {
    for (std::size_t i = 0; i < all.size(); i += 2) {
      Editor edit(last);
      edit.replace(all[i].value_slot(), edit.integer(static_cast<std::int64_t>(i)));
      last = std::move(edit).finish();
    }
    return last;
  }();
  for (std::size_t i = 1; i < all.size(); i += 2) {
    Editor edit(last);
    edit.erase(all[i]);
    last = std::move(edit).finish();
  }
  CHECK(encode(first) == first.wire());
  std::size_t n = 0;
  Entries in_middle(middle, middle.root());
  for (Entry e; in_middle.next(e); ++n)
    if (n % 2 ? middle.kind(e.value) != Kind::none : middle.integer(e.value) != static_cast<std::int64_t>(n)) break;
  CHECK(n == 10000);
  n = 0;
  Entries in_last(last, last.root());
  for (Entry e; in_last.next(e); ++n)
    if (last.integer(e.value) != static_cast<std::int64_t>(2 * n)) break;
  CHECK(n == 5000);
}
