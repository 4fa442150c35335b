#pragma once

#include <zlib.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "codec/zip/directory.hpp"

/// Archives byte for byte as torch.save and Python's zipfile write them; made here, not by the code under test.
namespace ckptree_test {

using namespace ckptree;

inline std::string le(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i, value >>= 8) out += static_cast<char>(value & 0xFF);
  return out;
}

inline std::uint32_t crc(const std::string& data) {
  return static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size())));
}

inline std::string deflated(const std::string& data) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, static_cast<uLong>(data.size())), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  z.avail_in = static_cast<uInt>(data.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

/// A record of the central directory; change a field to make it lie.
struct Entry {
  std::uint16_t made = 0, needed = 0, flags = 0, method = 0, time = 0, date = 0;
  std::uint32_t crc = 0;
  std::uint64_t compressed = 0, size = 0, header = 0;
  std::uint16_t disk = 0;
  std::uint32_t external = 0;
  std::string name, extra, comment;

  std::string bytes() const {
    std::string zip64;
    for (const std::uint64_t v : {size, compressed, header})
      if (v >= 0xFFFFFFFF) zip64 += le(v, 8);
    if (!zip64.empty()) zip64 = le(1, 2) + le(zip64.size(), 2) + zip64;
    const auto low = [](std::uint64_t v) { return le(v < 0xFFFFFFFF ? v : 0xFFFFFFFF, 4); };
    return "PK\1\2" + le(made, 2) + le(needed, 2) + le(flags, 2) + le(method, 2) + le(time, 2) + le(date, 2) +
           le(crc, 4) + low(compressed) + low(size) + le(name.size(), 2) + le(zip64.size() + extra.size(), 2) +
           le(comment.size(), 2) + le(disk, 2) + le(0, 2) + le(external, 4) + low(header) + name + zip64 + extra +
           comment;
  }
};

class Archive {
 public:
  std::vector<Entry> entries;
  std::string body;
  bool zip64 = true;
  std::string comment;

  /// As torch's writer: sizes only in the directory and the descriptor, data at a multiple of 64.
  Archive& torch(const std::string& name, const std::string& data, bool with_crc = true) {
    Entry e;
    e.flags = data.empty() ? 0x0800 : 0x0808;
    e.crc = with_crc ? crc(data) : 0;
    e.compressed = e.size = data.size();
    e.header = body.size();
    e.name = name;
    const std::size_t end = body.size() + 30 + name.size() + 4;
    const std::size_t pad = (64 - end % 64) % 64;
    body += "PK\3\4" + le(0, 2) + le(e.flags, 2) + le(0, 2) + le(0, 4) + le(0, 12) + le(name.size(), 2) +
            le(4 + pad, 2) + name + "FB" + le(pad, 2) + std::string(pad, 'Z') + data;
    if (!data.empty()) body += "PK\7\10" + le(e.crc, 4) + le(e.size, 4) + le(e.size, 4);
    entries.push_back(e);
    return *this;
  }

  /// As Python's zipfile appends a member.
  Archive& python(const std::string& name, const std::string& data, bool deflate = false) {
    Entry e;
    const std::string stored = deflate ? deflated(data) : data;
    e.made = 3 << 8 | 20;
    e.needed = 20;
    e.method = deflate ? 8 : 0;
    e.date = (2024 - 1980) << 9 | 2 << 5 | 29;
    e.time = 12 << 11 | 34 << 5 | 56 / 2;
    e.crc = crc(data);
    e.compressed = stored.size();
    e.size = data.size();
    e.header = body.size();
    e.external = 0600u << 16;
    e.name = name;
    body += "PK\3\4" + le(20, 2) + le(0, 2) + le(e.method, 2) + le(e.time, 2) + le(e.date, 2) + le(e.crc, 4) +
            le(e.compressed, 4) + le(e.size, 4) + le(name.size(), 2) + le(0, 2) + name + stored;
    entries.push_back(e);
    return *this;
  }

  std::string directory() const {
    std::string out;
    for (const Entry& e : entries) out += e.bytes();
    return out;
  }

  static std::string end64(std::uint64_t members, std::uint64_t size, std::uint64_t at) {
    return "PK\6\6" + le(44, 8) + le(3 << 8 | 30, 2) + le(45, 2) + le(0, 8) + le(members, 8) + le(members, 8) +
           le(size, 8) + le(at, 8) + "PK\6\7" + le(0, 4) + le(at + size, 8) + le(1, 4);
  }
  static std::string end(std::uint64_t members, std::uint64_t size, std::uint64_t at, const std::string& comment = "") {
    const auto low = [](std::uint64_t v, std::uint64_t full, int n) { return le(v < full ? v : full, n); };
    return "PK\5\6" + le(0, 4) + low(members, 0xFFFF, 2) + low(members, 0xFFFF, 2) + low(size, 0xFFFFFFFF, 4) +
           low(at, 0xFFFFFFFF, 4) + le(comment.size(), 2) + comment;
  }

  std::string trailer(std::uint64_t at) const {
    const std::uint64_t n = entries.size(), size = directory().size();
    return (zip64 ? end64(n, size, at) : "") + end(n, size, at, comment);
  }
  std::string bytes() const { return body + directory() + trailer(body.size()); }
};

/// What torch 2.13 writes for a small model, and save_metadata after it.
inline Archive checkpoint() {
  Archive a;
  a.torch("m/data.pkl", std::string(300, 'p')).torch("m/.format_version", "1").torch("m/.storage_alignment", "64");
  a.torch("m/byteorder", "little").torch("m/data/0", std::string(4000, '0')).torch("m/data/1", "");
  a.torch("m/data/2", std::string(130, '2'))
      .torch("m/version", "3\n")
      .torch("m/.data/serialization_id", std::string(40, '7'));
  return a;
}

inline std::shared_ptr<const zip::Directory> open(std::string bytes, Fingerprint fingerprint = {}) {
  return zip::Directory::read(memory_file("m.pt", std::move(bytes), fingerprint));
}

/// The code of the Error that `body` throws, or nothing.
inline std::optional<Errc> code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.code();
  }
  return std::nullopt;
}

inline std::string text_of(const zip::Directory& d, const std::string& name) {
  return d.content(*d.find(name)).text(1 << 30, name);
}

/// A file that is zeros but for a few extents: archives over 4 GiB without the memory.
class Sparse final : public File {
 public:
  Sparse(std::map<std::uint64_t, std::string> extents, std::uint64_t size)
      : extents_(std::move(extents)), size_(size) {}
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return size_; }
  Fingerprint fingerprint() const override { return {}; }
  void read(std::uint64_t at, Buffer into) const override {
    std::fill(into.begin(), into.end(), '\0');
    for (const auto& [begin, bytes] : extents_)
      for (std::size_t i = 0; i < bytes.size(); ++i)
        if (begin + i >= at && begin + i - at < into.size()) into[begin + i - at] = bytes[i];
  }

 private:
  std::string name_ = "big.pt";
  std::map<std::uint64_t, std::string> extents_;
  std::uint64_t size_;
};

}  // namespace ckptree_test
