#include "codec/zip/end.hpp"

#include <algorithm>
#include <cstdio>

#include "ckptree/cursor.hpp"
#include "ckptree/error.hpp"
#include "codec/zip/record.hpp"

namespace ckptree::zip {
namespace {

// A comment has at most 65,535 bytes. Python looks no further back either; torch does, a little.
constexpr std::size_t kMaxEnd = kEndSize + 65535;

std::string read_part(const File& file, std::uint64_t at, std::size_t size) {
  std::string bytes(size, '\0');
  file.read(at, Buffer(bytes.data(), bytes.size()));
  return bytes;
}

void check_beginning(const File& file) {
  const std::string begin = read_part(file, 0, std::min<std::uint64_t>(file.size(), 4));
  if (begin.size() == 4 && load<std::uint32_t>(begin, 0) == kLocalMark) return;
  std::string hex;
  for (const char c : begin) {
    char digits[4];
    std::snprintf(digits, sizeof digits, " %02x", static_cast<unsigned char>(c));
    hex += digits;
  }
  throw Error(Errc::not_a_checkpoint, file.name() +
                                          ": expected a zip archive, which begins with 50 4b 03 04; begins with" +
                                          (hex.empty() ? " nothing: it is empty" : hex));
}

/// Where in `tail` the end record is: at the very end if it can be, else the last one, as Python and torch do.
std::size_t find_end(const File& file, const std::string& tail) {
  if (tail.size() >= kEndSize) {
    const std::size_t last = tail.size() - kEndSize;
    if (load<std::uint32_t>(tail, last) == kEndMark && load<std::uint16_t>(tail, last + 20) == 0) return last;
    const std::size_t found = tail.rfind("PK\5\6", last);
    if (found != std::string::npos && tail.size() - found <= kMaxEnd) return found;
  }
  throw Error(Errc::corrupt, file.name() + ": truncated zip: no end of central directory record in the last " +
                                 std::to_string(std::min<std::uint64_t>(kMaxEnd, file.size())) + " bytes of " +
                                 std::to_string(file.size()));
}

/// The zip64 end record says what the end record cannot; what both say must be the same.
///     0 4 PK\6\6   4 8 size of what follows   12 2 made by   14 2 needed   16 4 this disk   20 4 disk of the directory
///     24 8 members on this disk   32 8 members   40 8 directory size   48 8 directory offset
void read_zip64_end(const File& file, Bytes tail, std::uint64_t tail_at, std::size_t locator_at, End& end) {
  Cursor locator(tail.substr(locator_at, kLocatorSize), file.name() + ": zip64 locator", tail_at + locator_at);
  locator.skip(4, "signature");
  const auto disk = locator.le<std::uint32_t>("disk");
  const auto at = locator.le<std::uint64_t>("offset of the zip64 end record");
  const auto disks = locator.le<std::uint32_t>("number of disks");
  if (disk != 0 || disks > 1)
    locator.fail("expected one disk, found disk " + std::to_string(disk) + " of " + std::to_string(disks));

  const std::uint64_t limit = tail_at + locator_at;
  if (at > limit || limit - at < kZip64EndSize)
    locator.fail("zip64 end record at " + std::to_string(at) + " does not fit before the locator at " +
                 std::to_string(limit));
  const std::string record = read_part(file, at, kZip64EndSize);
  Cursor c(record, file.name() + ": zip64 end record", at);
  if (c.le<std::uint32_t>("signature") != kZip64EndMark) c.fail("expected PK\\6\\6, as the locator says");
  const auto size = c.le<std::uint64_t>("size");
  if (size != limit - at - 12)
    c.fail("says " + std::to_string(size) + " bytes follow; " + std::to_string(limit - at - 12) +
           " stand before the locator");
  c.skip(4, "versions");
  const auto this_disk = c.le<std::uint32_t>("disk");
  const auto start_disk = c.le<std::uint32_t>("disk of the directory");
  const auto here = c.le<std::uint64_t>("members on this disk");
  const auto members = c.le<std::uint64_t>("members");
  const auto directory_size = c.le<std::uint64_t>("directory size");
  const auto directory = c.le<std::uint64_t>("directory offset");
  if (this_disk != 0 || start_disk != 0 || here != members)
    c.fail("expected one disk, found disk " + std::to_string(this_disk) + ", directory on disk " +
           std::to_string(start_disk) + ", " + std::to_string(here) + " of " + std::to_string(members) +
           " members on this disk");

  const auto agree = [&](std::uint64_t& plain, std::uint64_t full, std::uint64_t value, const char* what) {
    if (plain != full && plain != value)
      c.fail(std::string(what) + " is " + std::to_string(value) + ", and " + std::to_string(plain) +
             " in the end record");
    plain = value;
  };
  agree(end.members, kFull16, members, "number of members");
  agree(end.directory_size, kFull32, directory_size, "directory size");
  agree(end.directory, kFull32, directory, "directory offset");
  end.zip64 = true;
}

}  // namespace

/// End record:
///     0 4 PK\5\6   4 2 this disk   6 2 disk of the directory   8 2 members on this disk   10 2 members
///     12 4 directory size   16 4 directory offset   20 2 comment length   22 comment
End read_end(const File& file) {
  check_beginning(file);
  End end;
  const std::uint64_t wanted = std::min<std::uint64_t>(file.size(), kMaxEnd + kLocatorSize);
  end.tail_at = file.size() - wanted;
  end.tail = read_part(file, end.tail_at, wanted);

  const std::size_t at = find_end(file, end.tail);
  Cursor c(Bytes(end.tail).substr(at), file.name() + ": end of central directory", end.tail_at + at);
  c.skip(4, "signature");
  const auto this_disk = c.le<std::uint16_t>("disk");
  const auto start_disk = c.le<std::uint16_t>("disk of the directory");
  const auto here = c.le<std::uint16_t>("members on this disk");
  end.members = c.le<std::uint16_t>("members");
  end.directory_size = c.le<std::uint32_t>("directory size");
  end.directory = c.le<std::uint32_t>("directory offset");
  const auto comment = c.le<std::uint16_t>("comment length");
  end.comment = c.take(comment, "comment");
  const bool full_disks = this_disk == kFull16 && start_disk == kFull16;  // some writers refer to zip64 for these, too
  if ((this_disk != 0 || start_disk != 0 || here != end.members) && !full_disks)
    c.fail("expected one disk, found disk " + std::to_string(this_disk) + ", directory on disk " +
           std::to_string(start_disk) + ", " + std::to_string(here) + " of " + std::to_string(end.members) +
           " members on this disk");

  std::uint64_t limit = end.tail_at + at;
  if (at >= kLocatorSize && load<std::uint32_t>(end.tail, at - kLocatorSize) == kLocatorMark) {
    read_zip64_end(file, end.tail, end.tail_at, at - kLocatorSize, end);
    limit = load<std::uint64_t>(end.tail, at - kLocatorSize + 8);
  }
  if (end.directory > limit || end.directory_size > limit - end.directory)
    c.fail("directory of " + std::to_string(end.directory_size) + " bytes at " + std::to_string(end.directory) +
           " does not fit before its end record at " + std::to_string(limit));
  if (end.members > end.directory_size / kRecordSize)
    c.fail(std::to_string(end.members) + " members need " + std::to_string(kRecordSize) +
           " bytes each, the directory has " + std::to_string(end.directory_size));
  return end;
}

}  // namespace ckptree::zip
