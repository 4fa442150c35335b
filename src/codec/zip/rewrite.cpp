#include "codec/zip/rewrite.hpp"

#include <zlib.h>

#include <algorithm>
#include <cassert>
#include <map>

#include "ckptree/error.hpp"
#include "ckptree/utf8.hpp"
#include "codec/zip/erase.hpp"
#include "codec/zip/layout.hpp"

namespace ckptree::zip {
namespace {

constexpr std::uint64_t kMaxAlignment = 32768;  // padding and the other fields share 65,535 bytes

/// UTF-8 as the flag of a record promises it.
bool is_utf8(Bytes text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

void check_name(const Directory& directory, const std::string& name) {
  const std::string place = directory.file()->name() + ": member " + quoted(name) + " cannot be written: its name ";
  if (const char* fault = fault_of(name)) throw Error(Errc::invalid, place + fault);
  if (name.size() > kFull16)
    throw Error(Errc::name_too_long,
                place + "has " + std::to_string(name.size()) + " bytes, at most 65535 can be stored");
}

/// A member with new content: what its old record says about attributes, comment and foreign extra fields stays.
Item written(const Directory& directory, const Member* old, const std::string& name, const Change& change) {
  check_name(directory, name);
  Item i;
  i.member = old;
  i.content = &change.content;
  Record& r = i.record;
  if (old) r = decode(directory.record(*old), *old);
  r.name = name;
  const bool ascii = std::none_of(name.begin(), name.end(), [](char c) { return c & 0x80; });
  r.flags = (r.flags & kUtf8) | (!ascii && is_utf8(name) ? kUtf8 : 0);
  r.method = 0;
  r.crc = crc_of(change.content);
  r.size = r.compressed = change.content.size();
  i.local_extra = set_time(r, change.mtime.tv_sec);
  std::string foreign = foreign_fields(r.extra);
  constexpr std::size_t kOurs = 64;  // timestamp and zip64, generously
  if (foreign.size() > kFull16 - kOurs) foreign.clear();
  r.extra = foreign + i.local_extra;
  return i;
}

void refuse_collisions(const Directory& directory, const std::vector<Item>& items) {
  std::map<std::string, const Item*> seen;           // names may be chosen so that their hashes collide
  if (items.empty() || items.back().member) return;  // new ones are last
  for (const Item& i : items) {
    const std::string& name = i.member ? i.member->name : i.record.name;
    const auto [at, fresh] = seen.emplace(lower(name), &i);
    if (fresh || i.member) continue;
    const Item& other = *at->second;
    throw Error(Errc::exists, directory.file()->name() + ": new member " + quoted(name) + " equals " +
                                  quoted(other.member ? other.member->name : other.record.name) +
                                  " but for case, and torch looks names up without case");
  }
}

/// The members of the archive to be, in the order of its directory.
std::vector<Item> sort_out(const Directory& directory, const ChangeSet& changes, std::vector<const Member*>& gone) {
  std::vector<Item> items;
  items.reserve(directory.members().size() + changes.size());
  for (const Member& m : directory.members()) {
    const auto change = changes.find(m.name);
    if (change == changes.end()) {
      items.emplace_back().member = &m;
    } else if (change->second && directory.find(m.name) == &m) {
      items.push_back(written(directory, &m, m.name, *change->second));
    } else {
      gone.push_back(&m);
    }
  }
  for (const auto& [name, change] : changes) {
    if (!change || directory.find(name)) continue;
    items.push_back(written(directory, nullptr, name, *change));
  }
  if (items.empty())
    throw Error(Errc::invalid,
                directory.file()->name() + ": the last member cannot be removed: what is left is no archive");
  refuse_collisions(directory, items);
  return items;
}

void append(Recipe& recipe, std::string text) {
  const std::uint64_t size = text.size();
  if (size > 0) recipe.pieces.push_back({std::move(text), size});
}

/// The bytes of an item at its new place; its record is made to say so.
Recipe bytes_of(const Directory& directory, Item& i, const Rules& rules) {
  Recipe bytes;
  if (i.content) {
    append(bytes, local_header(i.record, i.local_extra, rules.alignment));
    bytes.pieces.insert(bytes.pieces.end(), i.content->pieces.begin(), i.content->pieces.end());
  } else {
    append(bytes, moved_header(directory, *i.member, i.at, rules.alignment));
    const std::uint64_t data = directory.data_offset(*i.member);
    const std::uint64_t size = end_of(directory, *i.member) - data;
    if (size > 0) bytes.pieces.push_back({std::pair(directory.file(), data), size});
  }
  return bytes;
}

}  // namespace

std::uint32_t crc_of(const Recipe& content) {
  std::string buffer(std::min<std::uint64_t>(content.size(), 1 << 20), '\0');
  uLong crc = ::crc32(0, nullptr, 0);
  for (std::uint64_t at = 0, size = content.size(); at < size;) {
    const std::size_t n = content.read(at, Buffer(buffer.data(), buffer.size()));
    crc = ::crc32_z(crc, reinterpret_cast<const Bytef*>(buffer.data()), n);
    at += n;
  }
  return static_cast<std::uint32_t>(crc);
}

Rewrite rewrite(const Directory& directory, const ChangeSet& changes, const Rules& rules) {
  if (rules.alignment == 0 || rules.alignment > kMaxAlignment)
    throw Error(Errc::unsupported, directory.file()->name() + ": alignment " + std::to_string(rules.alignment) +
                                       ": expected 1 to " + std::to_string(kMaxAlignment));
  std::vector<const Member*> gone;
  std::vector<Item> items = sort_out(directory, changes, gone);
  const std::uint64_t end = lay_out(directory, items, gone, rules);
  std::uint64_t begin = end;
  for (const Item& i : items) begin = std::min(begin, i.at);

  Rewrite result;
  std::string records;
  std::vector<const Member*> dead = gone;  // members whose old bytes are nobody's now
  for (Item& i : items) {
    if (i.stays()) {
      records += directory.record(*i.member);
      continue;
    }
    if (i.member) dead.push_back(i.member);
    if (!i.content) i.record = decode(directory.record(*i.member), *i.member);
    i.record.header = i.at;
    if (i.content) {
      const bool zip64 = i.at >= kFull32 || i.record.size >= kFull32;
      i.record.needed = zip64 ? 45 : i.member ? std::min<std::uint16_t>(i.record.needed, 20) : 20;
    }
    records += encode(i.record);
    result.pieces.push_back({i.at, bytes_of(directory, i, rules)});
  }

  const auto by_place = [](const Rewrite::Piece& a, const Rewrite::Piece& b) { return a.at < b.at; };
  std::sort(result.pieces.begin(), result.pieces.end(), by_place);
  const std::vector<Rewrite::Piece> erased = erase(directory, dead, result.pieces, begin, end);
  result.pieces.insert(result.pieces.end(), erased.begin(), erased.end());
  std::sort(result.pieces.begin(), result.pieces.end(), by_place);

  const std::uint64_t size = records.size();
  // Where the first local header is nobody's, 7-Zip looks at all of them, and then not at a zip64 end it can do
  // without.
  const bool zip64 = directory.has_zip64_end() && begin == 0;
  records += trailer(end, size, items.size(), zip64, directory.comment());
  result.size = end + records.size();
  result.pieces.push_back({end, Recipe::literal(std::move(records))});

  // All of the new file from here on is in pieces without a gap.
  std::uint64_t covered = result.size;
  for (auto p = result.pieces.rbegin(); p != result.pieces.rend() && p->at + p->content.size() == covered; ++p)
    covered = p->at;
  result.keep = std::min(covered, directory.directory_offset());
  assert(covered <= directory.directory_offset() && "bytes of the new archive that come from nowhere");
  return result;
}

}  // namespace ckptree::zip
