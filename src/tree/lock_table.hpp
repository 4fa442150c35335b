#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/mount.hpp"

namespace ckptree {

/// Advisory locks by document: the drafts of several writers are several inodes, so the kernel alone would let them
/// all in.
class LockTable {
 public:
  /// Takes, changes or gives back a lock, all of it or nothing. @return whether it could; false: somebody else's is
  /// in the way
  bool set(const std::string& key, const LockRequest& wanted);
  /// A lock that is in the way of `wanted`, or nothing.
  std::optional<LockRequest> test(const std::string& key, const LockRequest& wanted) const;

 private:
  const LockRequest* conflict(const std::string& key, const LockRequest& wanted) const;

  mutable std::mutex mutex_;  // guards held_; nothing is taken while it is held
  std::map<std::string, std::vector<LockRequest>> held_;
};

}  // namespace ckptree
