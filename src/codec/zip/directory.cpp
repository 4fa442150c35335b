#include "codec/zip/directory.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <tuple>

#include "ckptree/cursor.hpp"
#include "ckptree/error.hpp"
#include "codec/zip/end.hpp"
#include "codec/zip/record.hpp"

namespace ckptree::zip {
namespace {

// All of it is held in memory. Two million members with torch's names; the largest checkpoint we know has 70,000.
constexpr std::uint64_t kMaxDirectory = 128 << 20;

/// The zip64 field gives the values that the record has no room for.
void read_zip64(Bytes extra, Member& m, bool disk, const Cursor& c) {
  if (m.size != kFull32 && m.compressed != kFull32 && m.header != kFull32 && !disk) return;
  const auto field = extra_field(extra, kZip64Field);
  if (!field) c.fail("member " + quoted(m.name) + " refers to a zip64 field, and has none");
  Bytes left = *field;
  for (std::uint64_t* value : {&m.size, &m.compressed, &m.header}) {
    if (*value != kFull32) continue;
    if (left.size() < 8)
      c.fail("zip64 field of member " + quoted(m.name) + " has " + std::to_string(field->size()) + " bytes, too few");
    *value = load<std::uint64_t>(left, 0);
    left.remove_prefix(8);
  }
  if (disk && (left.size() < 4 || load<std::uint32_t>(left, 0) != 0))
    c.fail("member " + quoted(m.name) + " is on another disk");
}

Member read_record(Cursor& c) {
  Member m;
  m.record = c.offset();
  const Bytes r = c.take(kRecordSize, "record");
  if (load<std::uint32_t>(r, 0) != kRecordMark) c.fail("expected PK\\1\\2 at the beginning of the record before");
  m.flags = load<std::uint16_t>(r, 8);
  m.method = load<std::uint16_t>(r, 10);
  m.dos_time = load<std::uint16_t>(r, 12);
  m.dos_date = load<std::uint16_t>(r, 14);
  m.crc = load<std::uint32_t>(r, 16);
  m.compressed = load<std::uint32_t>(r, 20);
  m.size = load<std::uint32_t>(r, 24);
  m.header = load<std::uint32_t>(r, 42);
  m.name = c.take(load<std::uint16_t>(r, 28), "name");
  const Bytes extra = c.take(load<std::uint16_t>(r, 30), "extra fields");
  c.skip(load<std::uint16_t>(r, 32), "comment");
  m.record_size = c.offset() - m.record;
  const auto disk = load<std::uint16_t>(r, 34);
  if (disk != 0 && disk != kFull16) c.fail("member " + quoted(m.name) + " is on disk " + std::to_string(disk));
  read_zip64(extra, m, disk == kFull16, c);
  return m;
}

/// Names to the last member that has them: open addressing, because 20,000 nodes of a map cost more than the reading.
class Index {
 public:
  void build(const std::vector<Member>& members, const std::string& place) {
    std::size_t size = 16;
    while (size < members.size() * 2) size *= 2;
    slots_.assign(size, 0);
    std::size_t steps = 0;
    // Half full, a step and a half each. Names chosen to collide would take the square of their number.
    const std::size_t most = 1000 + 64 * members.size();
    for (std::size_t i = 0; i < members.size(); ++i) {
      slots_[seek(members, members[i].name, steps)] = static_cast<std::uint32_t>(i + 1);
      if (steps > most)
        throw Error(Errc::corrupt, place + ": central directory: " + std::to_string(i + 1) + " names need " +
                                       std::to_string(steps) + " steps to be told apart");
    }
  }
  const Member* find(const std::vector<Member>& members, std::string_view name) const {
    std::size_t steps = 0;
    const std::uint32_t found = slots_[seek(members, name, steps)];
    return found == 0 ? nullptr : &members[found - 1];
  }

 private:
  /// The slot of a name, or the empty one where it would be.
  std::size_t seek(const std::vector<Member>& members, std::string_view name, std::size_t& steps) const {
    std::size_t at = std::hash<std::string_view>()(name) & (slots_.size() - 1);
    while (slots_[at] != 0 && members[slots_[at] - 1].name != name) {
      at = (at + 1) & (slots_.size() - 1);
      ++steps;
    }
    return at;
  }

  std::vector<std::uint32_t> slots_;  // 0, or the number of the member, from 1
};

}  // namespace

struct Directory::Private {
  Ptr<File> file;
  End end;
  std::string records;
  std::vector<Member> members;
  std::vector<std::uint64_t> headers;  // offsets of all local headers, ascending
  Index index;
  std::unique_ptr<std::atomic<std::uint64_t>[]> known;  // offsets of data by member, 0 where not known yet

  [[noreturn]] void fail(const Member& m, const std::string& text) const {
    throw Error(Errc::corrupt, file->name() + ": member " + quoted(m.name) + ": " + text);
  }
  void check_header(const Member& m, Bytes header) const;
  std::uint64_t read_data_offset(const Member& m, std::uint64_t limit) const;
};

Directory::Directory(std::unique_ptr<Private> p) : p_(std::move(p)) {}
Directory::~Directory() = default;

std::shared_ptr<const Directory> Directory::read(Ptr<File> file) {
  auto p = std::make_unique<Private>();
  p->end = read_end(*file);
  End& end = p->end;
  if (end.directory_size > kMaxDirectory)
    throw Error(Errc::too_large, file->name() + ": central directory has " + std::to_string(end.directory_size) +
                                     " bytes, at most " + std::to_string(kMaxDirectory) + " are read");
  if (end.directory >= end.tail_at) {
    p->records = end.tail.substr(end.directory - end.tail_at, end.directory_size);
  } else {
    p->records.resize(end.directory_size);
    file->read(end.directory, Buffer(p->records.data(), p->records.size()));
  }
  end.tail = {};

  Cursor c(p->records, file->name() + ": central directory", end.directory);
  p->members.reserve(c.count(end.members, kRecordSize, "members"));
  p->headers.reserve(end.members);
  while (p->members.size() < end.members) {
    p->members.push_back(read_record(c));
    p->headers.push_back(p->members.back().header);
  }
  if (c.left() > 0)
    c.fail(std::to_string(c.left()) + " bytes follow the last of " + std::to_string(end.members) + " members");
  if (!std::is_sorted(p->headers.begin(), p->headers.end())) std::sort(p->headers.begin(), p->headers.end());
  p->index.build(p->members, file->name());
  p->known.reset(new std::atomic<std::uint64_t>[p->members.size()]());
  p->file = std::move(file);
  return std::make_shared<Directory>(std::move(p));
}

const Ptr<File>& Directory::file() const noexcept { return p_->file; }
const std::vector<Member>& Directory::members() const noexcept { return p_->members; }
std::uint64_t Directory::directory_offset() const noexcept { return p_->end.directory; }
std::uint64_t Directory::directory_size() const noexcept { return p_->end.directory_size; }
bool Directory::has_zip64_end() const noexcept { return p_->end.zip64; }
const std::string& Directory::comment() const noexcept { return p_->end.comment; }

const Member* Directory::find(std::string_view name) const { return p_->index.find(p_->members, name); }

std::vector<const Member*> Directory::find_all(std::string_view name) const {
  std::vector<const Member*> found;
  if (!find(name)) return found;
  for (const Member& m : p_->members)
    if (m.name == name) found.push_back(&m);
  return found;
}

Bytes Directory::record(const Member& m) const noexcept {
  return Bytes(p_->records).substr(m.record - p_->end.directory, m.record_size);
}

std::uint64_t Directory::limit(const Member& m) const noexcept {
  const auto [first, last] = std::equal_range(p_->headers.begin(), p_->headers.end(), m.header);
  if (last - first > 1) return m.header;  // shared: of what follows nobody can say whose it is
  return last == p_->headers.end() ? p_->end.directory : std::min(*last, p_->end.directory);
}

std::uint64_t Directory::data_offset(const Member& m) const {
  const std::less<> before;  // a copy of a member is not one of ours: it works, and is not remembered
  const Member* first = p_->members.data();
  if (before(&m, first) || !before(&m, first + p_->members.size())) return p_->read_data_offset(m, limit(m));
  std::atomic<std::uint64_t>& known = p_->known[static_cast<std::size_t>(&m - first)];
  std::uint64_t at = known.load(std::memory_order_relaxed);
  if (at == 0) known.store(at = p_->read_data_offset(m, limit(m)), std::memory_order_relaxed);
  return at;
}

std::uint64_t Directory::Private::read_data_offset(const Member& m, std::uint64_t limit) const {
  if (const char* fault = fault_of(m.name)) fail(m, std::string("its name ") + fault);
  if (m.stored() && m.compressed != m.size)
    fail(m, "is stored, and has " + std::to_string(m.size) + " bytes in " + std::to_string(m.compressed));
  const auto check_room = [&](std::uint64_t size, std::uint64_t begin, const char* what) {
    if (begin > limit || size > limit - begin)
      fail(m, std::string(what) + " of " + std::to_string(size) + " bytes at " + std::to_string(begin) +
                  " does not fit before " + (limit == end.directory ? "the directory" : "the next member") + " at " +
                  std::to_string(limit));
  };
  check_room(kLocalSize + m.name.size(), m.header, "local header");
  std::string header(kLocalSize + m.name.size(), '\0');
  file->read(m.header, Buffer(header.data(), header.size()));
  check_header(m, header);
  const std::uint64_t data = m.header + header.size() + load<std::uint16_t>(header, 28);
  check_room(m.compressed, data, "data");
  return data;
}

/// The record is what counts: torch writes no sizes into the local header. What it does say must not be something else.
void Directory::Private::check_header(const Member& m, Bytes header) const {
  if (load<std::uint32_t>(header, 0) != kLocalMark) fail(m, "expected PK\\3\\4 at byte " + std::to_string(m.header));
  const auto name = load<std::uint16_t>(header, 26);
  if (name != m.name.size() || header.substr(kLocalSize) != m.name)
    fail(m, "its local header at " + std::to_string(m.header) + " has another name");
  const auto agree = [&](std::uint64_t found, std::uint64_t expected, const char* what) {
    if (found != expected)
      fail(m, std::string(what) + " is " + std::to_string(expected) + " in the directory, " + std::to_string(found) +
                  " in the local header");
  };
  agree(load<std::uint16_t>(header, 8), m.method, "method");
  if (load<std::uint16_t>(header, 6) & kHasDescriptor) return;
  agree(load<std::uint32_t>(header, 14), m.crc, "CRC");
  for (const auto& [found, expected, what] :
       {std::tuple(load<std::uint32_t>(header, 18), m.compressed, "compressed size"),
        std::tuple(load<std::uint32_t>(header, 22), m.size, "size")})
    if (found != kFull32) agree(found, expected, what);
}

std::uint64_t Directory::end_offset(const Member& m) const {
  const std::uint64_t end = data_offset(m) + m.compressed;
  if (!(m.flags & kHasDescriptor)) return end;
  // [PK\7\8] crc, compressed size, size: of 8 bytes each when the writer thought of zip64, of 4 else. The directory
  // does not say which, so it is looked up; what is none of these may still be one, up to its greatest length.
  std::string bytes(std::min<std::uint64_t>(limit(m) - end, 24), '\0');
  p_->file->read(end, Buffer(bytes.data(), bytes.size()));
  for (const std::size_t width : {4, 8}) {
    for (const std::size_t mark : {4, 0}) {
      const std::size_t size = mark + 4 + 2 * width;
      if (bytes.size() < size || (mark && load<std::uint32_t>(bytes, 0) != kDescriptorMark)) continue;
      const auto number = [&, mark = mark, width = width](std::size_t i) {
        const std::size_t at = mark + 4 + i * width;
        return width == 4 ? load<std::uint32_t>(bytes, at) : load<std::uint64_t>(bytes, at);
      };
      if (load<std::uint32_t>(bytes, mark) == m.crc && number(0) == m.compressed && number(1) == m.size)
        return end + size;
    }
  }
  return end + bytes.size();
}

std::timespec Directory::mtime(const Member& m) const {
  const Bytes r = record(m);
  const Bytes extra = r.substr(kRecordSize + m.name.size(), load<std::uint16_t>(r, 30));
  if (const auto time = time_of(extra, m.dos_date, m.dos_time)) return {*time, 0};
  const std::int64_t ns = p_->file->fingerprint().mtime_ns;
  const std::int64_t second = 1'000'000'000;
  const std::int64_t rest = ((ns % second) + second) % second;
  return {static_cast<std::time_t>((ns - rest) / second), static_cast<long>(rest)};
}

std::string describe(const Directory& directory) {
  const std::size_t n = directory.members().size();
  std::string text = "zip, " + std::to_string(n) + (n == 1 ? " member" : " members");
  if (directory.has_zip64_end()) text += ", zip64";
  constexpr std::size_t kLooked = 64;  // each costs a read
  for (const std::uint64_t alignment : {4096, 64}) {
    const auto aligned = [&](const Member& m) { return directory.data_offset(m) % alignment == 0; };
    const auto end = directory.members().begin() + static_cast<std::ptrdiff_t>(std::min(n, kLooked));
    try {
      if (std::all_of(directory.members().begin(), end, aligned))
        return text + ", " + std::to_string(alignment) + "-byte alignment";
    } catch (const Error&) {
      return text;  // of a damaged member nothing is said here
    }
  }
  return text;
}

}  // namespace ckptree::zip
