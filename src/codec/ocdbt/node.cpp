#include "codec/ocdbt/node.hpp"


#include "ckptree/cursor.hpp"
#include "codec/ocdbt/columns.hpp"
#include "codec/ocdbt/envelope.hpp"

namespace ckptree::ocdbt {
namespace {

constexpr std::uint64_t kMaxEntries = 1 << 20;      // TensorStore's
constexpr std::uint64_t kMaxInlineValue = 1 << 20;  // TensorStore's

}  // namespace

//  height, a byte; table of files; n; by columns:
//    of each key: bytes shared with the one before (not of the first); bytes that follow;
//    [inner nodes: bytes that all keys below have in common]; the bytes that follow, of all
//  inner nodes: file, offset, size of the child; number of keys, bytes of nodes, bytes of values below it
//  leaves: bytes of the value; a byte: 0 it is here, 1 elsewhere; of those elsewhere file, offset; the values here
Node::Node(Bytes encoded, unsigned height, const std::string& base, const std::string& place)
    : body_(open_envelope(encoded, kNodeMagic, place)), height_(height) {
  Cursor cursor(body_, place + " (its body)");
  const auto stored = cursor.le<std::uint8_t>("height");
  if (stored != height)
    cursor.fail("a node of height " + std::to_string(stored) + ", expected " + std::to_string(height));
  files_ = read_file_table(cursor, base);
  const std::uint64_t claimed = varint(cursor, "number of entries", 32);
  if (claimed < 1 || claimed > kMaxEntries)
    cursor.fail(std::to_string(claimed) + " entries, expected 1 to " + std::to_string(kMaxEntries));
  entries_.resize(cursor.count(claimed, 3, "entries"));
  read_keys(cursor);
  if (height > 0) read_children(cursor);
  else read_values(cursor);
  if (cursor.left() > 0) cursor.fail(std::to_string(cursor.left()) + " bytes too many");
}

void Node::read_keys(Cursor& cursor) {
  const std::size_t n = entries_.size();
  const Column shared = varints(cursor, n - 1, "shared part of a key", 16);
  const Column own = varints(cursor, n, "size of a key", 16);
  if (height_ > 0) {
    const Column common = varints(cursor, n, "common part of keys", 16);
    for (std::size_t i = 0; i < n; ++i) entries_[i].common = static_cast<std::uint32_t>(common[i]);
  }
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t kept = i > 0 ? static_cast<std::size_t>(shared[i - 1]) : 0;
    const Bytes before = i > 0 ? key(i - 1) : Bytes();
    if (kept > before.size())
      cursor.fail("a key shares " + std::to_string(kept) + " bytes with one of " + std::to_string(before.size()));
    const Bytes added = cursor.take(own[i], "key");
    if (i > 0 && added <= before.substr(kept)) cursor.fail("keys that do not increase");
    // A few bytes can stand for a key of thousands.
    if (keys_.size() + kept + added.size() > kMaxNode)
      cursor.fail("keys of more than " + std::to_string(kMaxNode) + " bytes");
    if (entries_[i].common > kept + added.size())
      cursor.fail("keys with " + std::to_string(entries_[i].common) + " bytes in common, the first has " +
                  std::to_string(kept + added.size()));
    const std::size_t from = keys_.size() - before.size();
    keys_.append(keys_, from, kept);
    keys_.append(added);
    entries_[i].key_end = keys_.size();
  }
}

void Node::read_children(Cursor& cursor) {
  const std::size_t n = entries_.size();
  const Column files = varints(cursor, n, "file of a node"), offsets = varints(cursor, n, "offset of a node"),
               sizes = varints(cursor, n, "size of a node");
  for (const char* field : {"number of keys", "bytes of nodes", "bytes of values"}) varints(cursor, n, field);
  for (std::size_t i = 0; i < n; ++i) {
    entries_[i].file = file(cursor, files[i]);
    entries_[i].offset = offsets[i];
    entries_[i].size = sizes[i];
  }
}

void Node::read_values(Cursor& cursor) {
  const std::size_t n = entries_.size();
  const Column sizes = varints(cursor, n, "size of a value");
  const Bytes kinds = cursor.take(n, "kind of a value");
  std::size_t elsewhere = 0;
  for (const char kind : kinds) {
    if (kind != 0 && kind != 1) cursor.fail("a value of kind " + std::to_string(static_cast<unsigned char>(kind)));
    elsewhere += kind == 1;
  }
  const Column files = varints(cursor, elsewhere, "file of a value"),
               offsets = varints(cursor, elsewhere, "offset of a value");
  std::size_t next = 0;
  for (std::size_t i = 0; i < n; ++i) {
    Entry& entry = entries_[i];
    entry.size = sizes[i];
    if (kinds[i] == 1) {
      entry.file = file(cursor, files[next]);
      entry.offset = offsets[next++];
    } else {
      if (sizes[i] > kMaxInlineValue) cursor.fail("an inline value of " + std::to_string(sizes[i]) + " bytes");
      entry.offset = cursor.offset();
      cursor.skip(sizes[i], "value");
    }
  }
}

std::uint32_t Node::file(Cursor& cursor, std::uint64_t index) const {
  if (index >= files_.size()) cursor.fail("file " + std::to_string(index) + " of " + std::to_string(files_.size()));
  return static_cast<std::uint32_t>(index);
}

Bytes Node::key(std::size_t entry) const {
  const std::size_t begin = entry > 0 ? entries_[entry - 1].key_end : 0;
  return Bytes(keys_).substr(begin, entries_[entry].key_end - begin);
}

std::optional<Node::Found> Node::find(Bytes wanted) const {
  // The last entry whose key is not behind the wanted one.
  std::size_t begin = 0, end = entries_.size();
  while (begin < end) {
    const std::size_t middle = begin + (end - begin) / 2;
    if (key(middle) <= wanted) begin = middle + 1;
    else end = middle;
  }
  if (begin == 0) return std::nullopt;
  const Bytes found = key(begin - 1);
  const Entry& entry = entries_[begin - 1];
  if (height_ > 0) {
    const Bytes common = found.substr(0, entry.common);
    if (wanted.substr(0, common.size()) != common) return std::nullopt;
    return Found(Child{{files_[entry.file], entry.offset, entry.size}, common.size()});
  }
  if (found != wanted) return std::nullopt;
  if (entry.file == kInline)
    return Found(Bytes(body_).substr(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size)));
  return Found(Location{files_[entry.file], entry.offset, entry.size});
}

std::uint64_t Node::cost() const noexcept {
  std::uint64_t cost = sizeof *this + body_.size() + keys_.capacity() + entries_.size() * sizeof(Entry);
  for (const DataFile& file : files_) cost += sizeof file + file.path.size();
  return cost;
}

}  // namespace ckptree::ocdbt
