#pragma once

#include <vector>

#include "codec/zip/record.hpp"
#include "codec/zip/rewrite.hpp"

namespace ckptree::zip {

/// A member of the archive to be.
struct Item {
  const Member* member = nullptr;   // the old one; null when the name is new
  const Recipe* content = nullptr;  // null when the bytes stay what they are
  Record record;                    // of one with content: all but the offset
  std::string local_extra;          // of one with content
  std::uint64_t at = 0;             // where its local header goes
  std::uint64_t end = 0;            // of what it owns there; not set where nothing is written

  bool stays() const { return !content && at == member->header; }
};

/// Sets `at` and `end` of every item, as rewrite says. @return where the last of them ends
/// @param items  in directory order
/// @param gone   old members that are no item
std::uint64_t lay_out(const Directory& directory, std::vector<Item>& items, const std::vector<const Member*>& gone,
                      const Rules& rules);

/// End of what may belong to a member: of a damaged one all up to the next.
std::uint64_t end_of(const Directory& directory, const Member& member);

/// The local header of an unchanged member, made anew for another place.
std::string moved_header(const Directory& directory, const Member& member, std::uint64_t at, std::uint64_t alignment);

}  // namespace ckptree::zip
