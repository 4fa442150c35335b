#include <atomic>
#include <thread>

#include "catch.hpp"
#include "codec/zip/directory.hpp"
#include "zip_archive.hpp"

using namespace ckptree;
using namespace ckptree_test;
using zip::Directory;

TEST_CASE("the directory of a torch file lists its members in order", "[zip]") {
  const auto d = open(checkpoint().bytes());
  REQUIRE(d->members().size() == 9);
  CHECK(d->members()[0].name == "m/data.pkl");
  CHECK(d->members()[8].name == "m/.data/serialization_id");
  CHECK(d->has_zip64_end());
  CHECK(d->directory_offset() == checkpoint().body.size());
  CHECK(d->directory_size() == checkpoint().directory().size());
  CHECK(zip::describe(*d) == "zip, 9 members, zip64, 64-byte alignment");
  for (const auto& m : d->members()) CHECK(d->data_offset(m) % 64 == 0);
  CHECK(text_of(*d, "m/data.pkl") == std::string(300, 'p'));
  CHECK(text_of(*d, "m/data/1").empty());
  CHECK(text_of(*d, "m/version") == "3\n");
}

TEST_CASE("a member is found by exactly its name", "[zip]") {
  const auto d = open(checkpoint().bytes());
  CHECK(d->find("m/version") == &d->members()[7]);
  CHECK(d->find("m/Version") == nullptr);
  CHECK(d->find("") == nullptr);
  CHECK(d->find_all("m/none").empty());
}

TEST_CASE("of several members of one name the last is found, and all can be had", "[zip]") {
  const auto d = open(checkpoint().python("m/a.numpy", "old").python("m/a.numpy", "new").bytes());
  CHECK(text_of(*d, "m/a.numpy") == "new");
  const auto all = d->find_all("m/a.numpy");
  REQUIRE(all.size() == 2);
  CHECK(all[0]->header < all[1]->header);
}

TEST_CASE("a member ends behind its data descriptor, whatever kind that is", "[zip]") {
  Archive a;
  const std::string descriptor =
      GENERATE("PK\7\10" + le(crc("abc"), 4) + le(3, 4) + le(3, 4), "PK\7\10" + le(crc("abc"), 4) + le(3, 8) + le(3, 8),
               le(crc("abc"), 4) + le(3, 4) + le(3, 4), le(crc("abc"), 4) + le(3, 8) + le(3, 8));
  a.torch("m/a", "abc");
  a.body.resize(a.body.size() - 16);
  a.body += descriptor + std::string(100, '\0');
  a.torch("m/b", "b");
  const auto d = open(a.bytes());
  CHECK(d->end_offset(d->members()[0]) == d->data_offset(d->members()[0]) + 3 + descriptor.size());
}

TEST_CASE("the end of a member without a descriptor is that of its data", "[zip]") {
  const auto d = open(checkpoint().python("m/a", "abc").bytes());
  CHECK(d->end_offset(*d->find("m/a")) == d->directory_offset());
  CHECK(d->end_offset(*d->find("m/data/1")) == d->data_offset(*d->find("m/data/1")));
}

TEST_CASE("mtime is the extended timestamp, else the DOS date as UTC, else that of the file", "[zip]") {
  Archive a = checkpoint();
  a.python("m/dos", "1").python("m/ut", "2").python("m/access", "3").python("m/odd", "4");
  a.entries[10].extra = "UT" + le(5, 2) + le(1, 1) + le(1700000001, 4);
  a.entries[11].extra = "UT" + le(5, 2) + le(2, 1) + le(1700000001, 4);  // says access time
  a.entries[12].date = 15 << 5 | 1;                                      // a 15th month
  Fingerprint f;
  f.mtime_ns = 1'600'000'000'500'000'000;
  const auto d = open(a.bytes(), f);
  CHECK(d->mtime(*d->find("m/dos")).tv_sec == 1709210096);  // 2024-02-29 12:34:56
  CHECK(d->mtime(*d->find("m/ut")).tv_sec == 1700000001);
  CHECK(d->mtime(*d->find("m/access")).tv_sec == 1709210096);
  for (const char* name : {"m/odd", "m/version"}) {
    CHECK(d->mtime(*d->find(name)).tv_sec == 1'600'000'000);
    CHECK(d->mtime(*d->find(name)).tv_nsec == 500'000'000);
  }
}

TEST_CASE("a file from before 1970 has whole nanoseconds", "[zip]") {
  Fingerprint f;
  f.mtime_ns = -1;
  const auto d = open(checkpoint().bytes(), f);
  CHECK(d->mtime(d->members()[0]).tv_sec == -1);
  CHECK(d->mtime(d->members()[0]).tv_nsec == 999'999'999);
}

TEST_CASE("the comment of an archive, and bytes behind its end, do not hide the directory", "[zip]") {
  Archive a = checkpoint();
  a.zip64 = GENERATE(true, false);
  a.comment = "PK, five and six";
  const std::string junk(GENERATE(0, 1, 21, 22, 65535 - 16), 'j');
  const auto d = open(a.bytes() + junk);
  CHECK(d->comment() == a.comment);
  CHECK(d->members().size() == 9);
  CHECK(d->has_zip64_end() == a.zip64);
}

TEST_CASE("bytes between directory and end record are tolerated as torch does", "[zip]") {
  const Archive a = checkpoint();
  const std::uint64_t n = a.entries.size(), size = a.directory().size();
  const auto d = open(a.body + a.directory() + std::string(50, '\0') + Archive::end(n, size, a.body.size()));
  CHECK(d->members().size() == 9);
}

TEST_CASE("a deflated member is inflated as it is read, in any order", "[zip]") {
  std::string text;
  for (int i = 0; text.size() < 5'000'000; ++i) text += std::to_string(i) + "\n";
  const auto d = open(checkpoint().python("m/code.py", text, true).bytes());
  const Recipe r = d->content(*d->find("m/code.py"));
  CHECK(r.size() == text.size());
  CHECK(r.text(1 << 30, "code") == text);
  std::string part(100'000, '\0');
  for (const std::size_t at : {4'900'000u, 0u, 1'000'000u, 900'000u, 4'999'900u, 3'000'000u}) {
    const std::size_t n = r.read(at, Buffer(part.data(), part.size()));
    CHECK(n == std::min(part.size(), text.size() - at));
    CHECK(text.compare(at, n, part, 0, n) == 0);
  }
}

TEST_CASE("an empty deflated member is empty", "[zip]") {
  const auto d = open(checkpoint().python("m/code.py", "", true).bytes());
  CHECK(text_of(*d, "m/code.py").empty());
}

TEST_CASE("several threads read one deflated member", "[zip]") {
  std::string text;
  for (int i = 0; text.size() < 1'000'000; ++i) text += std::to_string(i) + ",";
  const auto d = open(checkpoint().python("m/code.py", text, true).bytes());
  const Recipe r = d->content(*d->find("m/code.py"));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::string part(10'000, '\0');
      for (std::size_t at = t * 10'000; at + part.size() <= text.size(); at += 40'000) {
        r.read(at, Buffer(part.data(), part.size()));
        if (text.compare(at, part.size(), part) != 0) ++wrong;
      }
    });
  for (auto& t : threads) t.join();
  CHECK(wrong == 0);
}

TEST_CASE("a member that inflates to another size than its record says is refused", "[zip]") {
  const std::string text(100'000, 'x');
  Archive a = checkpoint().python("m/code.py", text, true);
  const std::uint64_t size = GENERATE(1, 99'999, 100'001, 500'000 / 6);
  a.entries.back().size = size;
  a.body.replace(a.entries.back().header + 22, 4, le(size, 4));
  const auto d = open(a.bytes());
  CHECK_THROWS_WITH(text_of(*d, "m/code.py"), says("m.pt: member 'm/code.py': "));
  CHECK(code_of([&] { text_of(*d, "m/code.py"); }) == Errc::corrupt);
}

TEST_CASE("a record that claims more than deflate can do is refused before anything is inflated", "[zip]") {
  Archive a = checkpoint().python("m/bomb", std::string(1000, 'x'), true);
  a.entries.back().size = 1ull << 40;
  a.body.replace(a.entries.back().header + 22, 4, le(0xFFFFFFFF, 4));
  const auto d = open(a.bytes());
  CHECK_THROWS_WITH(d->content(*d->find("m/bomb")), says("bytes cannot inflate to 1099511627776"));
}

TEST_CASE("a member whose CRC is wrong fails when its last byte is read, one without a CRC does not", "[zip]") {
  Archive a = checkpoint().python("m/code.py", "some text to be deflated", true);
  const std::uint32_t crc = GENERATE(0u, 1u);
  a.entries.back().crc = crc;
  a.body.replace(a.entries.back().header + 14, 4, le(crc, 4));
  const auto d = open(a.bytes());
  if (crc == 0) CHECK(text_of(*d, "m/code.py") == "some text to be deflated");
  else CHECK_THROWS_WITH(text_of(*d, "m/code.py"), says("member 'm/code.py': cannot be inflated: CRC error"));
}

TEST_CASE("a stored member with a wrong or no CRC reads as torch reads it", "[zip]") {
  const auto d = open(Archive().torch("m/data/0", "abc", false).bytes());
  CHECK(text_of(*d, "m/data/0") == "abc");
}

TEST_CASE("encryption and other methods are not supported", "[zip]") {
  Archive a = checkpoint().python("m/secret", "x").python("m/lzma", "x");
  a.entries[9].flags = 1;
  a.entries[10].method = 14;
  a.body.replace(a.entries[10].header + 8, 2, le(14, 2));
  const auto d = open(a.bytes());
  CHECK_THROWS_WITH(d->content(*d->find("m/secret")), says("m.pt: member 'm/secret': is encrypted"));
  CHECK_THROWS_WITH(d->content(*d->find("m/lzma")),
                    says("compression method 14; stored (0) and deflated (8) are read"));
  CHECK(code_of([&] { d->content(*d->find("m/lzma")); }) == Errc::unsupported);
}

TEST_CASE("the tag of a content outlives the archive when the member has a CRC, and only then", "[zip]") {
  const auto tag = [](bool with_crc, std::int64_t mtime, const std::string& data) {
    Fingerprint f;
    f.mtime_ns = mtime;
    const auto d = open(Archive().torch("m/x", "shifts").torch("m/data/0", data, with_crc).bytes(), f);
    return d->content(*d->find("m/data/0")).tag;
  };
  CHECK(tag(true, 1, "abc") == tag(true, 2, "abc"));
  CHECK(tag(true, 1, "abc") != tag(true, 1, "abd"));
  CHECK(tag(false, 1, "abc") == tag(false, 1, "abc"));
  CHECK(tag(false, 1, "abc") != tag(false, 2, "abc"));
}

TEST_CASE("offsets and sizes over 4 GiB come from the zip64 fields", "[zip]") {
  const std::uint64_t five = 5ull << 30;
  Archive a = Archive().torch("m/data/0", "");
  const std::string head = a.body.replace(6, 2, le(0x0808, 2));
  a.entries[0].flags = 0x0808;
  a.entries[0].size = a.entries[0].compressed = five;
  Archive b = Archive().torch("m/version", "3\n");  // its padding is right: `second` is a multiple of 64
  const std::uint64_t second = (64 + five + 24 + 63) / 64 * 64;
  b.entries[0].header = second;
  a.entries.push_back(b.entries[0]);
  const std::uint64_t at = second + b.body.size();
  const std::string descriptor = "PK\7\10" + le(0, 4) + le(five, 8) + le(five, 8);
  const std::string tail = a.directory() + a.trailer(at);
  const auto file = std::make_shared<Sparse>(
      std::map<std::uint64_t, std::string>{{0, head}, {64 + five, descriptor}, {second, b.body}, {at, tail}},
      at + tail.size());
  const auto d = Directory::read(file);
  REQUIRE(d->members().size() == 2);
  CHECK(d->members()[0].size == five);
  CHECK(d->data_offset(d->members()[0]) == 64);
  CHECK(d->members()[1].header == second);
  CHECK(text_of(*d, "m/version") == "3\n");
}
