#include "tree/lock_table.hpp"

namespace ckptree {
namespace {

bool overlap(const LockRequest& a, const LockRequest& b) { return a.begin < b.end && b.begin < a.end; }

bool same_owner(const LockRequest& a, const LockRequest& b) {
  return a.owner == b.owner && a.whole_file == b.whole_file;
}

}  // namespace

const LockRequest* LockTable::conflict(const std::string& key, const LockRequest& wanted) const {
  const auto found = held_.find(key);
  if (found == held_.end() || wanted.type == LockRequest::Type::none) return nullptr;
  for (const LockRequest& held : found->second) {
    // flock and fcntl locks do not know of each other, as on local filesystems.
    if (held.whole_file != wanted.whole_file || same_owner(held, wanted) || !overlap(held, wanted)) continue;
    if (held.type == LockRequest::Type::exclusive || wanted.type == LockRequest::Type::exclusive) return &held;
  }
  return nullptr;
}

bool LockTable::set(const std::string& key, const LockRequest& wanted) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (conflict(key, wanted)) return false;
  std::vector<LockRequest> next;
  for (const LockRequest& held : held_[key]) {
    if (!same_owner(held, wanted) || !overlap(held, wanted)) {
      next.push_back(held);
      continue;
    }
    // What sticks out on either side stays as it was.
    LockRequest part = held;
    if (held.begin < wanted.begin) {
      part.end = wanted.begin;
      next.push_back(part);
    }
    part = held;
    if (held.end > wanted.end) {
      part.begin = wanted.end;
      next.push_back(part);
    }
  }
  if (wanted.type != LockRequest::Type::none) next.push_back(wanted);
  if (next.empty()) held_.erase(key);
  else held_[key] = std::move(next);
  return true;
}

std::optional<LockRequest> LockTable::test(const std::string& key, const LockRequest& wanted) const {
  const std::lock_guard<std::mutex> guard(mutex_);
  const LockRequest* held = conflict(key, wanted);
  return held ? std::optional<LockRequest>(*held) : std::nullopt;
}

}  // namespace ckptree
