#include "commit/memory_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "ckptree/error.hpp"

namespace ckptree {
namespace {

constexpr std::uint64_t kSector = 512;  // what a device writes whole, if anything
// Of a large write, so many boundaries at its front and as many at its end stand for the others.
constexpr std::size_t kBoundaries = 4;

/// What arrived of a write: bytes [begin, end) of it, and whether the file got its new size all the same.
struct Tear {
  std::uint64_t begin, end;
  bool grown;
};

std::vector<Tear> tears_of(std::uint64_t at, std::uint64_t size) {
  std::vector<Tear> tears{{0, 0, true}};  // the size alone: zeros
  if (size < 2) return tears;
  std::set<std::uint64_t> cuts{1, size / 2, size - 1};
  const std::uint64_t first = (at / kSector + 1) * kSector, end = at + size;
  for (std::size_t i = 0; i < kBoundaries; ++i) {
    if (first + i * kSector < end) cuts.insert(first + i * kSector - at);
    const std::uint64_t last = (end - 1) / kSector;
    if (last >= i && (last - i) * kSector > at) cuts.insert((last - i) * kSector - at);
  }
  for (const std::uint64_t cut : cuts) {
    tears.push_back({0, cut, false});
    tears.push_back({cut, size, true});  // sectors reach the disk in any order
  }
  return tears;
}

void put(std::string& content, std::uint64_t at, std::string_view bytes) {
  if (content.size() < at + bytes.size()) content.resize(at + bytes.size());
  content.replace(at, bytes.size(), bytes);
}

std::string directory_of(const std::string& path) { return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)); }

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

struct MemoryLock final : Disk::Lock {
  MemoryLock(std::set<std::string>& l, std::string p) : locked(l), path(std::move(p)) {}
  ~MemoryLock() override { locked.erase(path); }
  std::set<std::string>& locked;
  std::string path;
};

}  // namespace

MemoryDisk::MemoryDisk() {
  inodes_.emplace_back();
  inodes_[0].is_directory = true;
}

std::optional<MemoryDisk::Number> MemoryDisk::find(const std::string& path) const {
  Number at = 0;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (end > begin) {
      const auto found = names_.find({at, path.substr(begin, end - begin)});
      if (found == names_.end()) return std::nullopt;
      at = found->second;
    }
    begin = end + 1;
  }
  return at;
}

MemoryDisk::Place MemoryDisk::place(const std::string& path) const {
  const auto directory = find(directory_of(path));
  if (!directory || !inodes_[*directory].is_directory) fail(ENOENT, "find the directory of " + path);
  return {*directory, path.substr(path.rfind('/') + 1)};
}

void MemoryDisk::add(const std::string& path, Entry entry) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string directory = path.substr(0, slash);
    if (find(directory)) continue;
    const Place at = place(directory);
    names_[at] = durable_names_[at] = inodes_.size();
    inodes_.emplace_back();
    inodes_.back().is_directory = true;
  }
  const Place at = place(path);
  names_[at] = durable_names_[at] = inodes_.size();
  Inode file;
  file.now = file.durable = std::move(entry);
  file.changed = ++clock_;
  inodes_.push_back(std::move(file));
}

void MemoryDisk::overwrite(const std::string& path, const std::string& content) {
  Inode& file = inode(path);
  file.now.content = file.durable.content = content;
  file.changed = ++clock_;
}

void MemoryDisk::set_links(const std::string& path, std::uint64_t links) { inode(path).links = links; }

template <class EntryOf>
MemoryDisk::Image MemoryDisk::image_of(const Tree& names, const std::vector<Inode>& inodes, const EntryOf& entry_of) {
  Image image;
  std::vector<std::pair<Number, std::string>> directories{{0, ""}};
  while (!directories.empty()) {
    const auto [number, path] = directories.back();
    directories.pop_back();
    for (auto it = names.lower_bound({number, ""}); it != names.end() && it->first.first == number; ++it) {
      const std::string name = path + "/" + it->first.second;
      if (inodes[it->second].is_directory) directories.emplace_back(it->second, name);
      else image[name] = entry_of(it->second);
    }
  }
  return image;
}

MemoryDisk::Image MemoryDisk::seen() const {
  return image_of(names_, inodes_, [&](Number number) { return inodes_[number].now; });
}

/// Files that a name leads to after power loss, for some fates: changes of others are of no interest.
std::set<MemoryDisk::Number> MemoryDisk::reachable() const {
  std::set<Number> numbers;
  for (const auto& name : durable_names_) numbers.insert(name.second);
  for (const Naming& change : pending_names_)
    for (const auto& name : change.names)
      if (name.second) numbers.insert(*name.second);
  return numbers;
}

std::vector<std::size_t> MemoryDisk::fates() const {
  std::vector<std::size_t> all(pending_names_.size(), 2);
  for (const Number number : reachable())
    for (const Change& c : inodes_[number].pending)
      all.push_back(c.kind == Change::Kind::write ? 2 + tears_of(c.at, c.bytes.size()).size() : 2);
  return all;
}

MemoryDisk::Image MemoryDisk::after_power_loss(const std::vector<std::size_t>& choice) const {
  std::size_t next = 0;
  auto names = durable_names_;
  for (const Naming& change : pending_names_) {
    if (choice.at(next++) == 0) continue;
    for (const auto& [at, number] : change.names) {
      if (number) names[at] = *number;
      else names.erase(at);
    }
  }
  std::map<Number, Entry> files;
  for (const Number number : reachable()) {
    Entry entry = inodes_[number].durable;
    for (const Change& c : inodes_[number].pending) {
      const std::size_t fate = choice.at(next++);
      if (fate == 0) continue;
      if (c.kind == Change::Kind::truncate) {
        entry.content.resize(c.at);
      } else if (c.kind == Change::Kind::attributes) {
        entry.attributes = c.bytes;
      } else if (fate == 1) {
        put(entry.content, c.at, c.bytes);
      } else {
        const Tear tear = tears_of(c.at, c.bytes.size()).at(fate - 2);
        if (tear.grown) entry.content.resize(std::max<std::size_t>(entry.content.size(), c.at + c.bytes.size()));
        if (tear.end > tear.begin)
          put(entry.content, c.at + tear.begin, std::string_view(c.bytes).substr(tear.begin, tear.end - tear.begin));
      }
    }
    files[number] = std::move(entry);
  }
  return image_of(names, inodes_, [&](Number number) { return files.at(number); });
}

MemoryDisk::Inode& MemoryDisk::inode(const std::string& path) {
  const auto found = find(path);
  if (!found) fail(ENOENT, "find " + path);
  return inodes_[*found];
}

const MemoryDisk::Inode& MemoryDisk::inode(const std::string& path) const {
  return const_cast<MemoryDisk*>(this)->inode(path);
}

void MemoryDisk::begin() {
  if (before_change) before_change(changes_);
}

void MemoryDisk::end() {
  ++changes_;
  if (after_change) after_change();
}

void MemoryDisk::change(Inode& file, Change what) {
  if (what.kind == Change::Kind::write) put(file.now.content, what.at, what.bytes);
  else if (what.kind == Change::Kind::truncate) file.now.content.resize(what.at);
  else file.now.attributes = what.bytes;
  file.changed = ++clock_;
  file.pending.push_back(std::move(what));
}

void MemoryDisk::change_names(Naming what) {
  for (const auto& [at, number] : what.names) {
    if (number) names_[at] = *number;
    else names_.erase(at);
  }
  pending_names_.push_back(std::move(what));
}

Ptr<File> MemoryDisk::open(const std::string& path) {
  if (is_directory(path)) throw Error(Errc::not_a_checkpoint, path + ": expected a regular file");
  return memory_file(path, inode(path).now.content, fingerprint(path));
}

Fingerprint MemoryDisk::fingerprint(const std::string& path) {
  const Inode& file = inode(path);
  return {1, *find(path) + 1, file.now.content.size(), file.changed, file.changed};
}

std::uint64_t MemoryDisk::links(const std::string& path) { return inode(path).links; }

std::unique_ptr<Disk::Lock> MemoryDisk::lock(const std::string& path) {
  inode(path);
  if (!locked_.insert(path).second) throw Error(Errc::busy, path + ": is locked");
  return std::make_unique<MemoryLock>(locked_, path);
}

void MemoryDisk::clone(const std::string& from, const std::string& path, std::uint64_t size) {
  begin();
  const std::string content = from.empty() ? "" : inode(from).now.content.substr(0, size);
  make(path, false);
  end();  // the name alone, and then the bytes
  begin();
  if (!content.empty()) change(inodes_.back(), {Change::Kind::write, 0, content});
  end();
}

MemoryDisk::Number MemoryDisk::make(const std::string& path, bool is_directory) {
  if (find(path)) fail(EEXIST, "create " + path);
  const Place at = place(path);
  Inode file;
  file.now.attributes = file.durable.attributes = "fresh";
  file.is_directory = is_directory;
  file.changed = ++clock_;
  inodes_.push_back(std::move(file));
  change_names({at.first, {{at, inodes_.size() - 1}}});
  return inodes_.size() - 1;
}

void MemoryDisk::make_dir(const std::string& path) {
  begin();
  make(path, true);
  end();
}

bool MemoryDisk::link(const std::string& from, const std::string& path, const Fingerprint& seen) {
  if (fingerprint(from).inode != seen.inode) return false;
  begin();
  if (find(path)) fail(EEXIST, "link " + path);
  const Place at = place(path);
  change_names({at.first, {{at, *find(from)}}});
  end();
  return true;
}

void MemoryDisk::write(const std::string& path, std::uint64_t at, const Recipe& content) {
  begin();
  std::string bytes(content.size(), '\0');
  content.read(0, Buffer(bytes.data(), bytes.size()));
  change(inode(path), {Change::Kind::write, at, std::move(bytes)});
  end();
}

void MemoryDisk::truncate(const std::string& path, std::uint64_t size) {
  begin();
  change(inode(path), {Change::Kind::truncate, size, ""});
  end();
}

void MemoryDisk::copy_attributes(const std::string& from, const std::string& path) {
  begin();
  change(inode(path), {Change::Kind::attributes, 0, inode(from).now.attributes});
  end();
}

void MemoryDisk::sync(const std::string& path) {
  begin();
  Inode& file = inode(path);
  file.durable = file.now;
  file.pending.clear();
  end();
}

void MemoryDisk::rename(const std::string& from, const std::string& path) {
  begin();
  const Number number = *find(from);
  const Place to = place(path);
  change_names({to.first, {{to, number}, {place(from), std::nullopt}}});
  end();
}

bool MemoryDisk::exchange(const std::string& from, const std::string& path) {
  begin();
  const Place one = place(from), other = place(path);
  const Number moved = *find(from), back = *find(path);
  change_names({other.first, {{other, moved}, {one, back}}});
  end();
  return true;
}

void MemoryDisk::set_mtime(const std::string& path, std::int64_t nanoseconds) {
  begin();
  inode(path).changed = nanoseconds;
  end();
}

/// Names in other directories stay pending.
void MemoryDisk::sync_dir(const std::string& path) {
  begin();
  std::vector<Naming> others;
  const Number synced = find(path).value_or(0);
  for (const Naming& change : pending_names_) {
    if (change.directory != synced) {
      others.push_back(change);
      continue;
    }
    for (const auto& [at, number] : change.names) {
      if (number) durable_names_[at] = *number;
      else durable_names_.erase(at);
    }
  }
  pending_names_ = std::move(others);
  end();
}

void MemoryDisk::remove(const std::string& path) {
  begin();
  if (find(path)) {
    const Place at = place(path);
    change_names({at.first, {{at, std::nullopt}}});
  }
  end();
}

void MemoryDisk::remove_tree(const std::string& path) {
  if (!find(path)) return;
  if (is_directory(path))
    for (const std::string& name : list(path)) remove_tree(path + "/" + name);
  remove(path);
}

Names MemoryDisk::list(const std::string& path) {
  const auto directory = find(path);
  if (!directory) fail(ENOENT, "list " + path);
  if (!inodes_[*directory].is_directory) fail(ENOTDIR, "list " + path);
  Names names;
  for (auto it = names_.lower_bound({*directory, ""}); it != names_.end() && it->first.first == *directory; ++it)
    names.push_back(it->first.second);
  return names;
}

}  // namespace ckptree
