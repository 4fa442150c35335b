#include "commit/store.hpp"

#include <mutex>

#include "ckptree/error.hpp"
#include "commit/execute.hpp"

namespace ckptree {
namespace {

/// A checkpoint of one file, opened once: whatever takes its name meanwhile, model and fingerprint are of one state.
class PinnedSource final : public Source {
 public:
  PinnedSource(std::string path, Ptr<File> file) : path_(std::move(path)), file_(std::move(file)) {}

  const std::string& path() const override { return path_; }
  bool is_directory() const override { return false; }
  Names list(const std::string&) const override { throw Error(Errc::not_directory, path_ + ": not a directory"); }
  Ptr<File> open(const std::string& relative) const override {
    if (!relative.empty()) throw Error(Errc::not_directory, path_ + ": not a directory, so without " + relative);
    return file_;
  }

 private:
  std::string path_;
  Ptr<File> file_;
};

class Store final : public Checkpoint {
 public:
  Store(const Format& format, std::string path, Disk& disk, StoreOptions options)
      : format_(format), path_(std::move(path)), disk_(disk), options_(std::move(options)) {}

  std::string kind() const override { return format_.kind(); }
  std::string path() const override { return path_; }
  std::string layout(const Model& model) const override { return format_.layout(model); }

  std::string strategy() const override {
    try {
      check_writable();
    } catch (const std::exception&) {
      return "read-only";
    }
    try {
      return shares_blocks() ? "clone (reflink)" : "clone (copy)";
    } catch (const std::exception&) {  // a full disk cannot be tried; what it holds can be told
      return "clone (copy)";
    }
  }

  Snapshot open() const override { return open_generation(0); }
  Fingerprint look() const override { return disk_.fingerprint(path_); }

  Snapshot commit(const Snapshot& base, const Model& edited, const Stamp& stamp) override {
    const ChangeSet changes = format_.seal(*base.model, edited, stamp);
    if (changes.empty()) return base;
    check_writable();
    check_links();
    const Ptr<File> file = disk_.open(path_);
    // Only execute, under the lock, can tell for certain; but a plan is made of what was read.
    if (file->fingerprint() != base.seen)
      throw Error(Errc::stale, path_ + ": another program changed it after it was read; nothing was written");
    const auto source = std::make_shared<PinnedSource>(path_, file);
    Medium medium;
    medium.reflink = shares_blocks();
    medium.temporary = temporary_name(path_);
    std::string problem;
    try {
      execute(format_.plan(*base.model, *source, changes, medium), base.seen, disk_);
    } catch (const NotDurable& e) {
      problem = e.what();
    }
    try {
      Snapshot fresh = open_generation(base.generation + 1);
      fresh.problem = problem;
      return fresh;
    } catch (...) {
      const Failure failure = current_failure();
      throw Error(Errc::io, path_ + ": the commit is in place, but what it made could not be opened: " + failure.text);
    }
  }

 private:
  Snapshot open_generation(std::uint64_t generation) const {
    const Ptr<File> file = disk_.open(path_);
    const auto source = std::make_shared<PinnedSource>(path_, file);
    return {generation, format_.open(source, options_.view), file->fingerprint()};
  }

  void check_writable() const {
    if (options_.view.read_only) throw Error(Errc::read_only, path_ + ": is mounted read-only");
    disk_.check_replaceable(path_);
  }

  void check_links() const {
    const std::uint64_t links = disk_.links(path_);
    if (links > 1 && !options_.split_links)
      throw Error(Errc::hard_links,
                  path_ + ": has " + std::to_string(links) +
                      " hard links, and a commit would leave the others with the old checkpoint; mount "
                      "it with -o links=split to allow that");
  }

  bool shares_blocks() const {
    std::call_once(tried_, [&] { reflink_ = disk_.can_reflink(path_); });
    return reflink_;
  }

  const Format& format_;
  const std::string path_;
  Disk& disk_;
  const StoreOptions options_;
  mutable std::once_flag tried_;
  mutable bool reflink_ = false;  // written once, under tried_
};

}  // namespace

std::shared_ptr<Checkpoint> make_store(const Format& format, const std::string& path, Disk& disk,
                                       StoreOptions options) {
  return std::make_shared<Store>(format, disk.resolve(path), disk, std::move(options));
}

}  // namespace ckptree
