#pragma once

#include "ckptree/plan.hpp"
#include "codec/zip/directory.hpp"

namespace ckptree::zip {

/// What may not move and how members are laid out: a format's rules about its archive.
struct Rules {
  std::uint64_t alignment = 64;  // bytes, up to 32,768; of the data of members that we write or move
  bool (*is_fixed)(std::string_view name) = nullptr;  // storages: never move, but up, behind one that was removed
};

/// The new bytes of an archive after `changes` (member name -> content, or gone), as extents that differ from the old
/// file: everything else is where it was. Pure; nothing is written.
struct Rewrite {
  struct Piece {
    std::uint64_t at;
    Recipe content;
  };
  std::uint64_t keep =
      0;  // bytes at the front of the old file that the new one begins with, before `pieces` are laid on
  std::vector<Piece> pieces;  // ascending, do not overlap
  std::uint64_t size = 0;     // of the new file
};

/// Lays out the edited archive.
///  - unchanged members keep place, order, local header, extra fields, descriptor and flags;
///  - an edited member stays where it is if it fits; else the first gap it fits in, else behind the last member: so
///  what
///    was not edited does not move; its record keeps its place in the directory. The gap at the beginning of the file
///    is for the member whose record is first (data.pkl), which goes back there when it fits again;
///  - of several members of a changed name the last is changed, the others go: no reader agrees with another on them;
///  - new members come last: stored, no descriptor, local header equal to the record, aligned with torch's "FB" extra
///    field, a valid DOS date and an extended timestamp;
///  - bytes no member owns any more are zeroed; the local header that the file must begin with stays, as that of a
///  member
///    of zeros. When dead bytes outgrow a bound (none, where the file begins with such a one), members behind the last
///    fixed one close ranks; when a fixed one is removed, all behind it do;
///  - zip64 fields where a value needs them and only there; zip64 end record where the archive needs it, or had one and
///    begins with a member.
/// @throws Error Errc::exists when a new name equals another but for case (torch looks names up without case);
///         Errc::corrupt when members overlap: nothing can be told about what is free then; Errc::invalid for an edit
///         that leaves no member, Errc::name_too_long
Rewrite rewrite(const Directory& directory, const ChangeSet& changes, const Rules& rules);

/// CRC-32 of a content, read as a stream.
std::uint32_t crc_of(const Recipe& content);

/// Reads an archive back and compares: members, order, sizes, flags and offsets as `directory` and `changes` say, the
/// CRCs of what was written. @throws Error Errc::io with the difference
void check(const Ptr<File>& fresh, const Directory& directory, const ChangeSet& changes, const Rewrite& rewrite);

}  // namespace ckptree::zip
