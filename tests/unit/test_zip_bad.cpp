#include "catch.hpp"
#include "zip_archive.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

Archive small() { return Archive().torch("m/data.pkl", "pickle").torch("m/version", "3\n"); }

/// An archive whose directory is `records` and whose trailer is `trailer`.
std::string with(const Archive& a, const std::string& records, const std::string& trailer) {
  return a.body + records + trailer;
}

void refuses(const std::string& bytes, const std::string& text, Errc code = Errc::corrupt) {
  CHECK_THROWS_WITH(open(bytes), says(text));
  CHECK(code_of([&] { open(bytes); }) == code);
}

/// The archive opens; the member at `i` does not, and says why.
void member_refuses(const Archive& a, std::size_t i, const std::string& text) {
  const auto d = open(a.bytes());
  CHECK_THROWS_WITH(d->content(d->members()[i]), says(text));
  CHECK(code_of([&] { d->data_offset(d->members()[i]); }) == Errc::corrupt);
}

}  // namespace

TEST_CASE("what does not begin as a zip archive is no checkpoint", "[zip][bad]") {
  refuses("", "m.pt: expected a zip archive, which begins with 50 4b 03 04; begins with nothing: it is empty",
          Errc::not_a_checkpoint);
  refuses("PK", "begins with 50 4b", Errc::not_a_checkpoint);
  refuses(std::string("\x80\x02\x8a\x0a", 4) + std::string(100, 'x'), "begins with 80 02 8a 0a",
          Errc::not_a_checkpoint);
  refuses(Archive::end(0, 0, 0), "begins with 50 4b 05 06", Errc::not_a_checkpoint);
  refuses(std::string(64, '\0') + small().bytes(), "begins with 00 00 00 00", Errc::not_a_checkpoint);
}

TEST_CASE("an archive cut anywhere is truncated, not something else", "[zip][bad]") {
  const std::string bytes = small().bytes();
  for (std::size_t n = 4; n < bytes.size(); ++n) {
    INFO("cut at " << n << " of " << bytes.size());
    CHECK(code_of([&] { open(bytes.substr(0, n)); }) == Errc::corrupt);
  }
  refuses(bytes.substr(0, 200), "m.pt: truncated zip: no end of central directory record in the last 200 bytes of 200");
  refuses(bytes + std::string(70'000, 'x'), "in the last 65557 bytes of 70");
}

TEST_CASE("a comment longer than the file is refused", "[zip][bad]") {
  std::string bytes = small().bytes();
  bytes.replace(bytes.size() - 2, 2, le(500, 2));
  refuses(bytes, "comment needs 500, 0 left");
}

TEST_CASE("ten million claimed members need their directory", "[zip][bad]") {
  const Archive a = small();
  const std::uint64_t at = a.body.size(), size = a.directory().size();
  refuses(with(a, a.directory(), Archive::end64(10'000'000, size, at) + Archive::end(10'000'000, size, at)),
          "10000000 members need 46 bytes each, the directory has " + std::to_string(size));
  refuses(with(a, a.directory(), Archive::end(3, size, at)), "3 members need 46 bytes each");
}

TEST_CASE("a directory with fewer or more records than the end record says is refused", "[zip][bad]") {
  Archive a = small().torch("m/x", std::string(60, 'x'));
  a.entries.back().name = std::string(60, 'n');
  const std::uint64_t at = a.body.size(), size = a.directory().size();
  refuses(with(a, a.directory(), Archive::end(4, size, at)), "m.pt: central directory at byte ");
  refuses(with(a, a.directory(), Archive::end(2, size, at)), "bytes follow the last of 2 members");
}

TEST_CASE("a directory outside of the file is refused", "[zip][bad]") {
  const Archive a = small();
  const std::uint64_t at = a.body.size(), size = a.directory().size(), n = 2;
  refuses(with(a, a.directory(), Archive::end(n, size, at + 1)),
          "directory of " + std::to_string(size) + " bytes at " + std::to_string(at + 1) +
              " does not fit before its end record at " + std::to_string(at + size));
  refuses(with(a, a.directory(), Archive::end(n, 0xFFFFFFF0, at)), "directory of 4294967280 bytes");
  refuses(with(a, a.directory(), Archive::end(n, size, 0xFFFFFFF0)), "at 4294967280 does not fit");
  refuses(with(a, a.directory(), Archive::end64(n, size, at) + Archive::end(n, size + 1, at)), "directory size is ");
}

TEST_CASE("a directory that is none is refused", "[zip][bad]") {
  const Archive a = small();
  const std::uint64_t at = a.body.size(), size = a.directory().size();
  refuses(with(a, std::string(size, '\0'), Archive::end(2, size, at)), "expected PK\\1\\2");
  refuses(with(a, a.directory(), Archive::end(2, size - 1, at + 1)), "expected PK\\1\\2");
}

TEST_CASE("a directory over 128 MiB is refused before it is read", "[zip][bad]") {
  const std::uint64_t at = 64, size = (128u << 20) + 1;
  const std::string tail = Archive::end(1000, size, at);
  const auto file = std::make_shared<Sparse>(std::map<std::uint64_t, std::string>{{0, "PK\3\4"}, {at + size, tail}},
                                             at + size + tail.size());
  CHECK_THROWS_WITH(zip::Directory::read(file),
                    says("central directory has 134217729 bytes, at most 134217728 are read"));
}

TEST_CASE("zip64 records that lie are refused", "[zip][bad]") {
  const Archive a = small();
  const std::uint64_t at = a.body.size(), size = a.directory().size(), n = 2, max = UINT64_MAX;
  const std::string end = Archive::end(n, size, at);
  const auto lie = [&](const std::string& end64) { return with(a, a.directory(), end64 + end); };
  std::string far = Archive::end64(n, size, at);
  far.replace(48, 8, le(max, 8));
  refuses(lie(far), "directory offset is 18446744073709551615, and " + std::to_string(at) + " in the end record");
  refuses(lie(Archive::end64(n + 1, size, at)), "number of members is 3, and 2 in the end record");

  std::string moved = Archive::end64(n, size, at);
  moved.replace(56 + 8, 8, le(max, 8));
  refuses(lie(moved), "zip64 end record at 18446744073709551615 does not fit before the locator");
  moved.replace(56 + 8, 8, le(0, 8));
  refuses(lie(moved), "m.pt: zip64 end record at byte 4: expected PK\\6\\6");

  std::string longer = Archive::end64(n, size, at);
  longer.replace(4, 8, le(max - 11, 8));
  refuses(lie(longer), "says 18446744073709551604 bytes follow; 44 stand before the locator");

  const std::string full =
      "PK\5\6" + le(0, 4) + le(0xFFFF, 2) + le(0xFFFF, 2) + le(0xFFFFFFFF, 4) + le(0xFFFFFFFF, 4) + le(0, 2);
  refuses(with(a, a.directory(), far + full), "bytes at 18446744073709551615 does not fit before its end record at ");
  far.replace(40, 8, le(max, 8));
  refuses(with(a, a.directory(), far + full), "directory of 18446744073709551615 bytes");
  refuses(with(a, a.directory(), Archive::end64(max / 46, size, at) + full), "members need 46 bytes each");
}

TEST_CASE("an archive of several disks is refused", "[zip][bad]") {
  Archive a = small();
  const std::uint64_t at = a.body.size(), size = a.directory().size();
  std::string end = Archive::end(2, size, at), end64 = Archive::end64(2, size, at);
  end.replace(4, 2, le(1, 2));
  refuses(with(a, a.directory(), end),
          "expected one disk, found disk 1, directory on disk 0, 2 of 2 members on this disk");
  end = Archive::end(2, size, at);
  end.replace(8, 2, le(1, 2));
  refuses(with(a, a.directory(), end), "1 of 2 members on this disk");
  end64.replace(16, 4, le(7, 4));
  refuses(with(a, a.directory(), end64 + Archive::end(2, size, at)), "m.pt: zip64 end record at byte ");
  end64 = Archive::end64(2, size, at);
  end64.replace(56 + 16, 4, le(2, 4));
  refuses(with(a, a.directory(), end64 + Archive::end(2, size, at)), "expected one disk, found disk 0 of 2");
  a.entries[1].disk = 3;
  refuses(a.bytes(), "member 'm/version' is on disk 3");
  a.entries[1].disk = 0xFFFF;
  refuses(a.bytes(), "member 'm/version' refers to a zip64 field, and has none");
}

TEST_CASE("a zip64 field of a member that is missing or too short is refused", "[zip][bad]") {
  const Archive a = small();
  const auto lie = [&](const std::string& extra) {
    Archive b = a;
    b.entries[1].size = b.entries[1].compressed = 0xFFFFFFFF;
    std::string records = b.entries[0].bytes(), last = b.entries[1].bytes();
    const std::size_t front = 46 + b.entries[1].name.size();
    last.replace(30, 2, le(extra.size(), 2));
    last = last.substr(0, front) + extra;
    records += last;
    return with(a, records, Archive::end(2, records.size(), a.body.size()));
  };
  refuses(lie(""), "member 'm/version' refers to a zip64 field, and has none");
  refuses(lie(le(1, 2) + le(8, 2) + le(2, 8)), "zip64 field of member 'm/version' has 8 bytes, too few");
  refuses(lie(le(1, 2) + le(400, 2) + le(2, 8)), "member 'm/version' refers to a zip64 field, and has none");
  CHECK(text_of(*open(lie(le(1, 2) + le(16, 2) + le(2, 8) + le(2, 8))), "m/version") == "3\n");
}

TEST_CASE("a member outside of the file fails alone", "[zip][bad]") {
  Archive a = small();
  const std::uint64_t at = a.body.size();
  SECTION("header") {
    a.entries[0].header = GENERATE(0xFFFFFFF0ull, UINT64_MAX, UINT64_MAX - 29, 5ull << 30);
    member_refuses(a, 0, "does not fit before the directory at " + std::to_string(at));
  }
  SECTION("data") {
    a.entries[1].size = a.entries[1].compressed = GENERATE(19ull, 0xFFFFFFF0ull, UINT64_MAX, UINT64_MAX - 191);
    member_refuses(a, 1,
                   "data of " + std::to_string(a.entries[1].size) +
                       " bytes at 192 does not fit before the directory at " + std::to_string(at));
    CHECK(text_of(*open(a.bytes()), "m/data.pkl") == "pickle");
  }
}

TEST_CASE("members that overlap fail, those beside them do not", "[zip][bad]") {
  Archive a = small();
  SECTION("one runs into the next") {
    a.entries[0].size = a.entries[0].compressed = 100;
    member_refuses(a, 0,
                   "m.pt: member 'm/data.pkl': data of 100 bytes at 64 does not fit before the next member at 86");
    CHECK(text_of(*open(a.bytes()), "m/version") == "3\n");
  }
  SECTION("two share a local header") {
    a.entries.push_back(a.entries[1]);
    member_refuses(
        a, 1, "m.pt: member 'm/version': local header of 39 bytes at 86 does not fit before the next member at 86");
    member_refuses(a, 2, "local header of 39 bytes at 86");
  }
}

TEST_CASE("a record and its local header that disagree are refused with both values", "[zip][bad]") {
  Archive a = small().python("m/x", "text");
  const std::uint64_t at = a.entries[2].header;
  SECTION("signature") {
    a.body[at] = 'Q';
    member_refuses(a, 2, "m.pt: member 'm/x': expected PK\\3\\4 at byte " + std::to_string(at));
  }
  SECTION("name") {
    a.body[at + 30] = 'n';
    member_refuses(a, 2, "its local header at " + std::to_string(at) + " has another name");
  }
  SECTION("length of the name") {
    a.body[at + 26] = 2;
    member_refuses(a, 2, "has another name");
  }
  SECTION("method") {
    a.body[at + 8] = 8;
    member_refuses(a, 2, "method is 0 in the directory, 8 in the local header");
  }
  SECTION("CRC") {
    a.body.replace(at + 14, 4, le(5, 4));
    member_refuses(a, 2, "CRC is " + std::to_string(crc("text")) + " in the directory, 5 in the local header");
  }
  SECTION("size") {
    a.body[at + 22] = 3;
    member_refuses(a, 2, ": size is 4 in the directory, 3 in the local header");
  }
  SECTION("compressed size") {
    a.body[at + 18] = 3;
    member_refuses(a, 2, "compressed size is 4 in the directory, 3 in the local header");
  }
  SECTION("stored in another size") {
    a.entries[2].size = 5;
    member_refuses(a, 2, "is stored, and has 5 bytes in 4");
  }
  SECTION("extra fields that leave the file") {
    a.body.replace(at + 28, 2, le(0xFFFF, 2));
    member_refuses(a, 2, "data of 4 bytes at ");
  }
}

TEST_CASE("a name that no file may have opens the archive and fails alone", "[zip][bad]") {
  const auto [name, text] =
      GENERATE(table<std::string, std::string>({{"", "its name is empty"},
                                                {"/etc/passwd", "its name is absolute"},
                                                {"m/../../x", "its name leads out of the archive"},
                                                {"..", "its name leads out"},
                                                {std::string("m/a\0b", 5), "member 'm/a%00b': its name holds a NUL"}}));
  const Archive a = small().torch(name, "x");
  member_refuses(a, 2, text);
  CHECK(text_of(*open(a.bytes()), "m/version") == "3\n");
}

TEST_CASE("names of 64 KiB and names that differ by case are read as they are", "[zip][bad]") {
  const std::string longest(65535, 'n');
  const auto d = open(small().torch(longest, "long").torch("m/VERSION", "4\n").torch("m/..a/b..", "dots").bytes());
  CHECK(text_of(*d, longest) == "long");
  CHECK(text_of(*d, "m/version") == "3\n");
  CHECK(text_of(*d, "m/VERSION") == "4\n");
  CHECK(text_of(*d, "m/..a/b..") == "dots");
}

TEST_CASE("an error shows the beginning of a long name", "[zip][bad]") {
  Archive a = small().torch(std::string(65535, 'n'), "long");
  a.body[a.entries[2].header] = 'Q';
  member_refuses(a, 2, "'" + std::string(200, 'n') + "...': expected PK\\3\\4");
}

TEST_CASE("a name that is there thousands of times hides no other", "[zip][bad]") {
  Archive a;
  for (int i = 0; i < 2000; ++i) a.torch("m/data/" + std::to_string(i), "");
  for (int i = 0; i < 2000; ++i) a.entries.push_back(a.entries.front());
  const auto d = open(a.bytes());
  CHECK(d->find("m/data/0") == &d->members().back());
  CHECK(d->find_all("m/data/0").size() == 2001);
  for (std::size_t i = 1; i < 2000; ++i) CHECK(d->find("m/data/" + std::to_string(i)) == &d->members()[i]);
}

TEST_CASE("names made to collide are refused, not looked at in the square of their number", "[zip][bad]") {
  Archive a;
  Entry e;
  for (int i = 0; a.entries.size() < 2000; ++i) {
    e.name = std::to_string(i);
    if (std::hash<std::string_view>()(e.name) % 4096 == 0) a.entries.push_back(e);
  }
  a.body = "PK\3\4";
  refuses(a.bytes(), "steps to be told apart");
}

TEST_CASE("a fault of one member does not keep an archive from being described", "[zip][bad]") {
  Archive a = small();
  a.body[0x56] = 'Q';
  CHECK(zip::describe(*open(a.bytes())) == "zip, 2 members, zip64");
}
