#include "codec/zip/record.hpp"

#include <algorithm>

namespace ckptree::zip {
namespace {

template <class T>
void put(std::string& out, T value) {
  out.append(sizeof(T), '\0');
  store(out, out.size() - sizeof(T), value);
}

std::uint32_t low32(std::uint64_t value) { return static_cast<std::uint32_t>(std::min(value, kFull32)); }

std::string field(std::uint16_t id, Bytes content) {
  std::string out;
  put(out, id);
  put(out, static_cast<std::uint16_t>(content.size()));
  out += content;
  return out;
}

/// Padding that takes data from `end`, where it would begin without, to a multiple of `alignment`; torch writes the
/// field also when there is nothing to pad.
std::string padding(std::uint64_t end, std::uint64_t alignment) {
  const std::uint64_t past = (end + 4) % alignment;
  return field(kPaddingField, std::string(past == 0 ? 0 : alignment - past, 'Z'));
}

/// The fields of an extra block one after the other.
class Fields {
 public:
  explicit Fields(Bytes extra) : left_(extra) {}

  bool next() {
    if (left_.size() < 4) return false;
    const std::size_t size = load<std::uint16_t>(left_, 2);
    if (size > left_.size() - 4) return false;
    id = load<std::uint16_t>(left_, 0);
    whole = left_.substr(0, 4 + size);
    left_.remove_prefix(4 + size);
    return true;
  }
  /// Nothing is left over that is no field.
  bool done() const { return left_.empty(); }

  std::uint16_t id = 0;
  Bytes whole;

 private:
  Bytes left_;
};

}  // namespace

std::string quoted(Bytes name) {
  constexpr std::size_t kShown = 200;  // a name has up to 65,535 bytes; a sentence has not
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "'";
  for (const char c : name.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    else out += c;
  }
  return out + (name.size() > kShown ? "...'" : "'");
}

const char* fault_of(Bytes name) {
  if (name.empty()) return "is empty";
  if (name.front() == '/') return "is absolute";
  if (name.find('\0') != name.npos) return "holds a NUL";
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return "leads out of the archive";
    begin = end + 1;
  }
  return nullptr;
}

std::optional<Bytes> extra_field(Bytes extra, std::uint16_t id) {
  for (Fields f(extra); f.next();)
    if (f.id == id) return f.whole.substr(4);
  return std::nullopt;
}

std::string foreign_fields(Bytes extra) {
  std::string kept;
  for (Fields f(extra); f.next();)
    if (f.id != kZip64Field && f.id != kPaddingField && f.id != kTimestampField) kept += f.whole;
  return kept;
}

Record decode(Bytes bytes, const Member& member) {
  const std::size_t name = member.name.size(), extra = load<std::uint16_t>(bytes, 30);
  Record r;
  r.made_by = load<std::uint16_t>(bytes, 4);
  r.needed = load<std::uint16_t>(bytes, 6);
  r.flags = member.flags;
  r.method = member.method;
  r.dos_time = member.dos_time;
  r.dos_date = member.dos_date;
  r.crc = member.crc;
  r.compressed = member.compressed;
  r.size = member.size;
  r.internal = load<std::uint16_t>(bytes, 36);
  r.external = load<std::uint32_t>(bytes, 38);
  r.header = member.header;
  r.name = member.name;
  r.comment = bytes.substr(kRecordSize + name + extra);
  // What is behind the last whole field says nothing to anybody.
  for (Fields f(bytes.substr(kRecordSize + name, extra)); f.next();)
    if (f.id != kZip64Field) r.extra += f.whole;
  return r;
}

std::string encode(const Record& r) {
  std::string zip64;
  for (const std::uint64_t value : {r.size, r.compressed, r.header})
    if (value >= kFull32) put(zip64, value);
  std::string extra = zip64.empty() ? "" : field(kZip64Field, zip64);
  if (r.extra.size() <= kFull16 - extra.size()) extra += r.extra;

  std::string out;
  out.reserve(kRecordSize + r.name.size() + extra.size() + r.comment.size());
  put(out, kRecordMark);
  for (const std::uint16_t v : {r.made_by, r.needed, r.flags, r.method, r.dos_time, r.dos_date}) put(out, v);
  for (const std::uint32_t v : {r.crc, low32(r.compressed), low32(r.size)}) put(out, v);
  for (const std::size_t v : {r.name.size(), extra.size(), r.comment.size()}) put(out, static_cast<std::uint16_t>(v));
  put(out, std::uint16_t{0});  // disk
  put(out, r.internal);
  put(out, r.external);
  put(out, low32(r.header));
  return out + r.name + extra + r.comment;
}

std::string local_header(const Record& r, Bytes local_extra, std::uint64_t alignment) {
  const bool big = r.size >= kFull32 || r.compressed >= kFull32;
  std::string extra;
  if (big) {
    std::string zip64;
    put(zip64, r.size);
    put(zip64, r.compressed);
    extra = field(kZip64Field, zip64);
  }
  extra += local_extra;
  extra += padding(r.header + kLocalSize + r.name.size() + extra.size(), alignment);

  std::string out;
  put(out, kLocalMark);
  for (const std::uint16_t v : {r.needed, r.flags, r.method, r.dos_time, r.dos_date}) put(out, v);
  put(out, r.crc);
  put(out, big ? static_cast<std::uint32_t>(kFull32) : low32(r.compressed));
  put(out, big ? static_cast<std::uint32_t>(kFull32) : low32(r.size));
  put(out, static_cast<std::uint16_t>(r.name.size()));
  put(out, static_cast<std::uint16_t>(extra.size()));
  return out + r.name + extra;
}

std::string moved_header(Bytes old, std::uint64_t old_at, std::uint64_t at, std::uint64_t alignment) {
  const std::size_t front = kLocalSize + load<std::uint16_t>(old, 26);
  std::string extra;
  Fields f(old.substr(front));
  bool padded = false;
  while (f.next()) {
    padded = padded || f.id == kPaddingField;
    if (f.id == kPaddingField) continue;
    extra += f.whole;
    const std::size_t content = f.whole.size() - 4;
    // torch appends the offset of the header itself where it is over 4 GiB.
    if (f.id == kZip64Field && (content == 8 || content == 24) && load<std::uint64_t>(f.whole, content - 4) == old_at)
      store(extra, extra.size() - 8, at);
  }
  if (!f.done()) return std::string(old);  // behind what is no field no padding would be understood

  const std::uint64_t end = at + front + extra.size();
  if (padded || end % alignment != 0) {
    const std::string pad = padding(end, alignment);
    if (extra.size() + pad.size() <= kFull16) extra += pad;
  }
  std::string out(old.substr(0, 28));
  put(out, static_cast<std::uint16_t>(extra.size()));
  out += old.substr(kLocalSize, front - kLocalSize);
  return out + extra;
}

std::optional<std::time_t> time_of(Bytes extra, std::uint16_t dos_date, std::uint16_t dos_time) {
  const auto stamp = extra_field(extra, kTimestampField);
  if (stamp && stamp->size() >= 5 && (stamp->front() & 1))
    return static_cast<std::int32_t>(load<std::uint32_t>(*stamp, 1));

  std::tm t{};
  t.tm_year = (dos_date >> 9) + 80;
  t.tm_mon = ((dos_date >> 5) & 15) - 1;
  t.tm_mday = dos_date & 31;
  t.tm_hour = dos_time >> 11;
  t.tm_min = (dos_time >> 5) & 63;
  t.tm_sec = (dos_time & 31) * 2;
  // torch writes 0, which is no day of any month.
  if (t.tm_mon < 0 || t.tm_mon > 11 || t.tm_mday == 0 || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 59)
    return std::nullopt;
  return ::timegm(&t);
}

std::string set_time(Record& record, std::time_t time) {
  constexpr std::time_t kFirst = 315532800, kLast = 4354819198;  // 1980-01-01 00:00:00 and 2107-12-31 23:59:58
  const std::time_t dos = std::clamp(time, kFirst, kLast);
  std::tm t{};
  ::gmtime_r(&dos, &t);
  record.dos_date = static_cast<std::uint16_t>(((t.tm_year - 80) << 9) | ((t.tm_mon + 1) << 5) | t.tm_mday);
  record.dos_time = static_cast<std::uint16_t>((t.tm_hour << 11) | (t.tm_min << 5) | (t.tm_sec / 2));

  if (time < INT32_MIN || time > INT32_MAX) return "";
  std::string stamp(1, '\1');
  put(stamp, static_cast<std::uint32_t>(static_cast<std::int32_t>(time)));
  return field(kTimestampField, stamp);
}

std::string trailer(std::uint64_t at, std::uint64_t size, std::uint64_t members, bool zip64, Bytes comment) {
  std::string out;
  if (zip64 || at >= kFull32 || size >= kFull32 || members >= kFull16) {
    put(out, kZip64EndMark);
    put(out, std::uint64_t{kZip64EndSize - 12});
    put(out, std::uint16_t{3 << 8 | 30});  // made by: as torch says
    put(out, std::uint16_t{45});           // needed: the version that brought zip64
    put(out, std::uint64_t{0});            // this disk, and the one of the directory
    put(out, members);                     // on this disk
    put(out, members);
    put(out, size);
    put(out, at);
    put(out, kLocatorMark);
    put(out, std::uint32_t{0});  // disk
    put(out, at + size);
    put(out, std::uint32_t{1});  // disks
  }
  const auto low16 = static_cast<std::uint16_t>(std::min(members, kFull16));
  put(out, kEndMark);
  put(out, std::uint32_t{0});  // this disk, and the one of the directory
  put(out, low16);             // on this disk
  put(out, low16);
  put(out, low32(size));
  put(out, low32(at));
  put(out, static_cast<std::uint16_t>(comment.size()));
  out += comment;
  return out;
}

}  // namespace ckptree::zip
