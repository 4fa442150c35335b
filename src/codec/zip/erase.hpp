#pragma once

#include <vector>

#include "codec/zip/rewrite.hpp"

namespace ckptree::zip {

/// Makes zeros of what was the members' and is nobody's now: it may hold secrets, and a stale local header confuses
/// readers that stream. But the file must begin with a local header, even a stale one; what it announces is made true.
/// @param dead     old members that are gone, replaced or elsewhere
/// @param written  what stands where now, ascending
/// @param begin    of the first member in the file
/// @param end      of the last
/// @return pieces in no order, beside those written
std::vector<Rewrite::Piece> erase(const Directory& directory, const std::vector<const Member*>& dead,
                                  const std::vector<Rewrite::Piece>& written, std::uint64_t begin, std::uint64_t end);

}  // namespace ckptree::zip
