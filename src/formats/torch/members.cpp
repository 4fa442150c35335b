// Members of the archive as bytes: their tags, their comparison, and the names they have in .ckptree/raw/.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>

#include "ckptree/error.hpp"
#include "codec/zip/record.hpp"
#include "formats/torch/archive.hpp"

namespace ckptree::torch {
namespace {

constexpr std::size_t kBuffer = 256 << 10;
// A tenth of a second at the speed of CRC-32. Who maps a larger array wants a page of it, not all of it read first.
constexpr std::uint64_t kMaxChecked = 64 << 20;
// As on every filesystem this is used beside.
constexpr std::size_t kMaxFileName = 255, kMaxPath = 4096;
// Sentences about names; a hostile archive has thousands.
constexpr std::size_t kMaxWarnings = 10;

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

/// A stored member, compared with its CRC before the first byte of it is given away.
class Checked final : public Computed {
 public:
  Checked(Ptr<Archive> archive, const zip::Member& member, Recipe content)
      : archive_(std::move(archive)), member_(member), content_(std::move(content)) {}

  void read(std::uint64_t at, Buffer into) const override {
    archive_->check(member_, content_);
    content_.read(at, into);
  }

 private:
  const Ptr<Archive> archive_;
  const zip::Member& member_;  // of the archive
  const Recipe content_;
};

}  // namespace

void Archive::check(const zip::Member& member, const Recipe& content) const {
  const std::lock_guard<std::mutex> guard(checking_);
  if (checked_.count(&member)) return;
  const std::uint32_t crc = zip::crc_of(content);
  if (crc != member.crc) {
    char text[80];
    std::snprintf(text, sizeof text, "the CRC-32 of its bytes is %08x, the directory says %08x", crc, member.crc);
    throw Error(Errc::corrupt, name() + ": member " + zip::quoted(member.name) + ": " + text);
  }
  checked_.insert(&member);
}

Recipe Archive::pickle_content() const {
  const zip::Member& member = pickle_member();
  Recipe content = zip().content(member);
  if (member.stored() && member.crc != 0) check(member, content);
  return content;
}

Recipe checked_content(const Ptr<Archive>& archive, const zip::Member& member) {
  Recipe content = archive->zip().content(member);
  // libzip compares what it inflates. 0 is what torch writes when it is told not to compute any.
  if (!member.stored() || member.crc == 0 || member.size > kMaxChecked) return content;
  Recipe checked;
  checked.tag = content.tag;
  const Ptr<Computed> piece = std::make_shared<Checked>(archive, member, std::move(content));
  if (member.size > 0) checked.pieces.push_back({piece, member.size});
  return checked;
}

std::string member_tag(const Recipe& content) { return zip::tag_from(zip::crc_of(content), content.size()); }

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
