// Members of the archive as bytes: their tags, their comparison, and the names they have in .ckptree/raw/.

#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "formats/torch/archive.hpp"

namespace ckptree::torch {
namespace {

constexpr std::size_t kBuffer = 256 << 10;
// As on every filesystem this is used beside.
constexpr std::size_t kMaxFileName = 255, kMaxPath = 4096;
// Sentences about names; a hostile archive has thousands.
constexpr std::size_t kMaxWarnings = 10;

std::string tag_from(std::uint32_t crc, std::uint64_t size) {
  char text[48];
  std::snprintf(text, sizeof text, "crc:%08x:%llu", crc, static_cast<unsigned long long>(size));
  return text;
}

/// Why a member's name is no path; empty when it is one. A trailing '/' makes it a directory.
std::string trouble_with(Bytes name) {
  if (name.empty()) return "it is empty";
  if (name.size() >= kMaxPath) return "it has " + std::to_string(name.size()) + " bytes";
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t slash = std::min(name.find('/', at), name.size());
    const Bytes part = name.substr(at, slash - at);
    if (part.empty() || part == "." || part == "..") return "it has the part '" + std::string(part) + "'";
    if (part.find('\0') != Bytes::npos) return "it has a NUL";
    if (part.size() > kMaxFileName) return "it has a part of " + std::to_string(part.size()) + " bytes";
    at = slash + 1;
  }
  return {};
}

}  // namespace

Recipe member_content(const zip::Directory& zip, const zip::Member& member) {
  Recipe content = zip.content(member);
  if (member.crc != 0) content.tag = tag_from(member.crc, member.size);
  return content;
}

std::string member_tag(const Recipe& content) {
  std::string buffer(kBuffer, '\0');
  uLong crc = ::crc32(0, nullptr, 0);
  std::uint64_t at = 0;
  while (const std::size_t n = content.read(at, Buffer(buffer.data(), buffer.size()))) {
    crc = ::crc32(crc, reinterpret_cast<const Bytef*>(buffer.data()), static_cast<uInt>(n));
    at += n;
  }
  return tag_from(static_cast<std::uint32_t>(crc), at);
}

bool same_bytes(const Recipe& one, const Recipe& two) {
  if (one.size() != two.size()) return false;
  const auto is_member_tag = [](const std::string& tag) { return tag.compare(0, 4, "crc:") == 0; };
  // Unequal CRCs are proof; equal ones are not.
  if (is_member_tag(one.tag) && is_member_tag(two.tag) && one.tag != two.tag) return false;
  std::string a(kBuffer, '\0'), b(kBuffer, '\0');
  for (std::uint64_t at = 0; at < one.size();) {
    const std::size_t n = one.read(at, Buffer(a.data(), a.size()));
    if (two.read(at, Buffer(b.data(), b.size())) != n || std::memcmp(a.data(), b.data(), n) != 0) return false;
    at += n;
  }
  return true;
}

bool PathOrder::operator()(const std::string& one, const std::string& two) const noexcept {
  return std::lexicographical_compare(one.begin(), one.end(), two.begin(), two.end(), [](char a, char b) {
    return a != b && b != '/' && (a == '/' || static_cast<unsigned char>(a) < static_cast<unsigned char>(b));
  });
}

const RawNames& Archive::raw() const {
  const auto found = raw_.get([&] {
    auto names = std::make_shared<RawNames>();
    std::size_t warned = 0;
    const auto warn = [&](const std::string& name, const std::string& why) {
      if (++warned > kMaxWarnings) return;
      names->warnings.push_back("member '" + file_name_of(name).text + "' is not in .ckptree/raw: " + why);
    };
    for (const zip::Member& m : zip().members()) {
      const std::string trouble = trouble_with(m.name);
      if (!trouble.empty()) {
        warn(m.name, "its name is no path: " + trouble);
      } else if (m.name.back() == '/') {
        names->members.emplace(m.name.substr(0, m.name.size() - 1), nullptr);
      } else {
        names->members[m.name] = &m;
      }
    }
    std::string file;  // the last one seen; names below it follow at once
    for (auto it = names->members.begin(); it != names->members.end();) {
      const std::string& name = it->first;
      if (!file.empty() && name.size() > file.size() && name[file.size()] == '/' &&
          name.compare(0, file.size(), file) == 0) {
        warn(name, "member '" + file + "' stands where its directory would be");
        it = names->members.erase(it);
        continue;
      }
      if (it->second) file = name;
      ++it;
    }
    if (warned > kMaxWarnings)
      names->warnings.push_back(std::to_string(warned - kMaxWarnings) + " more members are not in .ckptree/raw");
    return names;
  });
  return *found;
}

}  // namespace ckptree::torch
