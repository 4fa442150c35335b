#include "codec/ocdbt/database.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <system_error>

#include "ckptree/error.hpp"
#include "codec/contained/contained.hpp"
#include "codec/ocdbt/envelope.hpp"
#include "codec/ocdbt/manifest.hpp"
#include "codec/ocdbt/node.hpp"
#include "codec/once_cache.hpp"
#include "codec/plain_path.hpp"

namespace ckptree::ocdbt {
namespace {

// A manifest has some hundred bytes for a version, and orbax keeps few.
constexpr std::uint64_t kMaxManifest = std::uint64_t{64} << 20;
// Decoded nodes that are kept, of all databases together. Orbax makes nodes of up to 100 MB.
constexpr std::uint64_t kKeptNodes = std::uint64_t{256} << 20;
// Nodes that do not fit and are looked up in turn are decoded each time. What a database may cost so: some ten seconds
// of a processor in a minute; nothing that anybody wrote comes near it.
constexpr std::uint64_t kMaxDecoded = std::uint64_t{4} << 30;
constexpr auto kPerTime = std::chrono::minutes(1);
constexpr Bytes kManifestName = "manifest.ocdbt";

const OnceCache<const Node>& node_cache() {
  static const OnceCache<const Node> cache(kKeptNodes);
  return cache;
}

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// Bytes that were decoded lately. Safe to use from several threads.
class Work {
 public:
  /// @throws Error Errc::too_large
  void add(std::uint64_t bytes, const std::string& place) const {
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - begin_ > kPerTime) {
      begin_ = now;
      bytes_ = 0;
    }
    bytes_ += bytes;
    if (bytes_ > kMaxDecoded)
      throw Error(Errc::too_large, place + ": nodes of the database had to be decoded again and again, " +
                                       std::to_string(bytes_) + " bytes within a minute");
  }

 private:
  mutable std::mutex mutex_;
  mutable std::chrono::steady_clock::time_point begin_;
  mutable std::uint64_t bytes_ = 0;
};

class Database final : public zarr::KeyValues {
 public:
  Database(Ptr<Source> source, std::string directory)
      : source_(contained_source(std::move(source))), directory_(std::move(directory)) {
    Manifest manifest = manifest_at(std::string(kManifestName));
    if (manifest.numbered) manifest = newest();
    root_ = std::move(manifest.root);
  }

  std::optional<Recipe> find(const std::string& key) const override {
    if (!root_) return std::nullopt;
    Bytes rest = key;
    Location at = root_->at;
    for (unsigned height = root_->height;; --height) {
      const Ptr<Node> node = node_at(at, height);
      const auto found = node->find(rest);
      if (!found) return std::nullopt;
      if (const auto* text = std::get_if<Bytes>(&*found)) return Recipe::literal(std::string(*text));
      if (const auto* value = std::get_if<Location>(&*found)) return value_at(*value);
      const auto& child = std::get<Node::Child>(*found);
      rest.remove_prefix(child.common);
      at = child.at;
    }
  }

 private:
  std::string below(const std::string& path) const { return directory_.empty() ? path : directory_ + "/" + path; }

  Manifest manifest_at(const std::string& name) const {
    const Ptr<File> file = source_->open(below(name));
    const std::uint64_t size = file->size();
    const std::string bytes = Recipe::extent(file, 0, size, "").text(kMaxManifest, file->name());
    return parse_manifest(bytes, file->name());
  }

  /// Of a numbered manifest: the file with the highest number; without one the database is empty.
  Manifest newest() const {
    constexpr Bytes kPrefix = "manifest.";
    std::string last;
    for (const std::string& name : source_->list(directory_)) {
      if (name.size() != kPrefix.size() + 16 || name.compare(0, kPrefix.size(), kPrefix) != 0) continue;
      if (name.find_first_not_of("0123456789abcdef", kPrefix.size()) != std::string::npos) continue;
      last = std::max(last, name);
    }
    if (last.empty()) return {};
    Manifest manifest = manifest_at(last);
    const std::string number = last.substr(kPrefix.size());
    if (manifest.numbered || manifest.generation != std::stoull(number, nullptr, 16))
      throw Error(Errc::corrupt, source_->path() + "/" + below(last) + ": expected the manifest of generation " +
                                     std::to_string(std::stoull(number, nullptr, 16)) + ", got " +
                                     (manifest.numbered ? "none" : std::to_string(manifest.generation)));
    return manifest;
  }

  /// The bytes of a location, checked against its file.
  Recipe extent(const Location& at) const {
    const Ptr<File> file = file_at(at.file.path);
    if (at.offset > file->size() || at.size > file->size() - at.offset)
      throw Error(Errc::corrupt, file->name() + ": " + std::to_string(at.size) + " bytes from " +
                                     std::to_string(at.offset) + " are referred to, the file has " +
                                     std::to_string(file->size()));
    return Recipe::extent(file, at.offset, at.size, "");
  }

  Recipe value_at(const Location& at) const {
    Recipe value = extent(at);
    const Fingerprint f = file_at(at.file.path)->fingerprint();
    value.tag = "ocdbt:" + at.file.path;
    for (const std::uint64_t n :
         {at.offset, at.size, f.device, f.inode, f.size, static_cast<std::uint64_t>(f.mtime_ns)})
      value.tag += ":" + std::to_string(n);
    return value;
  }

  Ptr<Node> node_at(const Location& at, unsigned height) const {
    const std::string key = std::to_string(number_) + ":" + at.file.path + '\0' + std::to_string(at.file.base_size) +
                            ":" + std::to_string(at.offset) + ":" + std::to_string(at.size);
    return node_cache().get({key, height}, [&]() -> OnceCache<const Node>::Made {
      const Recipe encoded = extent(at);
      const std::string place = source_->path() + "/" + below(at.file.path) + ": node at " + std::to_string(at.offset);
      auto node = std::make_shared<const Node>(encoded.text(kMaxNode, place), height, at.file.base(), place);
      const std::uint64_t cost = node->cost();
      decoded_.add(cost, place);
      return {std::move(node), cost};
    });
  }

  /// A file of nodes or values, open while it is read.
  Ptr<File> file_at(const std::string& path) const {
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      const auto found = files_.find(path);
      if (found != files_.end()) return found->second;
    }
    if (!is_plain_path(path))
      throw Error(Errc::corrupt, source_->path() + "/" + below(std::string(kManifestName)) +
                                     ": refers to a path that leads elsewhere: '" + path + "'");
    const auto open = [source = source_, name = below(path)] { return source->open(name); };
    const Ptr<File> file = reopening_file(*present(path, open), open);
    const std::lock_guard<std::mutex> guard(mutex_);
    return files_.emplace(path, file).first->second;
  }

  template <class Open>
  Ptr<File> present(const std::string& path, const Open& open) const {
    try {
      return open();
    } catch (const std::system_error& e) {
      if (e.code().value() != ENOENT && e.code().value() != ENOTDIR) throw;
    } catch (const Error& e) {
      if (e.code() != Errc::not_found) throw;  // of a source in memory
    }
    throw Error(Errc::corrupt,
                source_->path() + "/" + below(path) + ": the database needs this file, and it is missing");
  }

  const Ptr<Source> source_;
  const std::string directory_;
  std::optional<Root> root_;
  const std::uint64_t number_ = next_number();  // in the cache of all
  Work decoded_;
  mutable std::mutex mutex_;  // guards files_; nothing is taken while it is held
  mutable std::map<std::string, Ptr<File>> files_;
};

}  // namespace

Ptr<zarr::KeyValues> open_database(Ptr<Source> source, const std::string& directory) {
  return std::make_shared<Database>(std::move(source), directory);
}

}  // namespace ckptree::ocdbt
