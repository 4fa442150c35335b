#include "commit/store.hpp"

#include <algorithm>
#include <mutex>
#include <system_error>

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

/// A checkpoint of many files: each is opened when it is asked for. What of them is of one state, the format knows.
class DirectorySource final : public Source {
 public:
  DirectorySource(std::string path, Disk& disk, bool leaves) : path_(std::move(path)), disk_(disk), leaves_(leaves) {}

  const std::string& path() const override { return path_; }
  bool is_directory() const override { return true; }
  Names list(const std::string& relative) const override {
    return leaves_ ? disk_.list(below(relative)) : disk_.list_below(path_, relative);
  }
  Ptr<File> open(const std::string& relative) const override {
    return leaves_ ? disk_.open(below(relative)) : disk_.open_below(path_, relative);
  }

 private:
  std::string below(const std::string& relative) const { return relative.empty() ? path_ : path_ + "/" + relative; }

  const std::string path_;
  Disk& disk_;
  const bool leaves_;  // through symbolic links
};

/// The file whose replacement commits. Where a format follows links, this one too: a link stays one.
std::string target_of(const Format& format, const std::string& path, bool is_directory, Disk& disk) {
  if (!is_directory || format.commit_point().empty()) return path;
  const std::string named = path + "/" + format.commit_point();
  try {
    return format.leaves_directory() ? disk.resolve(named) : named;
  } catch (const std::system_error&) {  // it may be missing
    return named;
  }
}

// A directory is read while its commit point stays the same; a run that commits more often than it can be read is told.
constexpr int kAttempts = 10;

class Store final : public Checkpoint {
 public:
  Store(const Format& format, std::string path, Disk& disk, StoreOptions options)
      : format_(format),
        path_(std::move(path)),
        is_directory_(disk.is_directory(path_)),
        target_(target_of(format, path_, is_directory_, disk)),
        disk_(disk),
        options_(std::move(options)) {}

  std::string kind() const override { return format_.kind(); }
  std::string path() const override { return path_; }
  std::string target() const override { return target_; }
  std::string layout(const Model& model) const override { return format_.layout(model); }

  std::string strategy() const override {
    try {
      check_writable();
    } catch (const std::exception&) {
      return "read-only";
    }
    if (is_directory_) return "directory";
    try {
      return shares_blocks() ? "clone (reflink)" : "clone (copy)";
    } catch (const std::exception&) {  // a full disk cannot be tried; what it holds can be told
      return "clone (copy)";
    }
  }

  Snapshot open() const override { return open_generation(0); }
  void check_editable(const Snapshot& base) const override {
    check_writable();
    check_links(base.seen);
  }
  Fingerprint look() const override {
    return is_directory_ ? fingerprint_or_none(disk_, target_) : disk_.fingerprint(path_);
  }

  std::size_t sweep(const Snapshot& base) override {
    check_writable();
    const auto lock = disk_.lock(path_);
    if (look() != base.seen)
      throw Error(Errc::stale, path_ + ": another program changed it after it was read; nothing was removed");
    const Names unused = format_.unused(*base.model);
    for (const std::string& relative : unused) disk_.remove_tree(path_ + "/" + relative);
    return unused.size();
  }

  Snapshot commit(const Snapshot& base, const Model& edited, const Stamp& stamp) override {
    const ChangeSet changes = format_.seal(*base.model, edited, stamp);
    if (changes.empty()) return base;
    check_there();
    check_editable(base);
    // Only execute, under the lock, can tell for certain; but a plan is made of what was read.
    const Ptr<File> file = is_directory_ ? nullptr : disk_.open(path_);
    if ((file ? file->fingerprint() : look()) != base.seen)
      throw Error(Errc::stale, path_ + ": another program changed it after it was read; nothing was written");
    const Ptr<Source> source = source_of(file);
    Medium medium;
    medium.reflink = !is_directory_ && shares_blocks();
    medium.target = target_;
    medium.temporary = temporary_name(target_, is_directory_);
    const Plan plan = format_.plan(*base.model, *source, changes, medium);
    std::string problem;
    try {
      execute(plan, base.seen, disk_);
    } catch (const NotDurable& e) {
      problem = e.what();
    }
    Snapshot fresh = open_committed(base.generation + 1);
    const auto there = [&](const std::string& identity) { return fresh.model->has(identity); };
    if (!std::all_of(plan.made.begin(), plan.made.end(), there) ||
        std::any_of(plan.unmade.begin(), plan.unmade.end(), there))
      throw Error(Errc::stale, path_ + ": another program wrote over the commit at once");
    fresh.problem = problem;
    return fresh;
  }

 private:
  /// After a commit: it is in place, whatever goes wrong now.
  Snapshot open_committed(std::uint64_t generation) const {
    try {
      return open_generation(generation);
    } catch (...) {
      const Failure failure = current_failure();
      throw Error(Errc::io, path_ + ": the commit is in place, but what it made could not be opened: " + failure.text);
    }
  }

  Snapshot open_generation(std::uint64_t generation) const {
    check_there();
    if (!is_directory_) {
      const Ptr<File> file = disk_.open(path_);
      return {generation, format_.open(source_of(file), options_.view), file->fingerprint()};
    }
    for (int attempt = 1;; ++attempt) {
      const Fingerprint seen = look();
      Ptr<Model> model = format_.open(source_of(nullptr), options_.view);
      if (look() == seen) return {generation, std::move(model), seen};
      if (attempt == kAttempts) throw Error(Errc::busy, path_ + ": another program commits faster than it can be read");
    }
  }

  Ptr<Source> source_of(const Ptr<File>& file) const {
    if (is_directory_) return std::make_shared<DirectorySource>(path_, disk_, format_.leaves_directory());
    return std::make_shared<PinnedSource>(path_, file);
  }

  void check_there() const {
    if (!disk_.exists(path_)) throw Error(Errc::not_found, path_ + ": was deleted by another program");
  }

  void check_writable() const {
    if (options_.view.read_only) throw Error(Errc::read_only, path_ + ": is mounted read-only");
    disk_.check_replaceable(target_);
  }

  void check_links(const Fingerprint& seen) const {
    if (seen == Fingerprint{}) return;  // there is nothing yet
    const std::uint64_t links = disk_.links(target_);
    if (links > 1 && !options_.split_links)
      throw Error(Errc::hard_links,
                  target_ + ": has " + std::to_string(links) +
                      " hard links, and a commit would leave the others with the old checkpoint; mount "
                      "it with -o links=split to allow that");
  }

  bool shares_blocks() const {
    std::call_once(tried_, [&] { reflink_ = disk_.can_reflink(path_); });
    return reflink_;
  }

  const Format& format_;
  const std::string path_;
  const bool is_directory_;
  const std::string target_;  // the file whose replacement is a commit: the checkpoint itself, or one in it
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
