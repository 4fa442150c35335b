// What a Session makes of changes that other programs made: it opens the checkpoint anew, makes pending edits again on
// top, keeps those in conflict, and notices when an edit that was committed is undone.

#include <algorithm>

#include "ckptree/error.hpp"
#include "ckptree/session.hpp"

namespace ckptree {
namespace {

// Changes made outside are remembered so long, and so many: each holds on to a checkpoint that may have been removed,
// and to its room on the disk. A writer who began before the oldest of them is in conflict.
constexpr auto kRemembered = std::chrono::seconds(30);
constexpr std::size_t kOutsideChanges = 4;

// So many committed edits are watched for being undone by another program.
constexpr std::size_t kWatched = 1000;

/// What is at a path, as a word that is equal when it is the same. A damaged place has no sameness.
std::string tag_at(const Model& model, const TreePath& path) {
  try {
    const auto node = model.find(path);
    if (!node) return "absent";
    return node->kind == Node::Kind::file ? node->content.tag : "directory";
  } catch (const Error&) {
    return "damaged";
  }
}

}  // namespace

void Session::refuse_if_stale(const Ground& ground, const Op& op, std::uint64_t epoch) {
  if (epoch == ground.epoch) return;
  const bool forgotten = ground.outside.empty() || ground.outside.front().epoch > epoch + 1;
  for (const TreePath* path : {&op.path, &op.to}) {
    if (path == &op.to && op.to.empty()) continue;
    const bool changed = forgotten || std::any_of(ground.outside.begin(), ground.outside.end(), [&](const Change& o) {
                           return o.epoch > epoch && (tag_at(*o.before, *path) != tag_at(*o.after, *path) ||
                                                      o.before->identity(*path) != o.after->identity(*path));
                         });
    if (changed)
      throw Error(Errc::stale, to_string(*path) + ": was changed by another program since this edit began; read it " +
                                   "again and repeat the edit");
  }
}

void Session::remember(const std::vector<Op>& ops, const Model& before, const Model& after) {
  for (const Op& op : ops) {
    const std::string was = before.identity(op.path), is = after.identity(op.path);
    if (was.empty() || was == is) continue;
    std::string origin = was;
    for (Made& earlier : made_) {
      if (earlier.after != was) continue;
      earlier.after = is;  // edited once more by ourselves
      origin = earlier.before;
    }
    made_.push_back({op, origin, is});
    if (made_.size() > kWatched) made_.pop_front();
  }
}

std::vector<Session::Logged> Session::take_undone(const Model& now) {
  std::vector<Logged> undone;
  for (auto it = made_.begin(); it != made_.end();) {
    // What a program that knows of the edit takes away later (a row that it prunes) was not undone.
    const bool gone =
        it->after.empty() ? now.has(it->before) : !now.has(it->after) && (now.has(it->before) || !it->survived);
    it->survived = true;
    if (gone) undone.push_back({it->op, epoch_, nullptr});
    it = gone ? made_.erase(it) : std::next(it);
  }
  return undone;
}

bool Session::refresh(bool wait) {
  std::unique_lock<std::mutex> guard(commit_, std::defer_lock);
  if (wait) guard.lock();
  else if (!guard.try_lock()) return false;
  return refresh_locked();
}

bool Session::refresh_locked() {
  {
    const std::lock_guard<std::mutex> guard(state_);
    const auto now = std::chrono::steady_clock::now();
    while (!outside_.empty() && now - outside_.front().noticed > kRemembered) outside_.pop_front();
  }
  const Ptr<Snapshot> base = committed();
  if (checkpoint_->look() == base->seen) return false;
  Snapshot fresh = checkpoint_->open();
  fresh.generation = base->generation + 1;
  const auto shared = std::make_shared<Snapshot>(std::move(fresh));
  std::vector<Logged> conflicts, undone;
  {
    const std::lock_guard<std::mutex> guard(state_);
    ++epoch_;
    outside_.push_back({epoch_, base->model, shared->model, std::chrono::steady_clock::now()});
    if (outside_.size() > kOutsideChanges) outside_.pop_front();
    committed_ = shared;
    working_ = shared->model;
    undone = take_undone(*working_);
    std::vector<Logged> rest;
    rest.swap(log_);
    for (Logged& edit : rest) {
      try {
        if (is_one_commit())
          throw Error(Errc::stale, to_string(edit.op.path) + ": another program changed the checkpoint meanwhile");
        refuse_if_stale({committed_, working_, 0, epoch_, outside_}, edit.op, edit.epoch);
        working_ = working_->apply(edit.op);
        log_.push_back({edit.op, epoch_, edit.editor});
      } catch (const Error& e) {
        tell(e.what());
        conflicts.push_back(std::move(edit));
      }
    }
  }
  conflicts_ += conflicts.size();
  if (!conflicts.empty()) reject_all(conflicts, last_error());
  if (!undone.empty()) {
    const std::string reason =
        "another program, which writes what it had in memory, undid this edit after it was committed";
    reject_all(undone, reason);
    note_error({}, reason);
  }
  return true;
}

}  // namespace ckptree
