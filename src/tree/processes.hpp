#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "ckptree/fd.hpp"

namespace ckptree {

using Clock = std::chrono::steady_clock;

/// A process that uses the mount, held by a pidfd so that a reused number is never taken for it. Process 0 stands for
/// callers of other pid namespaces and for the kernel's own requests; it never exits.
class Process {
 public:
  Process(pid_t group, Fd pidfd) : group_(group), pidfd_(std::move(pidfd)) {}

  pid_t group() const noexcept { return group_; }
  int descriptor() const noexcept { return pidfd_.get(); }  // readable once it exited; -1: none
  bool exited() const;
  /// Whether it is one of the tools that remove what they are told to and put nothing in its place: rm, unlink, find.
  bool is_remover() const;
  /// Whether it is one of the tools that remove a whole tree entry by entry: rm, mv.
  bool removes_trees() const;

 private:
  pid_t group_;
  Fd pidfd_;
};

using ProcessPtr = std::shared_ptr<const Process>;

/// Finds the process of a thread.
class Processes {
 public:
  /// The process (thread group) thread `tid` belongs to; process 0 for 0 and for threads that are not to be seen.
  ProcessPtr of(pid_t tid);

 private:
  std::mutex mutex_;  // guards known_; nothing is taken while it is held
  std::unordered_map<pid_t, ProcessPtr> known_;
};

}  // namespace ckptree
