// umount: unmounts and waits until the daemon has told how it ended.

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "ckptree/fd.hpp"
#include "cli/commands.hpp"
#include "cli/mount_point.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

namespace {

constexpr const char* kExit = "exit ";
// After so long without a word people wonder.
constexpr int kSilence_ms = 3000;

/// What a daemon leaves behind when it ends.
struct Farewell {
  Fd words;    // a pipe with its last words
  Fd process;  // or only the process itself
};

/// The process that serves a mount, by the number it shows itself. A mount without edits takes no requests to report
/// (the kernel lets nobody open a file for writing), and has nothing to report but its end.
Fd process_behind(const std::string& real) {
  std::ifstream in(real + "/.ckptree/status.json");
  const std::string status{std::istreambuf_iterator<char>(in), {}};
  static const std::string kKey = "\"pid\": ";
  const auto at = status.find(kKey);
  if (at == std::string::npos) return {};
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, std::atoi(status.c_str() + at + kKey.size()), 0)));
}

/// As root by the system call, else by the set-user-ID helper of FUSE. @return 0 or an errno
int unmount(const std::string& real) {
  if (::umount2(real.c_str(), UMOUNT_NOFOLLOW) == 0) return 0;
  if (errno != EPERM) return errno;
  const pid_t child = ::fork();
  if (child < 0) throw_errno("fork");
  if (child == 0) {
    // Its own words are swallowed: the reason is told below, in ours.
    const int null = ::open("/dev/null", O_WRONLY);
    if (null >= 0) ::dup2(null, STDERR_FILENO);
    ::execlp("fusermount3", "fusermount3", "-u", "--", real.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int how = 0;
  while (::waitpid(child, &how, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return 0;
  if (WIFEXITED(how) && WEXITSTATUS(how) == 127) return EPERM;
  return mounted_on(real) ? EBUSY : 0;
}

void unmount_or_stop(const std::string& mount_point, const std::string& real) {
  const int error = unmount(real);
  if (error == EBUSY)
    throw Stop(Status::mount_point, mount_point +
                                        ": busy: a program has a file open or its working directory there; "
                                        "it stays mounted and nothing is lost");
  if (error == EPERM || error == EACCES)
    throw Stop(Status::no_permission, mount_point + ": no permission to unmount it; it stays mounted");
  if (error != 0) throw Stop(Status::failure, mount_point + ": " + std::strerror(error));
}

/// The daemon was killed: nobody can be asked.
[[noreturn]] void gone_already(const std::string& mount_point, const std::string& real) {
  unmount_or_stop(mount_point, real);
  throw Stop(Status::failure, mount_point +
                                  ": unmounted, but the program that served it was gone already; "
                                  "what it had not committed is lost");
}

/// Asks the daemon behind the mount for its last words, on a pipe of ours that it opens through /proc.
Farewell ask_for_report(const std::string& mount_point, const std::string& real) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
  Fd words(ends[0]), for_daemon(ends[1]);
  const Fd control(::open((real + "/.ckptree/report").c_str(), O_WRONLY | O_CLOEXEC));
  if (!control) {
    if (errno == EROFS) return {Fd(), process_behind(real)};
    if (errno == ENOTCONN || errno == ECONNABORTED) gone_already(mount_point, real);
    if (errno == EACCES || errno == EPERM)
      throw Stop(Status::no_permission, mount_point + ": no permission to unmount it");
    throw Stop(Status::mount_point, mount_point + ": not a mount of ckptree");
  }
  const std::string line = std::to_string(for_daemon.get()) + "\n";
  if (::write(control.get(), line.data(), line.size()) < 0) {
    // A daemon that gave up its privileges cannot open a pipe of root's.
    if (errno == EINVAL || errno == EACCES || errno == EPERM) return {Fd(), process_behind(real)};
    throw_errno(mount_point + "/.ckptree/report");
  }
  return {std::move(words), Fd()};
}

/// Waits for something to read, or for an end; tells what for when it takes long.
void await(const Fd& farewell, const std::string& mount_point) {
  pollfd ready{farewell.get(), POLLIN, 0};
  int patience = kSilence_ms;
  for (int n; (n = ::poll(&ready, 1, patience)) <= 0;) {
    if (n < 0 && errno != EINTR) throw_errno("poll");
    if (n < 0 || patience < 0) continue;
    complain(mount_point +
             ": unmounted; waiting until all is committed and nobody holds it (a container, or a 'ckptree run' "
             "that was started meanwhile, may)");
    patience = -1;
  }
}

/// Prints the daemon's lines as they come. @return the status that the last one names
int relay(const Fd& words, const std::string& mount_point) {
  std::string text;
  std::optional<int> status;
  char buffer[4096];
  for (;;) {
    await(words, mount_point);
    const ssize_t n = ::read(words.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
    for (std::size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      const std::string line = text.substr(0, end);
      if (line.compare(0, std::strlen(kExit), kExit) == 0) status = std::atoi(line.c_str() + std::strlen(kExit));
      else complain(line);
    }
  }
  if (!status)
    throw Stop(Status::failure, mount_point +
                                    ": unmounted, but the program that served it ended without a word; "
                                    "what it had not committed is lost");
  return *status;
}

}  // namespace

int umount_command(const Arguments& a) {
  if (a.words.size() != 1) throw Stop(Status::usage, "umount: expected one MOUNTPOINT");
  const std::string& mount_point = a.words[0];
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(mount_point.c_str(), nullptr), &std::free);
  std::string real = resolved ? resolved.get() : "";
  if (!resolved) {
    if (errno == ENOENT || errno == ENOTDIR) throw Stop(Status::mount_point, mount_point + ": no such directory");
    if (errno == EACCES) throw Stop(Status::no_permission, mount_point + ": no permission to go there");
    if (errno != ENOTCONN) throw_errno(mount_point);
  }
  struct stat st;
  if (!resolved || (::stat(real.c_str(), &st) != 0 && errno == ENOTCONN)) {
    // The kernel still shows its mount.
    gone_already(mount_point, resolved ? real : mount_point);
  }
  const auto there = mounted_on(real);
  if (!there || there->type.compare(0, 4, "fuse") != 0)
    throw Stop(Status::mount_point, mount_point + ": not a mount of ckptree");
  const Farewell farewell = ask_for_report(mount_point, real);
  unmount_or_stop(mount_point, real);
  if (farewell.words) return relay(farewell.words, mount_point);
  if (farewell.process) await(farewell.process, mount_point);
  return 0;
}

}  // namespace ckptree::cli
