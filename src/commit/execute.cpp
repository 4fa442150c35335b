#include "commit/execute.hpp"

#include <cerrno>
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
    case Step::Kind::remove: return "removing what is no longer needed";
  }
  return "an unknown step";
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
    case Step::Kind::remove: return disk.remove(step.path);
  }
}

void compare(const Plan& plan, const Fingerprint& seen, Disk& disk) {
  if (disk.fingerprint(plan.target) != seen)
    throw Error(Errc::stale, plan.target + ": another program changed it after it was read; nothing was written");
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
      disk_.remove(path_);
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

}  // namespace

void execute(const Plan& plan, const Fingerprint& seen, Disk& disk) {
  const auto lock = disk.lock(plan.target);
  compare(plan, seen, disk);
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
      const bool commits = s.kind == Step::Kind::rename && s.path == plan.target;
      if (commits) compare(plan, seen, disk);
      run(s, disk);
      in_place |= commits;
    }
  } catch (const Error& e) {
    if (in_place) throw NotDurable(place() + e.what());
    if (e.code() == Errc::stale) throw;
    throw Error(e.code(), place() + e.what());
  } catch (const std::system_error& e) {
    if (in_place) throw NotDurable(place() + action_of(e) + ": " + e.code().message());
    if (e.code().value() == EEXIST && step->kind == Step::Kind::clone) temporary.dismiss();  // somebody else's file
    throw std::system_error(e.code(), place() + action_of(e));
  }
  temporary.dismiss();
}

}  // namespace ckptree
