#include "codec/zarr/store.hpp"

#include <cerrno>
#include <system_error>

#include "ckptree/error.hpp"
#include "codec/contained/contained.hpp"
#include "codec/plain_path.hpp"

namespace ckptree::zarr {
namespace {

class DirectoryStore final : public KeyValues {
 public:
  DirectoryStore(Ptr<Source> source, std::string directory)
      : source_(contained_source(std::move(source))), directory_(std::move(directory)) {}

  std::optional<Recipe> find(const std::string& key) const override {
    if (!is_plain_path(key)) return std::nullopt;
    const std::string path = directory_.empty() ? key : directory_ + "/" + key;
    try {
      const auto open = [source = source_, path] { return source->open(path); };
      const Ptr<File> file = reopening_file(*open(), open);  // there are as many as chunks: open while it is read
      const Fingerprint f = file->fingerprint();
      std::string tag = "f:" + path;
      for (const std::uint64_t n :
           {f.device, f.inode, f.size, static_cast<std::uint64_t>(f.mtime_ns), static_cast<std::uint64_t>(f.ctime_ns)})
        tag += ":" + std::to_string(n);
      return Recipe::extent(file, 0, file->size(), std::move(tag));
    } catch (const std::system_error& e) {
      const int number = e.code().value();
      if (number == ENOENT || number == ENOTDIR || number == ENAMETOOLONG) return std::nullopt;
      throw;
    } catch (const Error& e) {
      if (e.code() == Errc::not_found) return std::nullopt;  // of a source in memory
      throw;
    }
  }

 private:
  const Ptr<Source> source_;
  const std::string directory_;
};

}  // namespace

Ptr<KeyValues> directory_store(Ptr<Source> source, std::string directory) {
  return std::make_shared<DirectoryStore>(std::move(source), std::move(directory));
}

}  // namespace ckptree::zarr
