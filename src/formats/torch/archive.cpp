#include "formats/torch/archive.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "ckptree/error.hpp"
#include "ckptree/name.hpp"
#include "codec/plain_path.hpp"

namespace ckptree::torch {
namespace {

constexpr char kDefaultName[] = "anemoi.json";
constexpr char kOldName[] = "ai-models.json";

// A pickle of protocol 2 with the number torch.save began its files with before they were zips.
constexpr Bytes kLegacyMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14);
constexpr Bytes kZipMagic("PK\x03\x04", 4);
constexpr std::size_t kTarMagicAt = 257;
// A name in a tar's first header; a zip's first name is behind 30 bytes of local header.
constexpr std::size_t kTarName = 100, kLocalHeader = 30;

std::string first_bytes(const File& file) {
  std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(512, file.size())), '\0');
  file.read(0, Buffer(head.data(), head.size()));
  return head;
}

bool begins_with(Bytes text, Bytes with) { return text.substr(0, with.size()) == with; }

/// The archives of torch 0.1: tar, of four members.
bool is_old_tar(Bytes head) {
  if (head.size() < 512 || head.substr(kTarMagicAt, 5) != "ustar") return false;
  Bytes name = head.substr(0, kTarName);
  name = name.substr(0, name.find('\0'));
  if (begins_with(name, "./")) name.remove_prefix(2);
  return name == "sys_info" || name == "pickle" || name == "storages" || name == "tensors";
}

/// Whether the first member of what begins like a zip has a name that torch.save gives.
bool begins_like_torch(Bytes head) {
  if (head.size() <= kLocalHeader) return false;
  const std::size_t size = static_cast<unsigned char>(head[26]) + 256u * static_cast<unsigned char>(head[27]);
  const Bytes name = head.substr(kLocalHeader, size);
  const std::size_t slash = name.find('/');
  if (slash == Bytes::npos) return false;
  const Bytes record = name.substr(slash + 1);
  const Bytes first[] = {
      "data.pkl", "version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"};
  return begins_with(record, "data/") || std::find(std::begin(first), std::end(first), record) != std::end(first);
}

std::string top_of(Bytes name) {
  const std::size_t slash = name.find('/');
  return slash == Bytes::npos ? std::string() : std::string(name.substr(0, slash));
}

Bytes base_of(Bytes name) { return name.substr(name.rfind('/') + 1); }  // npos + 1 is 0

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower_case(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), lower);
  return name;
}

bool is_storage(std::string_view name) {
  const std::size_t slash = name.find('/');
  return slash != std::string_view::npos && begins_with(name.substr(slash + 1), "data/");
}

/// An option that becomes part of a member's name.
void check_option(Bytes value, const char* option) {
  if (!is_plain_path(value))
    throw Error(Errc::invalid,
                std::string("-o ") + option + "=" + std::string(value) + ": expected a name in the archive");
}

}  // namespace

Archive::Archive(const Source& source, const ViewOptions& options) : folder_(options.metadata_folder) {
  check_option(folder_, "folder");
  if (!options.metadata_name.empty()) {
    check_option(options.metadata_name, "name");
    if (options.metadata_name.find('/') != std::string::npos)
      throw Error(Errc::invalid,
                  "-o name=" + options.metadata_name + ": expected the last part of a member's name, without '/'");
  }
  if (source.is_directory())
    throw Error(Errc::not_a_checkpoint, source.path() + ": a directory, not a file of torch.save");
  const Ptr<File> file = source.open("");
  const std::string head = first_bytes(*file);
  if (begins_with(head, kLegacyMagic))
    throw Error(Errc::unsupported, file->name() + ": is a legacy (non-zip) torch file; load and torch.save it again");
  if (is_old_tar(head))
    throw Error(Errc::unsupported,
                file->name() + ": is a tar archive of a very old torch; load and torch.save it again");
  if (!begins_with(head, kZipMagic))
    throw Error(Errc::not_a_checkpoint, file->name() + ": does not begin like a zip archive, which torch.save writes");
  directory_ = zip::Directory::read(file);
  find_root();
  find_metadata(options);
  read_alignment();
  rules_.is_fixed = is_storage;
}

void Archive::find_root() {
  const auto& members = zip().members();
  if (members.empty()) throw Error(Errc::not_a_checkpoint, name() + ": a zip archive without members");
  std::set<std::string> tops;
  for (const zip::Member& m : members) tops.insert(top_of(m.name));
  tops_.assign(tops.begin(), tops.end());

  // torch takes the directory of the first record; where that has no data.pkl, the one that has.
  root_ = top_of(members.front().name);
  if (has("constants.pkl"))
    throw Error(Errc::unsupported,
                name() + ": is TorchScript (it has " + root_ + "/constants.pkl), not a file of torch.save");
  if (!has("data.pkl") && (has(".data/extern_modules") || has(".data/python_version")))
    throw Error(Errc::unsupported,
                name() + ": is a torch.package (it has " + root_ + "/.data), not a file of torch.save");
  if (!has("data.pkl")) {
    const bool versioned = has("version") || has(".data/version");
    const std::string first = root_;
    for (const std::string& top : tops_)
      if (zip().find(top + "/data.pkl")) root_ = top;
    if (!has("data.pkl") && versioned)
      throw Error(Errc::corrupt,
                  name() + ": " + first + "/data.pkl is missing: a torch.save that failed halfway leaves such a file");
    if (!has("data.pkl"))
      throw Error(Errc::not_a_checkpoint, name() + ": a zip archive without data.pkl, which torch.save writes");
  }
  if (zip().find_all(root_ + "/data.pkl").size() > 1)
    throw Error(Errc::corrupt, name() + ": has " + std::to_string(zip().find_all(root_ + "/data.pkl").size()) +
                                   " members " + root_ + "/data.pkl, expected one");
  if (!has("version") && !has(".data/version"))
    throw Error(Errc::corrupt, name() + ": " + root_ + "/version is missing, without which torch does not load it");
}

void Archive::find_metadata(const ViewOptions& options) {
  new_name_ = options.metadata_name.empty() ? kDefaultName : options.metadata_name;
  const auto look_for = [&](Bytes wanted) {
    for (const zip::Member& m : zip().members())
      if (base_of(m.name) == wanted) metadata_.push_back(m.name);
  };
  look_for(new_name_);
  if (!metadata_.empty() || !options.metadata_name.empty()) return;
  look_for(kOldName);
  old_name_ = !metadata_.empty();
}

void Archive::read_alignment() {
  // Written by torch 2.7 and later: the alignment that was configured. 32,768 is the most a zip can pad for.
  const zip::Member* record = zip().find(root_ + "/.storage_alignment");
  if (!record || !record->stored() || record->size > 8) return;
  try {
    const std::string text = zip().content(*record).text(8, name());
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool power_of_two = value > 0 && (value & (value - 1)) == 0;
    if (error == std::errc() && end == text.data() + text.size() && power_of_two && value <= 32768)
      rules_.alignment = value;
  } catch (const Error&) {
    // A damaged record: what torch would write by default.
  }
}

bool Archive::is_big_endian() const {
  return *big_endian_.get([&] {
    constexpr std::uint64_t kLongest = 16;
    const zip::Member* record = zip().find(root_ + "/byteorder");
    if (!record) return std::make_shared<const bool>(false);  // torch before 2.1 wrote it nowhere
    const std::string place = name() + ": " + record->name;
    const std::string order = zip().content(*record).text(kLongest, place);
    if (order != "little" && order != "big")
      throw Error(Errc::corrupt, place + ": expected 'little' or 'big', got '" + file_name_of(order).text + "'");
    return std::make_shared<const bool>(order == "big");
  });
}

std::timespec Archive::mtime() const {
  constexpr std::int64_t kSecond = 1000000000;
  const std::int64_t ns = zip().file()->fingerprint().mtime_ns;
  std::timespec t{};
  t.tv_sec = static_cast<std::time_t>(ns / kSecond);
  t.tv_nsec = static_cast<long>(ns % kSecond);
  return t;
}

std::string Archive::new_folder() const {
  if (tops_.size() == 1 && !tops_.front().empty()) return tops_.front() + "/" + folder_;
  std::string found;
  for (const std::string& top : tops_)
    found += (found.empty() ? "" : ", ") + (top.empty() ? "members at the top" : "'" + top + "'");
  throw Error(Errc::ambiguous, name() + ": new metadata needs one top directory in the archive, found " + found);
}

bool Archive::has_but_for_case(const std::string& wanted) const {
  const auto all = lower_case_.get([&] {
    auto names = std::make_shared<std::vector<std::string>>();
    for (const zip::Member& m : zip().members()) names->push_back(lower_case(m.name));
    std::sort(names->begin(), names->end());
    return names;
  });
  return std::binary_search(all->begin(), all->end(), lower_case(wanted));
}

std::vector<std::string> Archive::warnings() const {
  std::vector<std::string> all;
  if (tops_.size() > 1)
    all.push_back("the archive has " + std::to_string(tops_.size()) + " top directories: torch does not load it");
  if (old_name_)
    all.push_back(metadata_.front() + ": the metadata has its old name; anemoi writes " + kDefaultName + " now");
  if (metadata_.size() > 1)
    all.push_back("the archive has " + std::to_string(metadata_.size()) +
                  " metadata members; metadata.path lists them");
  const RawNames& names = raw();
  all.insert(all.end(), names.warnings.begin(), names.warnings.end());
  return all;
}

bool is_of_torch(const Source& source) {
  if (source.is_directory()) return false;
  const Ptr<File> file = source.open("");
  const std::string head = first_bytes(*file);
  if (begins_with(head, kLegacyMagic) || is_old_tar(head)) return true;
  if (!begins_with(head, kZipMagic)) return false;
  try {
    Archive(source, ViewOptions{});
    return true;
  } catch (const Error& e) {
    if (e.code() == Errc::unsupported) return true;
    return e.code() == Errc::corrupt && begins_like_torch(head);
  }
}

}  // namespace ckptree::torch
