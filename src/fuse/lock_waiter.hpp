#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace ckptree::fuse {

/// Requests that wait for a lock, retried by one thread, so that a waiting caller holds no worker.
class LockWaiter {
 public:
  LockWaiter();
  ~LockWaiter();  // whoever still waits is told EINTR
  LockWaiter(const LockWaiter&) = delete;
  LockWaiter& operator=(const LockWaiter&) = delete;

  /// Calls `attempt` until it answers true or `interrupted` does; then `finish` with 0 or EINTR.
  void wait(std::function<bool()> attempt, std::function<bool()> interrupted, std::function<void(int error)> finish);

 private:
  struct Waiting {
    std::function<bool()> attempt, interrupted;
    std::function<void(int)> finish;
  };
  void run();

  std::mutex mutex_;  // guards the list; nothing of a request is called while it is held
  std::condition_variable changed_;
  std::list<Waiting> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace ckptree::fuse
