#include "fuse/notifier.hpp"

#include "fuse/request.hpp"

namespace ckptree::fuse {

Notifier::Notifier(fuse_session* session) : session_(session), thread_([this] { run(); }) {}

Notifier::~Notifier() {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    stopping_ = true;
  }
  ready_.notify_one();
  thread_.join();
}

void Notifier::tell(Invalidations stale, std::function<void()> reply) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    queue_.push_back({std::move(stale), std::move(reply)});
  }
  ready_.notify_one();
}

void Notifier::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Job job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    for (const Invalidation& i : job.stale) {
      // What the kernel does not know it answers with ENOENT: nothing to do then.
      if (i.name.empty()) fuse_lowlevel_notify_inval_inode(session_, i.parent, -1, 0);
      else fuse_lowlevel_notify_inval_entry(session_, i.parent, i.name.c_str(), i.name.size());
    }
    if (job.reply) job.reply();
    lock.lock();
  }
}

}  // namespace ckptree::fuse
