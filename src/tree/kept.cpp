// What a Session keeps beside the checkpoint: refused and removed bytes, and the sentences of failures.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>

#include "ckptree/log.hpp"
#include "ckptree/session.hpp"

namespace ckptree {
namespace {

std::timespec now() {
  std::timespec t;
  ::clock_gettime(CLOCK_REALTIME, &t);
  return t;
}

std::string kept_name(std::uint64_t number, const TreePath& path) {
  std::string flat = to_string(path);
  for (std::size_t at = 0; (at = flat.find('/', at)) != std::string::npos; at += 3) flat.replace(at, 1, "%2F");
  char prefix[32];
  std::snprintf(prefix, sizeof prefix, "%04llu-", static_cast<unsigned long long>(number));
  // The names of a kept file and of its ".reason" fit into 255 bytes.
  constexpr std::size_t kRoom = 200;
  if (flat.size() > kRoom) flat = "..." + flat.substr(flat.size() - kRoom);
  return prefix + flat;
}

}  // namespace

std::string Session::keep(std::map<std::string, Kept>& where, const TreePath& path, Recipe content,
                          const std::string& reason) {
  const std::string name = kept_name(++kept_, path);
  where[name] = {name, path, std::move(content), reason, now()};
  return name;
}

std::string Session::reject(const TreePath& path, Recipe content, const std::string& reason) {
  log(from_top(to_string(path)) + ": kept in rejected/: " + reason);
  const std::lock_guard<std::mutex> guard(state_);
  return keep(rejected_, path, std::move(content), reason);
}

void Session::note_refused(const TreePath& path, const std::string& reason) {
  if (!is_one_commit()) return;
  const std::lock_guard<std::mutex> guard(state_);
  rejected_[keep(rejected_, path, {}, reason)].dropped = true;  // it has no bytes
}

void Session::forget_rejected(const std::string& name) {
  const std::lock_guard<std::mutex> guard(state_);
  const std::size_t suffix = std::char_traits<char>::length(kReasonSuffix);
  const bool is_reason = name.size() > suffix && name.compare(name.size() - suffix, suffix, kReasonSuffix) == 0;
  const auto found = rejected_.find(is_reason ? name.substr(0, name.size() - suffix) : name);
  if (found == rejected_.end()) return;
  Kept& kept = found->second;
  if (is_reason) {
    kept.reason.clear();
  } else {
    kept.dropped = true;
    kept.content = {};
  }
  if (kept.dropped && kept.reason.empty()) rejected_.erase(found);
}

void Session::reject_waiting(const std::string& reason) {
  std::vector<Logged> waiting;
  {
    const std::lock_guard<std::mutex> guard(state_);
    if (working_->waiting().empty()) return;
    waiting.swap(log_);
    working_ = committed_->model;
  }
  // A directory that was made or emptied, or a name that was moved, holds no bytes: only what was written can be lost.
  waiting.erase(std::remove_if(waiting.begin(), waiting.end(),
                               [](const Logged& edit) { return edit.op.kind != Op::Kind::write; }),
                waiting.end());
  reject_all(waiting, reason);
}

namespace {

std::vector<Kept> values_of(const std::map<std::string, Kept>& kept) {
  std::vector<Kept> all;
  for (const auto& entry : kept) all.push_back(entry.second);
  return all;
}

}  // namespace

std::vector<Kept> Session::rejected() const {
  const std::lock_guard<std::mutex> guard(state_);
  return values_of(rejected_);
}

void Session::keep_removed(const TreePath& path, Recipe content) {
  const std::lock_guard<std::mutex> guard(state_);
  keep(removed_, path, std::move(content), "");
}

std::vector<Kept> Session::removed() const {
  const std::lock_guard<std::mutex> guard(state_);
  return values_of(removed_);
}

void Session::note_error(const TreePath& path, const std::string& sentence) {
  // Paths that failed are few; a script that fails at ever new ones must not fill the memory.
  constexpr std::size_t kErrors = 4096;
  const std::lock_guard<std::mutex> guard(state_);
  if (sentence.empty()) {
    errors_.erase(path);
    return;
  }
  if (errors_.size() >= kErrors) errors_.clear();
  errors_[path] = sentence;
  tell(sentence);
}

void Session::tell(const std::string& sentence) {
  static std::atomic<std::uint64_t> told{0};
  last_error_ = {++told, sentence};
}

std::string Session::last_error() const {
  const std::lock_guard<std::mutex> guard(state_);
  return last_error_.second;
}

std::string Session::error_of(const TreePath& path) const {
  const std::lock_guard<std::mutex> guard(state_);
  const auto found = errors_.find(path);
  return found == errors_.end() ? std::string() : found->second;
}

}  // namespace ckptree
