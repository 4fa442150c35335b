#include "codec/zip/erase.hpp"

#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/zip/layout.hpp"

namespace ckptree::zip {
namespace {

struct Zeros final : Computed {
  void read(std::uint64_t, Buffer into) const override { std::fill(into.begin(), into.end(), '\0'); }
};

Recipe zeros(std::uint64_t size) {
  Recipe r;
  if (size > 0) r.pieces.push_back({Ptr<Computed>(std::make_shared<Zeros>()), size});
  return r;
}

/// A member of zeros up to `stop`, from the beginning of the file: the local header that is there stays, but for a
/// method, sizes and CRC that are not true any more; a descriptor follows where it announces one. Readers that go from
/// header to header (7-Zip where the first is nobody's, tar from a pipe) find their way to what stands at `stop`.
Recipe stub(const File& file, std::uint64_t stop) {
  std::string header(kLocalSize, '\0');
  file.read(0, Buffer(header.data(), header.size()));
  const std::uint64_t front = kLocalSize + load<std::uint16_t>(header, 26) + load<std::uint16_t>(header, 28);
  if (front <= stop) {
    header.resize(front);
    file.read(0, Buffer(header.data(), header.size()));
  } else {
    store(header, 26, std::uint32_t{0});  // a damaged one, without name and extra fields
  }
  const std::uint64_t room = stop - header.size();
  const bool announces = load<std::uint16_t>(header, 6) & kHasDescriptor;
  const std::uint64_t behind = !announces || room < 12 ? 0 : room < 16 ? 12 : 16;
  const Recipe content = zeros(room - behind);
  const std::uint32_t crc = crc_of(content);
  const auto size = static_cast<std::uint32_t>(std::min(content.size(), kFull32));

  store(header, 8, std::uint16_t{0});  // method
  std::string descriptor(behind, '\0');
  if (!announces) {
    store(header, 14, crc);
    store(header, 18, size);
    store(header, 22, size);
  } else if (behind > 0) {
    if (behind == 16) store(descriptor, 0, kDescriptorMark);
    store(descriptor, behind - 12, crc);
    store(descriptor, behind - 8, size);
    store(descriptor, behind - 4, size);
  }
  Recipe whole;
  whole.pieces.push_back({header, header.size()});
  whole.pieces.insert(whole.pieces.end(), content.pieces.begin(), content.pieces.end());
  if (behind > 0) whole.pieces.push_back({descriptor, behind});
  return whole;
}

/// Zeros from `at` to `stop`, but where something is written.
void blank(std::uint64_t at, std::uint64_t stop, const std::vector<Rewrite::Piece>& written,
           std::vector<Rewrite::Piece>& pieces) {
  const auto later = [](std::uint64_t a, const Rewrite::Piece& p) { return a < p.at; };
  auto next = std::upper_bound(written.begin(), written.end(), at, later);
  if (next != written.begin()) at = std::max(at, std::prev(next)->at + std::prev(next)->content.size());
  while (at < stop) {
    const std::uint64_t to = next == written.end() ? stop : std::min(stop, next->at);
    if (at < to) pieces.push_back({at, zeros(to - at)});
    if (next == written.end()) return;
    at = next->at + next->content.size();
    ++next;
  }
}

}  // namespace

std::vector<Rewrite::Piece> erase(const Directory& directory, const std::vector<const Member*>& dead,
                                  const std::vector<Rewrite::Piece>& written, std::uint64_t begin, std::uint64_t end) {
  std::vector<Rewrite::Piece> pieces;
  bool touched = false;  // what the file begins with, where that is no member
  for (const Member* m : dead) {
    touched = touched || m->header < begin;
    blank(std::max(m->header, begin), std::min(end_of(directory, *m), end), written, pieces);
  }
  if (touched && begin >= kLocalSize) pieces.push_back({0, stub(*directory.file(), begin)});
  // What an earlier edit left at the beginning need not be covered by what is put there.
  std::uint64_t first = end;
  for (const Member& m : directory.members()) first = std::min(first, m.header);
  if (begin == 0) blank(0, first, written, pieces);
  return pieces;
}

}  // namespace ckptree::zip
