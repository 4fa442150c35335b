// A Session and the checkpoints within its own: what is asked of all of them together.

#include <algorithm>
#include <exception>
#include <functional>

#include "ckptree/error.hpp"
#include "ckptree/session.hpp"

namespace ckptree {
namespace {

/// A sentence begins with its place: a path in the checkpoint, or an absolute one, which is left.
std::string placed(const TreePath& place, const std::string& sentence) {
  const bool complete = place.empty() || sentence.empty() || sentence.front() == '/';
  return complete ? sentence : to_string(place) + "/" + sentence;
}

}  // namespace

void Session::contain(const TreePath& place, const std::shared_ptr<Session>& nested) {
  const FlushInterval interval = flush_interval();
  TreePath whole = within();
  whole.insert(whole.end(), place.begin(), place.end());
  {
    const std::lock_guard<std::mutex> guard(nested->state_);
    nested->within_ = std::move(whole);
    nested->interval_ = interval;
  }
  const std::lock_guard<std::mutex> guard(state_);
  nested_.emplace_back(place, nested);
}

TreePath Session::within() const {
  const std::lock_guard<std::mutex> guard(state_);
  return within_;
}

std::string Session::from_top(const std::string& sentence) const { return placed(within(), sentence); }

Session::Nested Session::nested() const {
  const std::lock_guard<std::mutex> guard(state_);
  return nested_;
}

void Session::commit_all() {
  std::exception_ptr first;
  const auto attempt = [&](const std::function<void()>& part) {
    try {
      part();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  };
  attempt([&] { commit(); });
  for (const auto& [place, session] : nested()) {
    const TreePath& at = place;
    Session& inner = *session;
    attempt([&] {
      try {
        inner.commit_all();
      } catch (const Error& e) {
        throw Error(e.code(), placed(at, e.what()));
      }
    });
  }
  if (first) std::rethrow_exception(first);
}

void Session::discard_all() {
  discard();
  for (const auto& inner : nested()) inner.second->discard_all();
}

void Session::set_flush_interval_of_all(FlushInterval interval) {
  set_flush_interval(interval);
  for (const auto& inner : nested()) inner.second->set_flush_interval_of_all(interval);
}

std::vector<std::string> Session::pending_lines() const {
  std::vector<std::string> lines;
  add_pending_lines("", lines);
  return lines;
}

void Session::add_pending_lines(const std::string& prefix, std::vector<std::string>& lines) const {
  add_own_lines(prefix, lines);
  for (const auto& [place, inner] : nested()) inner->add_pending_lines(prefix + to_string(place) + "/", lines);
}

Session::Counts Session::counts() const {
  Counts all;
  Ptr<Model> model;
  {
    const std::lock_guard<std::mutex> guard(state_);
    model = working_;
    all.commits = commits_;
    all.pending = log_.size();
    all.rejected = static_cast<std::uint64_t>(
        std::count_if(rejected_.begin(), rejected_.end(), [](const auto& kept) { return !kept.second.dropped; }));
    all.committing = committing_;
  }
  all.waiting = model->waiting().size();
  for (const auto& inner : nested()) {
    const Counts more = inner.second->counts();
    all.commits += more.commits;
    all.pending += more.pending;
    all.waiting += more.waiting;
    all.rejected += more.rejected;
    all.committing |= more.committing;
  }
  return all;
}

Session::Told Session::latest() const {
  Told newest;
  {
    const std::lock_guard<std::mutex> guard(state_);
    newest = last_error_;
  }
  for (const auto& [place, inner] : nested()) {
    Told told = inner->latest();
    if (told.first > newest.first) newest = {told.first, placed(place, told.second)};
  }
  return newest;
}

std::string Session::last_error_of_all() const { return latest().second; }

}  // namespace ckptree
