#include "ckptree/session.hpp"

#include <algorithm>
#include <ctime>

#include "ckptree/error.hpp"
#include "tree/status.hpp"

namespace ckptree {
namespace {

// How often a commit is tried again when others keep changing the checkpoint between our look and our lock.
constexpr int kAttempts = 5;

std::timespec now() {
  std::timespec t;
  ::clock_gettime(CLOCK_REALTIME, &t);
  return t;
}

const char* verb_of(Op::Kind kind) {
  switch (kind) {
    case Op::Kind::write: return "write";
    case Op::Kind::make_dir: return "mkdir";
    case Op::Kind::remove:
    case Op::Kind::remove_tree: return "remove";
    case Op::Kind::rename: return "rename";
    case Op::Kind::exchange: return "exchange";
  }
  return "edit";
}

bool touches(const Op& op, const TreePath& path) { return op.path == path || (!op.to.empty() && op.to == path); }

}  // namespace

Session::Session(std::shared_ptr<Checkpoint> checkpoint, FlushInterval interval, Commits commits)
    : checkpoint_(std::move(checkpoint)), commits_wanted_(commits), interval_(interval) {
  auto first = std::make_shared<Snapshot>(checkpoint_->open());
  committed_ = first;
  working_ = first->model;
}

Ptr<Snapshot> Session::committed() const {
  const std::lock_guard<std::mutex> guard(state_);
  return committed_;
}

Ptr<Model> Session::working() const {
  const std::lock_guard<std::mutex> guard(state_);
  return working_;
}

std::uint64_t Session::epoch() const {
  const std::lock_guard<std::mutex> guard(state_);
  return epoch_;
}

Session::Ground Session::ground() const {
  const std::lock_guard<std::mutex> guard(state_);
  // The first change made outside is the end of a session that refuses them.
  if (is_one_commit() && epoch_ > 0)
    throw Error(Errc::stale, checkpoint_->path() + ": was changed by another program since this edit began; repeat it");
  if (is_one_commit() && discarded_)
    throw Error(Errc::immutable, checkpoint_->path() + ": all edits of this mount were given up");
  return {committed_, working_, log_.size(), epoch_, outside_};
}

Ptr<Model> Session::apply_to(const Ground& ground, const std::vector<Op>& ops, std::uint64_t epoch) {
  Ptr<Model> next = ground.working;
  for (const Op& op : ops) {
    refuse_if_stale(ground, op, epoch);
    next = next->apply(op);
  }
  return next;
}

void Session::take_back_removals(const TreePath& below, const std::shared_ptr<const void>& editor) {
  const std::lock_guard<std::mutex> guard(state_);
  const auto is_part = [&](const Logged& edit) {
    const TreePath& path = edit.op.path;
    return editor && edit.editor == editor && edit.op.kind == Op::Kind::remove && path.size() > below.size() &&
           std::equal(below.begin(), below.end(), path.begin());
  };
  std::vector<Logged> rest;
  Ptr<Model> model = committed_->model;
  try {
    for (const Logged& edit : log_) {
      if (is_part(edit)) continue;
      model = model->apply(edit.op);
      rest.push_back(edit);
    }
  } catch (const Error&) {
    return;  // a later edit stands on a removal: `rm a; mv b a`
  }
  log_ = std::move(rest);
  working_ = model;
}

void Session::apply(const std::vector<Op>& ops, std::uint64_t epoch, const std::shared_ptr<const void>& editor) {
  const auto attempt = [&] {
    for (;;) {  // until nobody else made an edit meanwhile
      const Ground base = ground();
      const Ptr<Model> next = apply_to(base, ops, epoch);
      const std::lock_guard<std::mutex> guard(state_);
      if (working_ != base.working) continue;
      working_ = next;
      for (const Op& op : ops) log_.push_back({op, epoch_, editor});
      return;
    }
  };
  try {
    attempt();
  } catch (const Error& e) {
    const TreePath& last = ops.back().path;
    if (e.code() == Errc::last_one) take_back_removals(TreePath(last.begin(), last.end() - 1), editor);
    if (e.code() != Errc::stale || !refresh(true)) throw;
    attempt();  // on what is there now
  }
}

void Session::publish(Snapshot fresh, std::vector<Logged> rest) {
  if (fresh.generation != committed_->generation) ++commits_;
  committed_ = std::make_shared<Snapshot>(std::move(fresh));
  working_ = committed_->model;
  log_.clear();
  for (Logged& edit : rest) {
    try {
      working_ = working_->apply(edit.op);
      log_.push_back(std::move(edit));
    } catch (const Error& e) {
      if (edit.op.kind != Op::Kind::write) {
        tell(e.what());
        continue;
      }
      keep(rejected_, edit.op.path, edit.op.content, e.what());
      tell(e.what());
    }
  }
}

std::string Session::commit_locked(const std::vector<Op>& extra, std::uint64_t epoch) {
  for (int attempt = 1;; ++attempt) {
    try {
      const Ground base = ground();
      const Ptr<Model> edited = apply_to(base, extra, epoch);
      {
        const std::lock_guard<std::mutex> guard(state_);
        committing_ = true;
      }
      Snapshot fresh = checkpoint_->commit(*base.committed, *edited, Stamp{now()});
      const std::vector<TreePath> waiting = edited->waiting();
      const auto waits = [&](const Op& op) {
        return std::any_of(waiting.begin(), waiting.end(), [&](const TreePath& path) { return touches(op, path); });
      };
      const std::lock_guard<std::mutex> guard(state_);
      std::vector<Logged> rest;
      std::vector<Op> made;
      for (std::size_t i = 0; i < log_.size(); ++i)
        if (i >= base.logged || waits(log_[i].op)) rest.push_back(log_[i]);
        else made.push_back(log_[i].op);
      for (const Op& op : extra) {
        if (waits(op)) rest.push_back({op, epoch_, nullptr});
        else made.push_back(op);
      }
      committing_ = false;
      if (fresh.generation != base.committed->generation) remember(made, *base.committed->model, *fresh.model);
      const std::string problem = fresh.problem;
      publish(std::move(fresh), std::move(rest));
      return problem;
    } catch (const Error& e) {
      {
        const std::lock_guard<std::mutex> guard(state_);
        committing_ = false;
      }
      if (e.code() != Errc::stale || attempt == kAttempts || !refresh_locked()) throw;
    } catch (...) {
      const std::lock_guard<std::mutex> guard(state_);
      committing_ = false;
      throw;
    }
  }
}

void Session::save(const std::vector<Op>& ops, std::uint64_t epoch) {
  const std::lock_guard<std::mutex> guard(commit_);
  const std::string problem = commit_locked(ops, epoch);
  if (!problem.empty()) throw Error(Errc::io, problem);
}

void Session::refuse_a_part() {
  const std::lock_guard<std::mutex> guard(state_);
  if (rejected_.empty() && working_->waiting().empty()) return;
  log_.clear();
  working_ = committed_->model;
  throw Error(Errc::rejected, checkpoint_->path() + ": an edit was refused, so none is made");
}

void Session::commit() {
  const std::lock_guard<std::mutex> guard(commit_);
  if (pending_edits() == 0) return;
  if (is_one_commit()) refuse_a_part();
  const std::uint64_t conflicts = conflicts_;
  std::string problem;
  try {
    problem = commit_locked({}, epoch());
  } catch (...) {
    const std::string reason = current_failure().text;
    std::vector<Logged> lost;
    {
      const std::lock_guard<std::mutex> state(state_);
      lost.swap(log_);
      working_ = committed_->model;
    }
    reject_all(lost, reason);
    throw;
  }
  if (!problem.empty()) throw Error(Errc::io, problem);
  if (conflicts_ != conflicts) throw Error(Errc::stale, last_error());
}

void Session::reject_all(const std::vector<Logged>& edits, const std::string& reason) {
  for (const Logged& edit : edits) {
    note_error(edit.op.path, reason);
    if (edit.op.kind == Op::Kind::write) {
      reject(edit.op.path, edit.op.content, reason);
    } else {
      const std::string line = std::string(verb_of(edit.op.kind)) + " " + to_string(edit.op.path) +
                               (edit.op.to.empty() ? "" : " -> " + to_string(edit.op.to)) + "\n";
      reject(edit.op.path, Recipe::literal(line), reason);
    }
  }
}

void Session::discard() {
  const std::lock_guard<std::mutex> commit(commit_);
  const std::lock_guard<std::mutex> guard(state_);
  log_.clear();
  working_ = committed_->model;
  discarded_ = true;
}

std::size_t Session::sweep() {
  const std::lock_guard<std::mutex> guard(commit_);
  return checkpoint_->sweep(*committed());
}

std::uint64_t Session::pending_edits() const {
  const std::lock_guard<std::mutex> guard(state_);
  return log_.size();
}

void Session::add_own_lines(const std::string& prefix, std::vector<std::string>& lines) const {
  const std::lock_guard<std::mutex> guard(state_);
  for (const Logged& edit : log_) {
    std::string line = std::string(verb_of(edit.op.kind)) + "\t" + prefix + to_string(edit.op.path);
    if (!edit.op.to.empty()) line += "\t" + prefix + to_string(edit.op.to);
    lines.push_back(line);
  }
}

FlushInterval Session::flush_interval() const {
  const std::lock_guard<std::mutex> guard(state_);
  return interval_;
}

void Session::set_flush_interval(FlushInterval interval) {
  const std::lock_guard<std::mutex> guard(state_);
  interval_ = interval;
}

std::string Session::status_json() const {
  Status status;
  status.kind = checkpoint_->kind();
  status.source = checkpoint_->path();
  status.strategy = checkpoint_->strategy();
  const Counts all = counts();
  status.commits = all.commits;
  status.pending = all.pending;
  status.waiting = all.waiting;
  status.rejected = all.rejected;
  status.progress = all.committing ? "committing" : "idle";
  Ptr<Model> model;
  {
    const std::lock_guard<std::mutex> guard(state_);
    model = working_;
    status.generation = committed_->generation;
    status.flush_interval = interval_.text();
  }
  status.layout = checkpoint_->layout(*model);
  status.warnings = model->warnings();
  return to_json(status);
}

}  // namespace ckptree
