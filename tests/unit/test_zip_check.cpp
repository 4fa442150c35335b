#include <random>

#include "catch.hpp"
#include "zip_edit.hpp"

using namespace ckptree;
using namespace ckptree_test;

TEST_CASE("edits of random archives keep every promise", "[zip][rewrite]") {
  std::mt19937 random(GENERATE(range(0u, 60u)));
  const auto below = [&](unsigned n) { return static_cast<std::size_t>(random() % n); };
  std::map<std::string, std::string> expected;
  Archive a;
  for (std::size_t i = 0, n = 1 + below(12); i < n; ++i) {
    const std::string name = (below(3) == 0 ? "m/data/" : "m/x") + std::to_string(i);
    const std::string data(below(3) == 0 ? below(40'000) : below(300), static_cast<char>('a' + i));
    if (below(2) == 0) a.torch(name, data);
    else a.python(name, data, below(3) == 0);
    if (below(4) == 0) a.body += std::string(below(500), '\0');
    expected[name] = data;
  }
  std::string bytes = a.bytes();
  for (int round = 0; round < 12; ++round) {
    ChangeSet changes;
    bool removes_storage = false;
    for (const auto& [name, data] : std::map<std::string, std::string>(expected)) {
      if (is_storage(name) ? below(12) != 0 : below(3) != 0) continue;
      if (below(3) == 0 && expected.size() > 1) {
        changes[name] = std::nullopt;
        removes_storage = removes_storage || is_storage(name);
        expected.erase(name);
      } else {
        changes[name] =
            becomes(expected[name] = std::string(below(2) == 0 ? below(100'000) : below(data.size() + 20), 'n'));
      }
    }
    if (below(3) == 0)
      changes["m/new" + std::to_string(round)] = becomes(expected["m/new" + std::to_string(round)] = "new");
    const auto before = open(bytes);
    bytes = edit(bytes, changes);

    const auto d = open(bytes);
    REQUIRE(d->members().size() == expected.size());
    std::vector<std::pair<std::uint64_t, std::uint64_t>> owned;
    for (const auto& m : d->members()) {
      CHECK(text_of(*d, m.name) == expected.at(m.name));
      owned.push_back({m.header, d->end_offset(m)});
      const zip::Member* old = before->find(m.name);
      const bool changed = changes.count(m.name) > 0, moved = !old || old->header != m.header;
      if (changed || moved) CHECK(d->data_offset(m) % 64 == 0);
      if (is_storage(m.name) && !changed && !removes_storage) CHECK_FALSE(moved);
    }
    std::sort(owned.begin(), owned.end());
    std::uint64_t at = owned.front().first == 0 ? 0 : 4;  // or a stale local header
    if (at == 4) CHECK(bytes.substr(0, 4) == "PK\3\4");
    else
      for (const auto& [begin, end] : owned) {
        CHECK(bytes.substr(at, begin - at) == std::string(begin - at, '\0'));
        at = end;
      }
    CHECK(owned.back().second == d->directory_offset());
  }
}

TEST_CASE("nothing but zip64 tells an edit over 4 GiB from one below", "[zip][rewrite]") {
  const std::uint64_t five = 5ull << 30;
  Archive a = Archive().torch("m/data/0", "");
  a.body.replace(6, 2, le(0x0808, 2));
  a.entries[0].flags = 0x0808;
  a.entries[0].size = a.entries[0].compressed = five;
  Archive behind = Archive().torch("m/version", "3\n");
  const std::string descriptor = "PK\7\10" + le(0, 4) + le(five, 8) + le(five, 8);
  const std::uint64_t second = 64 + five + 64, at = second + behind.body.size();
  behind.entries[0].header = second;
  a.entries.push_back(behind.entries[0]);
  const std::string tail = a.directory() + a.trailer(at);
  const std::map<std::uint64_t, std::string> extents{
      {0, a.body}, {64 + five, descriptor}, {second, behind.body}, {at, tail}};
  const auto file = std::make_shared<Sparse>(extents, at + tail.size());
  const auto d = zip::Directory::read(file);
  REQUIRE(d->end_offset(d->members()[0]) == 64 + five + 24);

  // The new file: the old one up to the first byte that is written, and what is written.
  const auto edited = [&](const ChangeSet& changes) {
    const zip::Rewrite r = zip::rewrite(*d, changes, kRules);
    std::map<std::uint64_t, std::string> fresh;
    for (const auto& [begin, bytes] : extents)
      if (begin < r.keep) fresh[begin] = bytes.substr(0, r.keep - begin);
    for (const auto& p : r.pieces) fresh[p.at] = p.content.text(1 << 20, "piece");
    const auto written = std::make_shared<Sparse>(fresh, r.size);
    zip::check(written, *d, changes, r);
    return zip::Directory::read(written);
  };

  SECTION("a new member") {
    const auto n = edited({{"m/x", becomes("x")}});
    CHECK(n->find("m/x")->header == at);
    CHECK(text_of(*n, "m/x") == "x");
    CHECK(text_of(*n, "m/version") == "3\n");
    const Bytes r = n->record(*n->find("m/x"));
    CHECK(r.substr(6, 2) == le(45, 2));
    CHECK(r.substr(42) ==
          "\xFF\xFF\xFF\xFFm/x" + le(1, 2) + le(8, 2) + le(at, 8) + "UT" + le(5, 2) + "\1" + le(kNoon, 4));
    CHECK(n->find("m/data/0")->size == five);
  }
  SECTION("a storage that goes takes the others below 4 GiB, without zip64 fields") {
    const auto n = edited({{"m/data/0", std::nullopt}});
    CHECK(n->find("m/version")->header == 0);
    CHECK(n->record(*n->find("m/version")).size() == 46 + 9);
    CHECK(text_of(*n, "m/version") == "3\n");
    CHECK(n->file()->size() < 1000);
  }
}

TEST_CASE("a member over 4 GiB is written with zip64 sizes in both headers", "[zip][rewrite]") {
  struct Zeros final : Computed {
    void read(std::uint64_t, Buffer into) const override { std::fill(into.begin(), into.end(), '\0'); }
  };
  const auto d = open(checkpoint().bytes());
  const std::uint64_t four = 0xFFFFFFFF;
  Change change;
  change.content.pieces.resize(1);
  change.content.pieces[0].from = Ptr<Computed>(std::make_shared<Zeros>());
  change.content.pieces[0].size = four;
  const zip::Rewrite r = zip::rewrite(*d, {{"m/data/9", change}}, kRules);
  REQUIRE(r.pieces.size() == 2);
  const std::string header = std::get<std::string>(r.pieces[0].content.pieces[0].from);
  CHECK(header.substr(4, 2) == le(45, 2));
  CHECK(header.substr(18, 8) == std::string(8, '\xFF'));
  CHECK(header.substr(30 + 8, 20) == le(1, 2) + le(16, 2) + le(four, 8) + le(four, 8));
  const std::string directory = r.pieces[1].content.text(1 << 20, "directory");
  CHECK(directory.find("m/data/9" + le(1, 2) + le(16, 2) + le(four, 8) + le(four, 8)) != std::string::npos);
}

TEST_CASE("a check finds every byte that was not written as intended", "[zip][rewrite]") {
  const std::string old = checkpoint().python("m/a", "aaaa").python("m/b", "b").bytes();
  const auto d = open(old);
  const ChangeSet changes{
      {"m/a", becomes("A longer text than before")}, {"m/new", becomes("n")}, {"m/b", std::nullopt}};
  const zip::Rewrite r = zip::rewrite(*d, changes, kRules);
  const std::string good = assemble(old, r);
  zip::check(memory_file("new", good), *d, changes, r);
  for (const auto& p : r.pieces)
    for (std::uint64_t i = p.at; i < p.at + p.content.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1);
      INFO("byte " << i);
      CHECK(code_of([&] { zip::check(memory_file("new", bad), *d, changes, r); }) == Errc::io);
    }
  CHECK_THROWS_WITH(zip::check(memory_file("new", good + "x"), *d, changes, r),
                    says("new: the new archive is not as intended: has " + std::to_string(good.size() + 1) +
                         " bytes, expected " + std::to_string(good.size())));
  std::string bad = good;
  bad[member(old, "m/version").header] = 'Q';
  CHECK_THROWS_WITH(zip::check(memory_file("new", bad), *d, changes, r),
                    says("local header of member 'm/version' is another"));
}

TEST_CASE("a check finds a rewrite that does not do what was asked", "[zip][rewrite]") {
  const std::string old = checkpoint().python("m/a", "aaaa").bytes();
  const auto d = open(old);
  const auto finds = [&](const ChangeSet& done, const ChangeSet& asked, const std::string& text) {
    const zip::Rewrite r = zip::rewrite(*d, done, kRules);
    CHECK_THROWS_WITH(zip::check(memory_file("new", assemble(old, r)), *d, asked, r), says(text));
    CHECK(code_of([&] { zip::check(memory_file("new", assemble(old, r)), *d, asked, r); }) == Errc::io);
  };
  finds({}, {{"m/a", std::nullopt}}, "member 'm/a', expected no further one");
  finds({{"m/a", std::nullopt}}, {}, "member 'm/a' is not there, expected it");
  finds({{"m/version", std::nullopt}}, {}, "member 'm/.data/serialization_id', expected 'm/version' in its place");
  finds({{"m/a", becomes("bbbb")}}, {{"m/a", becomes("cccc")}}, "is another, expected what was written there");
  finds({{"m/a", becomes("bbbb")}}, {{"m/a", becomes("bbb")}}, "member 'm/a': size is 4, expected 3");
  finds({{"m/a", becomes("bbbb")}}, {}, "record of member 'm/a' is another, expected it unchanged");
  finds({}, {{"m/a", becomes("aaaa")}}, "member 'm/a' is where nothing was written, expected it there");
}
