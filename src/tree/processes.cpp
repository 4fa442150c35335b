#include "tree/processes.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace ckptree {
namespace {

/// The first bytes of a file of /proc; empty when the process is gone.
std::string read_proc(pid_t tid, const char* file) {
  const Fd fd(::open(("/proc/" + std::to_string(tid) + "/" + file).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  char text[512];
  const ssize_t n = ::read(fd.get(), text, sizeof text);
  return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string();
}

pid_t group_of(pid_t tid) {
  const std::string status = read_proc(tid, "status");
  const std::size_t at = status.find("\nTgid:");
  return at == std::string::npos ? 0 : static_cast<pid_t>(std::atoi(status.c_str() + at + 6));
}

}  // namespace

bool Process::exited() const {
  if (group_ == 0) return false;
  if (!pidfd_) return true;
  pollfd p{pidfd_.get(), POLLIN, 0};
  return ::poll(&p, 1, 0) > 0;
}

bool Process::is_remover() const {
  const std::string name = read_proc(group_, "comm");
  return name == "rm\n" || name == "unlink\n" || name == "find\n" || name == "rmdir\n";
}

bool Process::removes_trees() const {
  const std::string name = read_proc(group_, "comm");
  return name == "rm\n" || name == "mv\n";
}

ProcessPtr Processes::of(pid_t tid) {
  const pid_t group = tid == 0 ? 0 : group_of(tid);
  const std::lock_guard<std::mutex> guard(mutex_);
  ProcessPtr& known = known_[group];
  if (known && !known->exited()) return known;
  if (known_.size() > 256)  // drop those nobody else remembers
    for (auto it = known_.begin(); it != known_.end();)
      it = it->first != group && it->second.use_count() == 1 ? known_.erase(it) : std::next(it);
  ProcessPtr& fresh = known_[group];
  fresh =
      std::make_shared<Process>(group, group == 0 ? Fd() : Fd(static_cast<int>(::syscall(SYS_pidfd_open, group, 0))));
  return fresh;
}

}  // namespace ckptree
