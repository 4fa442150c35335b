#include "fuse/notifier.hpp"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <future>

#include "ckptree/fd.hpp"
#include "fuse/request.hpp"

namespace ckptree::fuse {
namespace {

/// Another descriptor of the connection; none where the kernel has no such thing (it has since Linux 4.2).
Fd clone_of(fuse_session* session) {
  Fd clone(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  std::uint32_t original = static_cast<std::uint32_t>(fuse_session_fd(session));
  if (clone && ::ioctl(clone.get(), FUSE_DEV_IOC_CLONE, &original) != 0) clone = Fd();
  return clone;
}

/// Gives this thread a table of files with nothing but the clone in it, under the number that libfuse knows.
void keep_only(int clone, int number) {
  if (::unshare(CLONE_FILES) != 0 || ::dup3(clone, number, O_CLOEXEC) < 0) return;
  const auto kept = static_cast<unsigned>(number);
  if (kept > 0) ::close_range(0, kept - 1, 0);
  ::close_range(kept + 1, ~0U, 0);
}

}  // namespace

void Notifier::Queue::put(Job job) {
  {
    const std::lock_guard<std::mutex> guard(mutex);
    jobs.push_back(std::move(job));
  }
  ready.notify_one();
}

void Notifier::Queue::stop() {
  {
    const std::lock_guard<std::mutex> guard(mutex);
    stopping = true;
  }
  ready.notify_one();
}

std::optional<Notifier::Job> Notifier::Queue::next() {
  std::unique_lock<std::mutex> lock(mutex);
  ready.wait(lock, [this] { return stopping || !jobs.empty(); });
  if (jobs.empty()) return std::nullopt;
  Job job = std::move(jobs.front());
  jobs.pop_front();
  return job;
}

Notifier::Notifier(fuse_session* session) : session_(session) {
  const Fd clone = clone_of(session);
  std::promise<void> apart;  // until then the clone has to stay open here
  teller_ = std::thread([&, number = fuse_session_fd(session)] {
    if (clone) keep_only(clone.get(), number);
    apart.set_value();
    tell_kernel();
  });
  apart.get_future().wait();
  replier_ = std::thread([this] { reply(); });
}

Notifier::~Notifier() {
  stale_.stop();
  teller_.join();
  replies_.stop();
  replier_.join();
}

void Notifier::tell(Invalidations stale, std::function<void()> reply) {
  stale_.put({std::move(stale), std::move(reply)});
}

void Notifier::tell_kernel() {
  while (std::optional<Job> job = stale_.next()) {
    for (const Invalidation& i : job->stale) {
      // What the kernel does not know it answers with ENOENT: nothing to do then.
      if (i.name.empty()) fuse_lowlevel_notify_inval_inode(session_, i.parent, -1, 0);
      else fuse_lowlevel_notify_inval_entry(session_, i.parent, i.name.c_str(), i.name.size());
    }
    if (job->reply) replies_.put(std::move(*job));
  }
}

void Notifier::reply() {
  while (const std::optional<Job> job = replies_.next()) job->reply();
}

}  // namespace ckptree::fuse
