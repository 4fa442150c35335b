#include "cli/own_namespace.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "ckptree/error.hpp"
#include "ckptree/fd.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

namespace {

using std::chrono::milliseconds;

// A process that is asked to end has this long to do it.
constexpr auto kAsked = milliseconds(1000);
// One that was killed and is still there waits for a device; nobody waits for it longer than this.
constexpr auto kKilled = milliseconds(5000);

/// What is mounted here is not to show up elsewhere. What is unmounted elsewhere goes here too: a mount of somebody
/// else's that stayed would keep its server from ending.
bool keeps_to_itself() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0) return true;
  // In a chroot / is no mount, and cannot be made a slave. It need not be, where nothing is shared.
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);)
    if (line.find(" shared:") != std::string::npos) return false;
  return true;
}

void write_map(const char* path, const std::string& text) {
  const Fd file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) < 0) throw_errno(path);
}

std::string same_number(unsigned id) { return std::to_string(id) + " " + std::to_string(id) + " 1\n"; }

std::vector<pid_t> processes_of(ino_t mount_namespace, pid_t spared) {
  std::vector<pid_t> found;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    struct stat st;
    if (pid <= 0 || pid == spared || pid == ::getpid()) continue;
    if (::stat((entry.path() / "ns/mnt").c_str(), &st) == 0 && st.st_ino == mount_namespace) found.push_back(pid);
  }
  return found;
}

}  // namespace

bool enter_own_namespace() {
  if (::unshare(CLONE_NEWNS) == 0) {
    if (!keeps_to_itself())
      throw Stop(Status::no_permission, "/: the mounts here are shared, and cannot be kept apart");
    return false;
  }
  // Beforehand: within, nobody is known until the maps are written.
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
    throw Stop(Status::no_permission, std::string("no user namespace of its own: ") + std::strerror(errno) +
                                          "; the system may forbid them (user.max_user_namespaces, AppArmor)");
  write_map("/proc/self/setgroups", "deny");
  write_map("/proc/self/uid_map", same_number(uid));
  write_map("/proc/self/gid_map", same_number(gid));
  return true;
}

ino_t mount_namespace() {
  struct stat st;
  if (::stat("/proc/self/ns/mnt", &st) != 0) throw_errno("/proc/self/ns/mnt");
  return st.st_ino;
}

void end_processes_of(ino_t mount_namespace, pid_t spared) {
  const auto begin = std::chrono::steady_clock::now();
  for (auto pause = milliseconds(1);; pause = std::min(2 * pause, milliseconds(50))) {
    const std::vector<pid_t> left = processes_of(mount_namespace, spared);
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (left.empty() || waited > kAsked + kKilled) return;
    for (const pid_t pid : left) ::kill(pid, waited < kAsked ? SIGTERM : SIGKILL);
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace ckptree::cli
