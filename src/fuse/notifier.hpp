#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "ckptree/mount.hpp"

struct fuse_session;

namespace ckptree::fuse {

/// Tells the kernel what it must not show any longer, from a thread that serves no request: inside one it would wait for
/// locks that the request's own caller holds.
///
/// If the process is killed while that thread waits in the kernel for such a lock, nobody else may depend on it: it has
/// a table of files of its own, and in it a clone of the connection, so that the connection itself is closed with the
/// other threads, whoever holds the lock is answered, and the wait ends. Replies go through the connection, hence
/// through a thread of their own.
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
  /// Jobs handed from thread to thread. @see next
  struct Queue {
    void put(Job job);
    void stop();
    /// The next job; nothing when it was stopped and is empty.
    std::optional<Job> next();

    std::mutex mutex;  // guards what follows; never held while the kernel is called
    std::condition_variable ready;
    std::deque<Job> jobs;
    bool stopping = false;
  };
  void tell_kernel();
  void reply();

  fuse_session* session_;
  Queue stale_, replies_;
  std::thread teller_, replier_;
};

}  // namespace ckptree::fuse
