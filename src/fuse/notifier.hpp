#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "ckptree/mount.hpp"

struct fuse_session;

namespace ckptree::fuse {

/// Tells the kernel what it must not show any longer, from a thread that serves no request: inside one it would wait for
/// locks that the request's own caller holds.
class Notifier {
 public:
  explicit Notifier(fuse_session* session);
  ~Notifier();  // does what is queued, then stops
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  /// Queues: invalidate, then call `reply` (which may be empty).
  void tell(Invalidations stale, std::function<void()> reply = {});

 private:
  struct Job {
    Invalidations stale;
    std::function<void()> reply;
  };
  void run();

  fuse_session* session_;
  std::mutex mutex_;  // guards the queue; never held while the kernel is called
  std::condition_variable ready_;
  std::deque<Job> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace ckptree::fuse
