#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/zip/record.hpp"
#include "codec/zip/rewrite.hpp"

namespace ckptree::zip {
namespace {

constexpr std::size_t kStep = 1 << 20;  // compared at a time
// Local headers of members that stay are looked at to see that the clone is one, and each costs a read: so many of
// them, evenly spread.
constexpr std::size_t kLooked = 256;

class Checker {
 public:
  Checker(const Ptr<File>& fresh, const Directory& old, const ChangeSet& changes, const Rewrite& rewrite)
      : file_(fresh), old_(old), changes_(changes), rewrite_(rewrite) {}

  void run() {
    if (file_->size() != rewrite_.size)
      fail("has " + std::to_string(file_->size()) + " bytes", std::to_string(rewrite_.size));
    for (const Rewrite::Piece& p : rewrite_.pieces)
      check_bytes(Recipe::extent(file_, p.at, p.content.size(), ""), p.content, p.at);
    fresh_ = Directory::read(file_);
    check_members();
    if (fresh_->comment() != old_.comment()) fail("comment is not the one", "it unchanged");
    const auto is_first = [](const Member& m) { return m.header == 0; };
    const bool first = std::any_of(fresh_->members().begin(), fresh_->members().end(), is_first);
    if (old_.has_zip64_end() && first && !fresh_->has_zip64_end()) fail("zip64 end record is not there", "one");
  }

 private:
  [[noreturn]] void fail(const std::string& found, const std::string& expected) const {
    throw Error(Errc::io, file_->name() + ": the new archive is not as intended: " + found + ", expected " + expected);
  }
  [[noreturn]] void fail(const Member& m, const char* what, std::uint64_t found, std::uint64_t expected) const {
    fail("member " + quoted(m.name) + ": " + what + " is " + std::to_string(found), std::to_string(expected));
  }

  void check_bytes(const Recipe& found, const Recipe& expected, std::uint64_t at) const {
    std::string a(std::min<std::uint64_t>(kStep, expected.size()), '\0'), b = a;
    for (std::uint64_t done = 0; done < expected.size();) {
      const std::size_t n = found.read(done, Buffer(a.data(), a.size()));
      const std::size_t m = expected.read(done, Buffer(b.data(), b.size()));
      const auto differ = std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin());
      const auto same = static_cast<std::size_t>(differ.first - a.begin());
      if (n != m || same != n)
        fail("byte " + std::to_string(at + done + same) + " is another", "what was written there");
      done += n;
    }
  }

  void check_members() {
    auto next = fresh_->members().begin();
    const auto take = [&](const std::string& name) -> const Member& {
      if (next == fresh_->members().end()) fail("member " + quoted(name) + " is not there", "it");
      if (next->name != name) fail("member " + quoted(next->name), quoted(name) + " in its place");
      return *next++;
    };
    for (const Member& m : old_.members()) {
      const auto change = changes_.find(m.name);
      if (change == changes_.end()) check_unchanged(take(m.name), m);
      else if (change->second && old_.find(m.name) == &m) check_written(take(m.name), *change->second);
    }
    for (const auto& [name, change] : changes_)
      if (change && !old_.find(name)) check_written(take(name), *change);
    if (next != fresh_->members().end()) fail("member " + quoted(next->name), "no further one");
  }

  const Rewrite::Piece* piece_over(std::uint64_t begin, std::uint64_t end) const {
    const auto ends_before = [](const Rewrite::Piece& p, std::uint64_t at) { return p.at + p.content.size() <= at; };
    const auto p = std::lower_bound(rewrite_.pieces.begin(), rewrite_.pieces.end(), begin, ends_before);
    return p == rewrite_.pieces.end() || p->at >= end ? nullptr : &*p;
  }

  static bool is_damaged(const Directory& directory, const Member& m) {
    try {
      directory.data_offset(m);
      return false;
    } catch (const Error& e) {
      if (e.code() != Errc::corrupt) throw;
      return true;
    }
  }

  /// Of a member that stays in its place the data is not read: its record is the old one, its local header, where that
  /// is looked at, agrees with it, and nothing was written over it.
  void check_unchanged(const Member& found, const Member& expected) const {
    if (found.header != expected.header) return check_moved(found, expected);
    const std::string member = "member " + quoted(found.name);
    if (fresh_->record(found) != old_.record(expected)) fail("record of " + member + " is another", "it unchanged");
    const auto number = static_cast<std::size_t>(&found - fresh_->members().data());
    const std::size_t each = 1 + fresh_->members().size() / kLooked;
    if (number % each == 0 && is_damaged(*fresh_, found) && !is_damaged(old_, expected))
      fail("local header of " + member + " is another", "it unchanged");
    if (piece_over(found.header, found.header + kLocalSize + found.name.size() + found.compressed))
      fail(member + " is written over", "it unchanged");
  }

  void check_moved(const Member& found, const Member& expected) const {
    const auto same = [&](std::uint64_t a, std::uint64_t b, const char* what) {
      if (a != b) fail(found, what, a, b);
    };
    same(found.flags, expected.flags, "flags");
    same(found.method, expected.method, "method");
    same(found.crc, expected.crc, "CRC");
    same(found.compressed, expected.compressed, "compressed size");
    same(found.size, expected.size, "size");
    same(found.dos_date, expected.dos_date, "date");
    same(found.dos_time, expected.dos_time, "time");
    const std::uint64_t owned = old_.end_offset(expected) - old_.data_offset(expected);
    same(fresh_->data_offset(found) + owned, end_of_piece(found), "end");
  }

  void check_written(const Member& found, const Change& change) const {
    if (!found.stored()) fail(found, "method", found.method, 0);
    if (found.flags & ~kUtf8) fail(found, "flags", found.flags, found.flags & kUtf8);
    if (found.size != change.content.size()) fail(found, "size", found.size, change.content.size());
    const std::uint64_t data = fresh_->data_offset(found);
    if (data + found.size != end_of_piece(found)) fail(found, "end", data + found.size, end_of_piece(found));
    const Recipe content = Recipe::extent(file_, data, found.size, "");
    check_bytes(content, change.content, data);
    const std::uint32_t crc = crc_of(content);
    if (crc != found.crc) fail(found, "CRC", found.crc, crc);
  }

  /// End of the piece that a member was written as. Its bytes have been compared.
  std::uint64_t end_of_piece(const Member& found) const {
    const Rewrite::Piece* p = piece_over(found.header, found.header + 1);
    if (!p || p->at != found.header) fail("member " + quoted(found.name) + " is where nothing was written", "it there");
    return p->at + p->content.size();
  }

  const Ptr<File>& file_;
  const Directory& old_;
  const ChangeSet& changes_;
  const Rewrite& rewrite_;
  std::shared_ptr<const Directory> fresh_;
};

}  // namespace

void check(const Ptr<File>& fresh, const Directory& directory, const ChangeSet& changes, const Rewrite& rewrite) {
  try {
    Checker(fresh, directory, changes, rewrite).run();
  } catch (const Error& e) {
    // What a damaged checkpoint would be told with is a failure of the disk, or ours, when we wrote it.
    if (e.code() != Errc::corrupt && e.code() != Errc::not_a_checkpoint && e.code() != Errc::too_large) throw;
    throw Error(Errc::io, std::string("the new archive is not as intended: ") + e.what());
  }
}

}  // namespace ckptree::zip
