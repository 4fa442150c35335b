#include "catch.hpp"
#include "zip_edit.hpp"

using namespace ckptree;
using namespace ckptree_test;

TEST_CASE("an edit of nothing changes no byte", "[zip][rewrite]") {
  Archive a = checkpoint();
  a.zip64 = GENERATE(true, false);
  a.comment = GENERATE("", "kept");
  a.python("m/anemoi.json", "{}");
  CHECK((edit(a.bytes(), {}) == a.bytes()));
}

TEST_CASE("an edited member stays where it is when it fits, and what it leaves is zeroed", "[zip][rewrite]") {
  const std::string old = checkpoint().bytes();
  const std::string fresh = edit(old, {{"m/data.pkl", becomes(std::string(200, 'q'))}});
  CHECK(fresh.size() == old.size() + 9);  // the timestamp in its record
  CHECK(text_of(*open(fresh), "m/data.pkl") == std::string(200, 'q'));
  CHECK(data_of(fresh, "m/data.pkl") == 64);
  auto expected = places(old);
  expected[0] = "m/data.pkl 0 200";
  CHECK(places(fresh) == expected);
  const std::uint64_t next = member(old, "m/.format_version").header;
  CHECK(fresh.substr(264, next - 264) == std::string(next - 264, '\0'));
  CHECK(fresh.compare(next, checkpoint().body.size() - next, old, next, checkpoint().body.size() - next) == 0);
}

TEST_CASE("an edited member may take the place of its descriptor, and not a byte more", "[zip][rewrite]") {
  const std::string old = checkpoint().bytes();
  CHECK(member(edit(old, {{"m/data.pkl", becomes(std::string(316, 'q'))}}), "m/data.pkl").header == 0);
  CHECK(member(edit(old, {{"m/data.pkl", becomes(std::string(317, 'q'))}}), "m/data.pkl").header > 0);
}

TEST_CASE("data.pkl that outgrows its place goes behind the storages, stays first, and comes back", "[zip][rewrite]") {
  const std::string old = checkpoint().bytes();
  const std::string grown = edit(old, {{"m/data.pkl", becomes(std::string(5000, 'q'))}});
  const auto d = open(grown);
  CHECK(d->members()[0].name == "m/data.pkl");
  CHECK(d->members()[0].header == checkpoint().body.size());
  CHECK(data_of(grown, "m/data.pkl") % 64 == 0);
  CHECK(grown.substr(0, 64) == old.substr(0, 64));
  CHECK(grown.substr(64, 300) == std::string(300, '\0'));
  auto expected = places(old);
  expected[0] = "m/data.pkl " + std::to_string(checkpoint().body.size()) + " 5000";
  CHECK(places(grown) == expected);

  const std::string other = edit(grown, {{"m/byteorder", becomes("little, but a little longer, so that it moves")}});
  CHECK(member(other, "m/byteorder").header > 0);  // the beginning is data.pkl's

  const std::string back = edit(grown, {{"m/data.pkl", becomes(std::string(300, 'p'))}});
  CHECK(places(back) == places(old));
  CHECK(back.substr(0, 4) == "PK\3\4");
}

TEST_CASE("a new member comes last: aligned, dated, with a local header equal to its record", "[zip][rewrite]") {
  const std::string old = checkpoint().bytes();
  const std::string fresh = edit(old, {{"m/anemoi-metadata/anemoi.json", becomes("{\"version\": 1}", kNoon + 1)}});
  const auto d = open(fresh);
  const zip::Member& m = d->members().back();
  CHECK(m.name == "m/anemoi-metadata/anemoi.json");
  CHECK(m.header == checkpoint().body.size());
  CHECK(d->data_offset(m) % 64 == 0);
  CHECK(m.flags == 0);
  CHECK(m.method == 0);
  CHECK(m.crc == crc("{\"version\": 1}"));
  CHECK(m.dos_date == ((2024 - 1980) << 9 | 2 << 5 | 29));
  CHECK(d->mtime(m).tv_sec == kNoon + 1);
  CHECK(text_of(*d, m.name) == "{\"version\": 1}");
  CHECK(fresh.compare(0, checkpoint().body.size(), checkpoint().body) == 0);

  const std::string header = fresh.substr(m.header, 30), r = record(fresh, m.name);
  CHECK(header.substr(4, 24) == r.substr(6, 24));  // needed to length of the name
  CHECK(fresh.substr(m.header + 30 + m.name.size(), 9) == "UT" + le(5, 2) + "\1" + le(kNoon + 1, 4));
  CHECK(fresh.substr(m.header + 30 + m.name.size() + 9, 2) == "FB");

  CHECK((edit(fresh, {{m.name, std::nullopt}}) == old));
}

TEST_CASE("the last member grows and shrinks in its place", "[zip][rewrite]") {
  const std::string old = checkpoint().python("m/anemoi.json", "{}").bytes();
  const std::string grown = edit(old, {{"m/anemoi.json", becomes(std::string(100'000, ' '))}});
  CHECK(member(grown, "m/anemoi.json").header == member(old, "m/anemoi.json").header);
  CHECK(data_of(grown, "m/anemoi.json") % 64 == 0);
  const std::string shrunk = edit(grown, {{"m/anemoi.json", becomes("{}")}});
  CHECK(member(shrunk, "m/anemoi.json").header == member(old, "m/anemoi.json").header);
  CHECK(shrunk.size() < old.size() + 128);
}

TEST_CASE("an edited member that does not fit goes to the first gap that holds it", "[zip][rewrite]") {
  Archive a = checkpoint();
  a.python("m/a", std::string(500, 'a')).python("m/b", std::string(100, 'b')).python("m/c", "c");
  const std::string gap = edit(a.bytes(), {{"m/a", std::nullopt}});
  const std::uint64_t at = member(a.bytes(), "m/a").header;
  const std::string moved = edit(gap, {{"m/b", becomes(std::string(300, 'B'))}});
  CHECK(member(moved, "m/b").header == at);
  CHECK(member(moved, "m/c").header == member(a.bytes(), "m/c").header);
  CHECK(moved.size() == gap.size() + 9);
  const std::string last = edit(gap, {{"m/b", becomes(std::string(600, 'B'))}});
  CHECK(member(last, "m/b").header > member(a.bytes(), "m/c").header);
}

TEST_CASE("several edits of one commit do not take one gap twice", "[zip][rewrite]") {
  Archive a = checkpoint();
  for (const char* name : {"m/a", "m/b", "m/c", "m/d"}) a.python(name, std::string(200, name[2]));
  const std::string fresh = edit(a.bytes(), {{"m/a", std::nullopt},
                                             {"m/b", becomes(std::string(210, 'B'))},
                                             {"m/c", becomes(std::string(220, 'C'))},
                                             {"m/e", becomes("new")}});
  const auto d = open(fresh);
  CHECK(text_of(*d, "m/b") == std::string(210, 'B'));
  CHECK(text_of(*d, "m/c") == std::string(220, 'C'));
  CHECK(text_of(*d, "m/d") == std::string(200, 'd'));
  CHECK(text_of(*d, "m/e") == "new");
}

TEST_CASE("what a removed member leaves is zeroed", "[zip][rewrite]") {
  Archive a = checkpoint().python("m/secret", "the password").python("m/z", "z");
  const std::string fresh = edit(a.bytes(), {{"m/secret", std::nullopt}});
  CHECK(fresh.find("password") == std::string::npos);
  CHECK(fresh.find("m/secret") == std::string::npos);
  CHECK(member(fresh, "m/z").header == a.entries.back().header);
}

TEST_CASE("the local header that the file must begin with becomes that of a member of zeros", "[zip][rewrite]") {
  const std::string nothing(300, '\0');
  SECTION("with torch's descriptor") {
    const std::string old = checkpoint().bytes(), fresh = edit(old, {{"m/data.pkl", std::nullopt}});
    CHECK(fresh.substr(0, 64) == old.substr(0, 64));
    CHECK((fresh.substr(64, 300) == nothing));
    CHECK(fresh.substr(364, 16) == "PK\7\10" + le(crc(nothing), 4) + le(300, 4) + le(300, 4));
  }
  SECTION("with what is free behind it") {
    const std::string old = checkpoint().bytes();
    const std::string fresh = edit(old, {{"m/data.pkl", std::nullopt}, {"m/.format_version", std::nullopt}});
    const std::uint64_t next = member(old, "m/.storage_alignment").header, n = next - 16 - 64;
    CHECK(fresh.substr(next - 16, 16) == "PK\7\10" + le(crc(std::string(n, '\0')), 4) + le(n, 4) + le(n, 4));
    CHECK((fresh.substr(64, n) == std::string(n, '\0')));
  }
  SECTION("with no room for a whole descriptor") {
    Archive a = Archive().torch("m/data.pkl", "");
    a.body.replace(6, 2, le(0x0808, 2));
    a.body += le(0, 12);
    const std::string fresh = edit(a.torch("m/data/0", "0").bytes(), {{"m/data.pkl", std::nullopt}});
    CHECK(fresh.substr(64, 12) == le(0, 12));
  }
  SECTION("with sizes in the header, deflated") {
    const Archive a = Archive().python("m/data.pkl", std::string(300, 'p'), true).torch("m/data/0", "0");
    const std::uint64_t size = a.entries[0].compressed;
    const std::string old = a.bytes(), fresh = edit(old, {{"m/data.pkl", std::nullopt}});
    const std::string zeros(size, '\0');
    CHECK(fresh.substr(8, 2) == le(0, 2));
    CHECK(fresh.substr(14, 12) == le(crc(zeros), 4) + le(size, 4) + le(size, 4));
    CHECK(fresh.substr(40, size) == zeros);
  }
  SECTION("with lengths that are damaged") {
    Archive a = checkpoint();
    a.body.replace(28, 2, "\xFF\xFF");
    const std::string fresh = edit(a.bytes(), {{"m/data.pkl", std::nullopt}});
    const std::string zeros(334, '\0');
    CHECK(fresh.substr(0, 26) == a.body.substr(0, 26));
    CHECK((fresh.substr(26, 338) == le(0, 4) + zeros));
    CHECK(fresh.substr(364, 16) == "PK\7\10" + le(crc(zeros), 4) + le(334, 4) + le(334, 4));
  }
}

TEST_CASE("an archive that does not begin with a member has no gap behind the storages", "[zip][rewrite]") {
  const std::string old = checkpoint().python("m/a", std::string(100, 'a')).bytes();
  const std::string grown = edit(old, {{"m/data.pkl", becomes(std::string(5000, 'q'))}, {"m/b", becomes("b")}});
  CHECK(member(grown, "m/b").header > member(grown, "m/data.pkl").header);
  const std::string again = edit(grown, {{"m/data.pkl", becomes(std::string(9000, 'q'))}});
  const auto d = open(again);
  std::uint64_t at = member(old, "m/a").header;
  for (const char* name : {"m/a", "m/data.pkl", "m/b"}) {
    CHECK(d->find(name)->header == at);
    at = d->end_offset(*d->find(name));
  }
  CHECK(d->directory_offset() == at);
}

TEST_CASE("an archive that does not begin with a member has no zip64 end it can do without", "[zip][rewrite]") {
  const std::string grown = edit(checkpoint().bytes(), {{"m/data.pkl", becomes(std::string(5000, 'q'))}});
  CHECK_FALSE(open(grown)->has_zip64_end());
}

TEST_CASE("members behind a removed storage move up, aligned, with flags and descriptors", "[zip][rewrite]") {
  const Archive a = checkpoint();
  const std::string old = a.bytes();
  const std::string fresh = edit(old, {{"m/data/0", std::nullopt}});
  const auto d = open(fresh);
  REQUIRE(d->members().size() == 8);
  CHECK(d->find("m/data/1")->header == a.entries[4].header);
  CHECK(fresh.size() < old.size() - 4000);
  for (const auto& m : d->members()) {
    CHECK(d->data_offset(m) % 64 == 0);
    CHECK(m.flags == member(old, m.name).flags);
    CHECK(text_of(*d, m.name) == text_of(*open(old), m.name));
    CHECK(d->end_offset(m) == d->data_offset(m) + m.size + (m.size == 0 ? 0 : 16));
  }
  // What is left is what torch would have written.
  Archive without;
  for (const auto& m : d->members()) without.torch(m.name, text_of(*d, m.name));
  CHECK((fresh == without.bytes()));
}

TEST_CASE("members behind the last storage close ranks when too little there is alive", "[zip][rewrite]") {
  Archive a = checkpoint();
  a.python("m/a", std::string(70'000, 'a'))
      .python("m/b", std::string(100, 'b'))
      .python("m/c", std::string(60'000, 'c'));
  const std::string old = a.bytes();
  const std::string gap = edit(old, {{"m/c", becomes("c")}, {"m/b", becomes(std::string(99, 'B'))}});
  CHECK(member(gap, "m/a").header == member(old, "m/a").header);
  const std::string fresh = edit(gap, {{"m/a", std::nullopt}});
  CHECK(member(fresh, "m/b").header < member(old, "m/b").header);
  CHECK(data_of(fresh, "m/b") % 64 == 0);
  CHECK(fresh.size() < 10'000);
  CHECK(text_of(*open(fresh), "m/b") == std::string(99, 'B'));
  for (const char* name : {"m/data/0", "m/data/2", "m/version"})
    CHECK(member(fresh, name).header == member(old, name).header);
}

TEST_CASE("a member that python wrote unaligned is aligned when it moves, and keeps all else", "[zip][rewrite]") {
  Archive a = checkpoint();
  a.python("m/a", std::string(200'000, 'a')).python("m/b", std::string(100, 'b'), GENERATE(true, false));
  a.entries.back().extra = "ux" + le(2, 2) + "\1\2";
  a.entries.back().comment = "a comment";
  const std::string old = a.bytes(), fresh = edit(old, {{"m/a", std::nullopt}});
  CHECK(data_of(fresh, "m/b") % 64 == 0);
  std::string expected = record(old, "m/b");
  expected.replace(42, 4, le(member(fresh, "m/b").header, 4));
  CHECK(record(fresh, "m/b") == expected);
  CHECK(member(fresh, "m/b").header < member(old, "m/b").header);
}

TEST_CASE("of several members of one name an edit changes the last and removes the others", "[zip][rewrite]") {
  Archive a = checkpoint().python("m/x", "first").python("m/y", "y").python("m/x", "second");
  const std::string changed = edit(a.bytes(), {{"m/x", becomes("third")}});
  CHECK(open(changed)->find_all("m/x").size() == 1);
  CHECK(text_of(*open(changed), "m/x") == "third");
  CHECK(changed.find("first") == std::string::npos);
  const std::string removed = edit(a.bytes(), {{"m/x", std::nullopt}});
  CHECK(open(removed)->find("m/x") == nullptr);
  CHECK(text_of(*open(removed), "m/y") == "y");
  CHECK(open(edit(a.bytes(), {{"m/y", becomes("Y")}}))->find_all("m/x").size() == 2);
}

TEST_CASE("a new name that equals another but for case is refused", "[zip][rewrite]") {
  const auto d = open(checkpoint().bytes());
  const ChangeSet one{{"m/DATA.pkl", becomes("x")}}, two{{"m/new", becomes("x")}, {"m/NEW", becomes("x")}};
  CHECK_THROWS_WITH(
      zip::rewrite(*d, one, kRules),
      says("m.pt: new member 'm/DATA.pkl' equals 'm/data.pkl' but for case, and torch looks names up without case"));
  CHECK(code_of([&] { zip::rewrite(*d, one, kRules); }) == Errc::exists);
  CHECK(code_of([&] { zip::rewrite(*d, two, kRules); }) == Errc::exists);
  edit(checkpoint().bytes(), {{"m/VERSION", becomes("3\n")}, {"m/version", std::nullopt}});
}

TEST_CASE("edits that cannot be stored are refused", "[zip][rewrite]") {
  const auto d = open(Archive().torch("m/x", "x").bytes());
  const auto code = [&](const ChangeSet& c, zip::Rules rules = kRules) {
    return code_of([&] { zip::rewrite(*d, c, rules); });
  };
  CHECK(code({{"m/x", std::nullopt}}) == Errc::invalid);
  for (const std::string& name : {std::string(), std::string("/x"), std::string("m/../x"), std::string("m/\0", 3)})
    CHECK(code({{name, becomes("x")}}) == Errc::invalid);
  CHECK_THROWS_WITH(zip::rewrite(*d, {{"m/..", becomes("x")}}, kRules),
                    says("m.pt: member 'm/..' cannot be written: its name leads out of the archive"));
  CHECK(code({{std::string(65536, 'n'), becomes("x")}}) == Errc::name_too_long);
  CHECK(code({}, {0, nullptr}) == Errc::unsupported);
  CHECK(code({}, {1 << 16, nullptr}) == Errc::unsupported);
  CHECK(code({{std::string(65535, 'n'), becomes("x")}}, {32768, nullptr}) == std::nullopt);
}

TEST_CASE("removing what is not there is no edit", "[zip][rewrite]") {
  CHECK((edit(checkpoint().bytes(), {{"m/none", std::nullopt}}) == checkpoint().bytes()));
}

TEST_CASE("an archive with overlapping members is not edited", "[zip][rewrite]") {
  Archive a = Archive().torch("m/x", "x").torch("m/y", "y").torch("m/z", "z");
  SECTION("one runs into the next") { a.entries[0].size = a.entries[0].compressed = 200; }
  SECTION("two share a local header") { a.entries.push_back(a.entries[0]); }
  SECTION("one runs into the directory") { a.entries[2].size = a.entries[2].compressed = 1 << 20; }
  const auto d = open(a.bytes());
  CHECK_THROWS_WITH(zip::rewrite(*d, {}, kRules), says(": an archive with overlapping members cannot be edited"));
}

TEST_CASE("a damaged member stays as it is while others are edited, and can be replaced", "[zip][rewrite]") {
  Archive a = checkpoint().python("m/a", "a").python("m/b", "b");
  a.body[a.entries[9].header] = 'Q';
  const std::string fresh = edit(a.bytes(), {{"m/b", becomes("B")}, {"m/data.pkl", becomes("new")}});
  CHECK_THROWS_WITH(text_of(*open(fresh), "m/a"), says("expected PK\\3\\4"));
  const std::string good = edit(fresh, {{"m/a", becomes("whole")}});
  CHECK(text_of(*open(good), "m/a") == "whole");
}

TEST_CASE("a replaced member keeps attributes, comment and foreign extra fields; its time is the new one",
          "[zip][rewrite]") {
  Archive a = checkpoint().python("m/x", "x", true).torch("m/y", "y");
  Entry& e = a.entries[9];
  e.extra = "UT" + le(5, 2) + le(1, 1) + le(5, 4) + "ux" + le(2, 2) + "\1\2";
  e.comment = "a comment";
  const std::string fresh = edit(a.bytes(), {{"m/x", becomes("X", 1234567891)}});
  const auto d = open(fresh);
  const zip::Member& m = *d->find("m/x");
  CHECK(m.stored());
  CHECK(d->mtime(m).tv_sec == 1234567891);
  const std::string r = record(fresh, "m/x");
  CHECK(r.substr(4, 2) == le(3 << 8 | 20, 2));
  CHECK(r.substr(38, 4) == le(0600u << 16, 4));
  CHECK(r.substr(46 + 3) == "ux" + le(2, 2) + "\1\2" + "UT" + le(5, 2) + "\1" + le(1234567891, 4) + "a comment");
}

TEST_CASE("extra fields that are no list, or leave no room, are not carried on", "[zip][rewrite]") {
  Archive a = checkpoint().python("m/x", "x");
  a.entries.back().extra = GENERATE(std::string("junk!"), "xx" + le(65500, 2) + std::string(65500, 'x'));
  const std::string fresh = edit(a.bytes(), {{"m/x", becomes("X")}});
  CHECK((record(fresh, "m/x").substr(46 + 3) == "UT" + le(5, 2) + "\1" + le(kNoon, 4)));
}

TEST_CASE("the flag for UTF-8 is set for names that need it, and kept", "[zip][rewrite]") {
  const std::string fresh = edit(checkpoint().bytes(), {{"m/\xC3\xA9", becomes("x")},
                                                        {"m/\xC3(", becomes("x")},
                                                        {"m/e", becomes("x")},
                                                        {"m/\xF0\x9F\x98\x80", becomes("x")},
                                                        {"m/\xE2\x82", becomes("x")},
                                                        {"m/version", becomes("3\n")}});
  CHECK(member(fresh, "m/\xC3\xA9").flags == 1 << 11);
  CHECK(member(fresh, "m/\xF0\x9F\x98\x80").flags == 1 << 11);
  CHECK(member(fresh, "m/\xC3(").flags == 0);
  CHECK(member(fresh, "m/\xE2\x82").flags == 0);
  CHECK(member(fresh, "m/e").flags == 0);
  CHECK(member(fresh, "m/version").flags == 1 << 11);
}

TEST_CASE("times that a zip cannot hold are held as well as it can", "[zip][rewrite]") {
  const auto stored = [](std::time_t time) {
    const std::string fresh = edit(checkpoint().bytes(), {{"m/x", becomes("x", time)}});
    return open(fresh)->mtime(*open(fresh)->find("m/x")).tv_sec;
  };
  for (const std::time_t exact : {std::time_t{0}, std::time_t{-5}, kNoon, kNoon + 1, std::time_t{INT32_MAX}})
    CHECK(stored(exact) == exact);
  CHECK(stored(std::time_t{INT32_MAX} + 2) == std::time_t{INT32_MAX} + 1);  // by two seconds
  CHECK(stored(std::time_t{1} << 40) == 4354819198);
  const std::string fresh = edit(checkpoint().bytes(), {{"m/x", becomes("x", 0)}});
  CHECK(member(fresh, "m/x").dos_date == (1 << 5 | 1));
}

TEST_CASE("data is aligned as the rules say", "[zip][rewrite]") {
  const std::uint64_t alignment = GENERATE(1, 64, 100, 4096, 32768);
  const std::string fresh =
      edit(checkpoint().bytes(), {{"m/x", becomes("x")}, {"m/y", becomes("y")}}, {alignment, is_storage});
  CHECK(data_of(fresh, "m/x") % alignment == 0);
  CHECK(data_of(fresh, "m/y") % alignment == 0);
}

TEST_CASE("an archive without rules for storages is edited, too", "[zip][rewrite]") {
  Archive a;
  for (int i = 0; i < 10; ++i) a.python("m/" + std::to_string(i), std::string(30'000, static_cast<char>('0' + i)));
  ChangeSet changes;
  for (int i = 0; i < 8; ++i) changes["m/" + std::to_string(i)] = std::nullopt;
  const std::string fresh = edit(a.bytes(), changes, {64, nullptr});
  CHECK(fresh.size() < 70'000);
  CHECK(member(fresh, "m/8").header == 0);
}

TEST_CASE("from 65,535 members on there is a zip64 end record", "[zip][rewrite]") {
  Archive a;
  for (int i = 0; i < 65'534; ++i) a.torch("m/" + std::to_string(i), "");
  a.zip64 = false;
  const std::string fresh = edit(a.bytes(), {{"m/x", becomes("x")}});
  CHECK(open(fresh)->has_zip64_end());
  CHECK(open(fresh)->members().size() == 65'535);
  CHECK_FALSE(open(a.bytes())->has_zip64_end());
}
