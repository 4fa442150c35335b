#include "ckptree/recipe.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "ckptree/error.hpp"

namespace ckptree {

Recipe Recipe::literal(std::string text) {
  Recipe r;
  r.tag = tag_of(text);
  const std::uint64_t size = text.size();
  // Recipes are copied with every Node; a long text is shared instead, as a file in memory.
  constexpr std::uint64_t kCopied = 256;
  if (size > kCopied)
    r.pieces.push_back({std::make_pair(memory_file("text", std::move(text)), std::uint64_t{0}), size});
  else if (size > 0) r.pieces.push_back({std::move(text), size});
  return r;
}

Recipe Recipe::extent(Ptr<File> file, std::uint64_t at, std::uint64_t size, std::string tag) {
  Recipe r;
  r.tag = std::move(tag);
  if (size > 0) r.pieces.push_back({std::make_pair(std::move(file), at), size});
  return r;
}

std::uint64_t Recipe::size() const {
  std::uint64_t total = 0;
  for (const Piece& p : pieces) total += p.size;
  return total;
}

std::size_t Recipe::read(std::uint64_t at, Buffer into) const {
  std::size_t done = 0;
  for (const Piece& p : pieces) {
    if (done == into.size()) break;
    if (at >= p.size) {
      at -= p.size;
      continue;
    }
    const Buffer part =
        into.subspan(done, static_cast<std::size_t>(std::min<std::uint64_t>(into.size() - done, p.size - at)));
    if (const auto* text = std::get_if<std::string>(&p.from)) {
      std::memcpy(part.data(), text->data() + at, part.size());
    } else if (const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&p.from)) {
      extent->first->read(extent->second + at, part);
    } else {
      std::get<Ptr<Computed>>(p.from)->read(at, part);
    }
    done += part.size();
    at = 0;
  }
  return done;
}

std::string Recipe::text(std::uint64_t limit, const std::string& what) const {
  const std::uint64_t n = size();
  if (n > limit)
    throw Error(Errc::too_large,
                what + ": has " + std::to_string(n) + " bytes, at most " + std::to_string(limit) + " are read");
  std::string all(n, '\0');
  read(0, Buffer(all.data(), all.size()));
  return all;
}

namespace {

// MurmurHash3's finaliser over two lanes. Not against adversaries: a tag only decides what a cache may keep.
std::uint64_t mix(std::uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdULL;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ULL;
  return h ^ (h >> 33);
}

}  // namespace

std::string tag_of(Bytes text) {
  std::uint64_t a = 0x9e3779b97f4a7c15ULL, b = 0xc2b2ae3d27d4eb4fULL;
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    a = mix(a ^ word);
    b = (b ^ word) * 0x100000001b3ULL + (b >> 29);
  }
  std::uint64_t rest = 0;
  if (i < text.size()) std::memcpy(&rest, text.data() + i, text.size() - i);
  a = mix(a ^ rest);
  b = mix((b ^ rest) * 0x100000001b3ULL);
  char out[64];
  std::snprintf(out, sizeof out, "t:%016llx%016llx:%zu", static_cast<unsigned long long>(a),
                static_cast<unsigned long long>(b), text.size());
  return out;
}

}  // namespace ckptree
