#include "fuse/lock_waiter.hpp"

#include <cerrno>
#include <chrono>

namespace ckptree::fuse {
namespace {

// How long a free lock may go unnoticed by who waits for it.
constexpr auto kRetry = std::chrono::milliseconds(5);

}  // namespace

LockWaiter::LockWaiter() : thread_([this] { run(); }) {}

LockWaiter::~LockWaiter() {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void LockWaiter::wait(std::function<bool()> attempt, std::function<bool()> interrupted,
                      std::function<void(int)> finish) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    waiting_.push_back({std::move(attempt), std::move(interrupted), std::move(finish)});
  }
  changed_.notify_one();
}

void LockWaiter::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    if (waiting_.empty() && !stopping_) changed_.wait(lock);
    else if (!stopping_) changed_.wait_for(lock, kRetry);
    std::list<Waiting> round;
    round.swap(waiting_);
    const bool last = stopping_;
    lock.unlock();
    for (auto it = round.begin(); it != round.end();) {
      const bool granted = it->attempt();
      if (granted || last || it->interrupted()) {
        it->finish(granted ? 0 : EINTR);
        it = round.erase(it);
      } else {
        ++it;
      }
    }
    lock.lock();
    waiting_.splice(waiting_.begin(), round);
    if (last) return;
  }
}

}  // namespace ckptree::fuse
