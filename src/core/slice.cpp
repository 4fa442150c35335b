#include "ckptree/slice.hpp"

#include <algorithm>

namespace ckptree {
namespace {

/// A computed piece from some byte on.
struct Tail final : Computed {
  Tail(Ptr<Computed> c, std::uint64_t o) : computed(std::move(c)), offset(o) {}
  void read(std::uint64_t at, Buffer into) const override { computed->read(offset + at, into); }
  const Ptr<Computed> computed;
  const std::uint64_t offset;
};

}  // namespace

Recipe slice(const Recipe& whole, std::uint64_t at, std::uint64_t size) {
  if (at == 0 && size == whole.size()) return whole;
  Recipe part;
  part.tag = whole.tag + "@" + std::to_string(at) + "+" + std::to_string(size);
  for (const Recipe::Piece& piece : whole.pieces) {
    if (size == 0) break;
    if (at >= piece.size) {
      at -= piece.size;
      continue;
    }
    const std::uint64_t take = std::min(size, piece.size - at);
    if (const auto* text = std::get_if<std::string>(&piece.from)) {
      part.pieces.push_back({text->substr(static_cast<std::size_t>(at), static_cast<std::size_t>(take)), take});
    } else if (const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&piece.from)) {
      part.pieces.push_back({std::make_pair(extent->first, extent->second + at), take});
    } else {
      const auto& computed = std::get<Ptr<Computed>>(piece.from);
      part.pieces.push_back({at == 0 ? computed : Ptr<Computed>(std::make_shared<Tail>(computed, at)), take});
    }
    size -= take;
    at = 0;
  }
  return part;
}

}  // namespace ckptree
