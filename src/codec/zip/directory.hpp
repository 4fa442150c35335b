#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ckptree/file.hpp"
#include "ckptree/recipe.hpp"

/// Zip archives byte by byte, because torch's readers depend on bytes that no zip library keeps.
namespace ckptree::zip {

/// One record of the central directory.
struct Member {
  std::string name;  // as stored
  std::uint16_t flags = 0, method = 0;
  std::uint16_t dos_time = 0, dos_date = 0;
  std::uint32_t crc = 0;                      // 0 also where the writer was told not to compute it
  std::uint64_t compressed = 0, size = 0;     // bytes
  std::uint64_t header = 0;                   // offset of the local header
  std::uint64_t record = 0, record_size = 0;  // the record itself: extent of the file

  bool stored() const noexcept { return method == 0; }
  bool encrypted() const noexcept { return flags & 1; }
};

/// The members of an archive as its central directory lists them: mounting reads these bytes and no others. Immutable.
class Directory {
 public:
  /// What is wrong with the directory as a whole refuses the archive. What is wrong with one member (a name that no
  /// file may have, an extent outside the file or in another member) is thrown by data_offset and content of that one.
  /// @throws Error Errc::not_a_checkpoint when it is no zip; Errc::corrupt with place, expected, found: truncated, a
  ///         directory outside the file, counts that cannot be, several disks; Errc::too_large over 128 MiB of
  ///         directory
  static std::shared_ptr<const Directory> read(Ptr<File> file);

  const Ptr<File>& file() const noexcept;
  const std::vector<Member>& members() const noexcept;  // in directory order
  /// The last member of exactly this name (Python's rule), or nothing. Hashed.
  const Member* find(std::string_view name) const;
  /// Every member of this name, in directory order.
  std::vector<const Member*> find_all(std::string_view name) const;
  /// Where the bytes of a member begin: behind its local header, which is read and compared now, and remembered.
  /// @throws Error Errc::corrupt when header and record disagree, or the data leaves the file or enters another member,
  ///         or the name cannot be one (empty, absolute, "..", NUL)
  std::uint64_t data_offset(const Member& member) const;
  /// End of what belongs to a member: its data and its data descriptor. @throws Error as data_offset
  std::uint64_t end_offset(const Member& member) const;
  /// Where the next member begins in the file, or the directory: nothing of this member can be from there on. Its own
  /// beginning when it shares that with another.
  std::uint64_t limit(const Member& member) const noexcept;
  /// The content of a member: an extent when stored, inflated as it is read else (libzip, over that one member alone).
  /// Its tag is tag_from(), so that it survives a commit; without a CRC it is made of the place and the file.
  /// @throws Error as data_offset; Errc::unsupported for encryption and methods other than stored and deflated
  Recipe content(const Member& member) const;
  /// mtime of a member in UTC: extended timestamp if it has one, else the DOS date, else (0/0) that of the file.
  std::timespec mtime(const Member& member) const;
  /// The record of a member as it is stored. Lives as long as the Directory.
  Bytes record(const Member& member) const noexcept;

  /// First bytes of central directory and of the trailer (zip64 end, locator, end), the archive comment.
  std::uint64_t directory_offset() const noexcept;
  std::uint64_t directory_size() const noexcept;
  bool has_zip64_end() const noexcept;
  const std::string& comment() const noexcept;

  struct Private;
  explicit Directory(std::unique_ptr<Private> p);  // use read
  ~Directory();

 private:
  std::unique_ptr<Private> p_;
};

/// The tag of a member's content: of CRC and size alone, so that the bytes keep it under whatever name.
std::string tag_from(std::uint32_t crc, std::uint64_t size);

/// One word and a fact or two: "zip, 22 members, zip64, 64-byte alignment".
std::string describe(const Directory& directory);

}  // namespace ckptree::zip
