#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>

#include "ckptree/bytes.hpp"
#include "codec/zip/directory.hpp"

/// The records of a zip archive as bytes, both ways. Numbers are little-endian.
///
///     local header        record of the central directory
///      0 4 PK\3\4          0 4 PK\1\2
///                          4 2 made by
///      4 2 needed          6 2 needed
///      6 2 flags           8 2 flags
///      8 2 method         10 2 method
///     10 2 time           12 2 time
///     12 2 date           14 2 date
///     14 4 crc            16 4 crc
///     18 4 compressed     20 4 compressed
///     22 4 size           24 4 size
///     26 2 name length    28 2 name length
///     28 2 extra length   30 2 extra length
///                         32 2 comment length
///                         34 2 disk
///                         36 2 internal attributes
///                         38 4 external attributes
///                         42 4 offset of the local header
///     30   name, extra    46   name, extra, comment
///
/// Extra: fields of 2 bytes id, 2 bytes length, content. Field 0x0001 (zip64) holds 8 bytes for each of size,
/// compressed, offset, in this order, whose own 4 bytes are all ones; in a local header always the first two.
/// @see PKWARE APPNOTE.TXT 6.3, sections 4.3 to 4.5
namespace ckptree::zip {

constexpr std::uint32_t kLocalMark = 0x04034b50, kRecordMark = 0x02014b50, kDescriptorMark = 0x08074b50;
constexpr std::uint32_t kEndMark = 0x06054b50, kZip64EndMark = 0x06064b50, kLocatorMark = 0x07064b50;
constexpr std::size_t kLocalSize = 30, kRecordSize = 46, kEndSize = 22, kZip64EndSize = 56, kLocatorSize = 20;
/// In four, or two, bytes: the value stands in a zip64 field. Values from here on need one; torch 1.13 refuses zip64
/// fields that are not needed.
constexpr std::uint64_t kFull32 = 0xFFFFFFFF;
constexpr std::uint64_t kFull16 = 0xFFFF;

constexpr std::uint16_t kEncrypted = 1, kHasDescriptor = 1 << 3, kUtf8 = 1 << 11;

constexpr std::uint16_t kZip64Field = 0x0001;
constexpr std::uint16_t kTimestampField = 0x5455;  // "UT": flags, then mtime in seconds where bit 0 is set
constexpr std::uint16_t kPaddingField = 0x4246;    // "FB", torch's

/// An unsigned number at `at`, which the caller knows to be inside.
template <class T>
T load(Bytes bytes, std::size_t at) noexcept {
  T value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;)
    value = static_cast<T>((std::uint64_t{value} << 8) | static_cast<unsigned char>(bytes[at + i]));
  return value;
}

template <class T>
void store(std::string& bytes, std::size_t at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[at + i] = static_cast<char>(std::uint64_t{value} >> (8 * i));
}

/// The name of a member, for an error: its beginning, control bytes as %00.
std::string quoted(Bytes name);
/// What makes a name impossible (it is empty, absolute, leads out by "..", holds a NUL), or null.
const char* fault_of(Bytes name);

/// The content of the first field of this id, or nothing. What is no list of fields ends the search.
std::optional<Bytes> extra_field(Bytes extra, std::uint16_t id);
/// The extra fields but zip64, padding and timestamp, which are made anew for a member that is written.
std::string foreign_fields(Bytes extra);

/// A record of the central directory, taken apart.
struct Record {
  std::uint16_t made_by = 0, needed = 0, flags = 0, method = 0, dos_time = 0, dos_date = 0;
  std::uint32_t crc = 0;
  std::uint64_t compressed = 0, size = 0;
  std::uint16_t internal = 0;
  std::uint32_t external = 0;
  std::uint64_t header = 0;
  std::string name, extra, comment;  // extra: without the zip64 field
};

/// @param bytes  the record of `member`, as Directory::record gives it
Record decode(Bytes bytes, const Member& member);
std::string encode(const Record& record);
/// The local header that goes with a record: `local_extra` and a zip64 field where the sizes need one, then padding so
/// that data begins at a multiple of `alignment`.
std::string local_header(const Record& record, Bytes local_extra, std::uint64_t alignment);
/// An old local header for a new place: the padding is made anew, and torch's copy of the offset in the zip64 field.
std::string moved_header(Bytes old, std::uint64_t old_at, std::uint64_t at, std::uint64_t alignment);

/// Time of a record: the extended timestamp among its extra fields, else the DOS time as UTC, else nothing.
std::optional<std::time_t> time_of(Bytes extra, std::uint16_t dos_date, std::uint16_t dos_time);
/// Sets DOS date and time in UTC, rounded down to what they can say, and returns the timestamp field that makes them
/// exact: empty for a time that 32 bits cannot hold.
std::string set_time(Record& record, std::time_t time);

/// What follows the records: zip64 end and locator where asked for or needed, end, comment.
std::string trailer(std::uint64_t directory_at, std::uint64_t directory_size, std::uint64_t members, bool zip64,
                    Bytes comment);

}  // namespace ckptree::zip
