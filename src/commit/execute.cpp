#include "commit/execute.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <system_error>

#include "ckptree/error.hpp"

namespace ckptree {
namespace {

const char* words_for(Step::Kind kind) {
  switch (kind) {
    case Step::Kind::clone: return "copying the checkpoint";
    case Step::Kind::write: return "writing the new bytes";
    case Step::Kind::truncate: return "setting the size";
    case Step::Kind::copy_attributes: return "keeping owner, mode and attributes";
    case Step::Kind::sync: return "syncing the new file";
    case Step::Kind::verify: return "checking the new file";
    case Step::Kind::rename: return "renaming the new file into place";
    case Step::Kind::sync_dir: return "syncing the directory";
    case Step::Kind::make_dir: return "making a directory";
    case Step::Kind::link: return "linking what stays as it is";
    case Step::Kind::exchange: return "putting the new file into place";
    case Step::Kind::restore_time: return "keeping the time of the directory";
    case Step::Kind::remove:
    case Step::Kind::remove_tree: return "removing what is no longer needed";
  }
  return "an unknown step";
}

/// Another name of a file; a copy of it where that cannot be.
void link(const Step& step, Disk& disk) {
  const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&step.content.pieces.at(0).from);
  if (extent && disk.link(step.from, step.path, extent->first->fingerprint())) return;
  disk.clone("", step.path, 0);
  disk.write(step.path, 0, step.content);
  disk.sync(step.path);
}

void run(const Step& step, Disk& disk) {
  switch (step.kind) {
    case Step::Kind::clone: return disk.clone(step.from, step.path, step.size);
    case Step::Kind::write: return disk.write(step.path, step.at, step.content);
    case Step::Kind::truncate: return disk.truncate(step.path, step.size);
    case Step::Kind::copy_attributes: return disk.copy_attributes(step.from, step.path);
    case Step::Kind::sync: return disk.sync(step.path);
    case Step::Kind::verify: return step.check(disk.open(step.path));
    case Step::Kind::rename: return disk.rename(step.from, step.path);
    case Step::Kind::sync_dir: return disk.sync_dir(step.path);
    case Step::Kind::make_dir: return disk.make_dir(step.path);
    case Step::Kind::link: return link(step, disk);
    case Step::Kind::exchange: return;      // put_in_place
    case Step::Kind::restore_time: return;  // KeptTimes
    case Step::Kind::remove: return disk.remove(step.path);
    case Step::Kind::remove_tree: return disk.remove_tree(step.path);
  }
}

[[noreturn]] void throw_stale(const std::string& path) {
  throw Error(Errc::stale, path + ": another program changed it after it was read; nothing was written");
}

void compare(const Plan& plan, const Fingerprint& seen, Disk& disk) {
  if (fingerprint_or_none(disk, plan.target) != seen) throw_stale(plan.target);
}

/// The same file with the same bytes; renames change the ctime.
bool same_file(const Fingerprint& a, const Fingerprint& b) {
  return a.device == b.device && a.inode == b.inode && a.size == b.size && a.mtime_ns == b.mtime_ns;
}

/// The commit point of a plan beside programs that know nothing of its lock. What comes out of the exchange is what was
/// read, or somebody else's newer file, which goes back; again, until what comes out is what we put there ourselves.
/// The same when something that the new file names was taken away meanwhile.
void put_in_place(const Step& step, const Fingerprint& seen, Disk& disk) {
  const bool is_new = seen == Fingerprint{};
  Fingerprint ours = disk.fingerprint(step.from);
  if (is_new || !disk.exchange(step.from, step.path)) {
    disk.rename(step.from, step.path);
    return;
  }
  const bool complete = std::all_of(step.expected.begin(), step.expected.end(),
                                    [&](const std::string& path) { return disk.exists(path); });
  Fingerprint out = disk.fingerprint(step.from);
  if (same_file(out, seen) && complete) return;
  // A program that writes this often is not one that commits checkpoints.
  constexpr int kRounds = 100;
  for (int round = 0; round < kRounds; ++round) {
    const Fingerprint back = out;
    disk.exchange(step.from, step.path);
    out = disk.fingerprint(step.from);
    if (same_file(out, ours)) throw_stale(step.path);
    ours = back;
  }
  throw Error(Errc::busy, step.path + ": another program keeps replacing it");
}

/// A system_error's own words, without the sentence of its errno that what() ends with.
std::string action_of(const std::system_error& e) {
  std::string text = e.what();
  const std::string sentence = ": " + e.code().message();
  if (text.size() > sentence.size() && text.compare(text.size() - sentence.size(), sentence.size(), sentence) == 0)
    text.resize(text.size() - sentence.size());
  return text;
}

/// Removes the temporary on the way out, whatever the way. What fails here is less than what led here: not told.
class Cleanup {
 public:
  Cleanup(Disk& disk, const std::string& path) : disk_(disk), path_(path) {}
  ~Cleanup() {
    if (path_.empty()) return;
    try {
      disk_.remove_tree(path_);
    } catch (...) {
      // The next mount sweeps it.
    }
  }
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  void dismiss() { path_.clear(); }

 private:
  Disk& disk_;
  std::string path_;
};

/// The times of directories that a plan leaves as they were, also when it fails.
class KeptTimes {
 public:
  KeptTimes(Disk& disk, const Plan& plan) : disk_(disk) {
    for (const Step& s : plan.steps)
      if (s.kind == Step::Kind::restore_time) times_[s.path] = disk.fingerprint(s.path).mtime_ns;
  }
  ~KeptTimes() {
    if (done_) return;
    for (const auto& [path, time] : times_) {
      try {
        disk_.set_mtime(path, time);
      } catch (...) {
        // The failure that led here is told.
      }
    }
  }
  KeptTimes(const KeptTimes&) = delete;
  KeptTimes& operator=(const KeptTimes&) = delete;
  void restore(const std::string& path) { disk_.set_mtime(path, times_.at(path)); }
  void dismiss() { done_ = true; }

 private:
  Disk& disk_;
  std::map<std::string, std::int64_t> times_;
  bool done_ = false;
};

}  // namespace

Fingerprint fingerprint_or_none(Disk& disk, const std::string& path) {
  try {
    return disk.fingerprint(path);
  } catch (const std::system_error& e) {
    if (e.code().value() != ENOENT) throw;
    return {};
  }
}

void execute(const Plan& plan, const Fingerprint& seen, Disk& disk) {
  const auto lock = disk.lock(plan.lock.empty() ? plan.target : plan.lock);
  compare(plan, seen, disk);
  KeptTimes times(disk, plan);  // restored once the temporary is gone
  Cleanup temporary(disk, plan.temporary);
  bool in_place = false;  // the commit point is behind us
  const Step* step = nullptr;
  const auto place = [&] {
    return plan.target + ": the commit stopped at " + words_for(step->kind) +
           (in_place ? ", the new checkpoint is in place but a power loss may undo it: " : ", nothing has changed: ");
  };
  try {
    for (const Step& s : plan.steps) {
      step = &s;
      const bool replaces = s.kind == Step::Kind::rename || s.kind == Step::Kind::exchange;
      const bool commits = replaces && s.path == plan.target;
      if (commits) compare(plan, seen, disk);
      if (s.kind == Step::Kind::exchange) put_in_place(s, seen, disk);
      else if (s.kind == Step::Kind::restore_time) times.restore(s.path);
      else run(s, disk);
      in_place |= commits;
    }
  } catch (const Error& e) {
    if (in_place) throw NotDurable(place() + e.what());
    if (e.code() == Errc::stale) throw;
    throw Error(e.code(), place() + e.what());
  } catch (const std::system_error& e) {
    if (in_place) throw NotDurable(place() + action_of(e) + ": " + e.code().message());
    const bool makes = step->kind == Step::Kind::clone || step->kind == Step::Kind::make_dir;
    if (e.code().value() == EEXIST && makes && step->path == plan.temporary)
      temporary.dismiss();  // somebody else's file
    throw std::system_error(e.code(), place() + action_of(e));
  }
  temporary.dismiss();
  times.dismiss();
}

}  // namespace ckptree
