#include "cli/background.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "ckptree/error.hpp"
#include "ckptree/fd.hpp"
#include "ckptree/log.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

namespace {

// What the child says on the pipe: one byte, the exit status, and the sentence of a failure behind it.
void tell(int pipe, Status status, const std::string& text) {
  const std::string message = static_cast<char>(status) + text;
  for (std::size_t done = 0; done < message.size();) {
    const ssize_t n = ::write(pipe, message.data() + done, message.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the parent was killed: nobody wants to know
    done += static_cast<std::size_t>(n);
  }
}

std::string everything(int pipe) {
  std::string message;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(pipe, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return message;
    message.append(buffer, static_cast<std::size_t>(n));
  }
}

}  // namespace

void let_go() {
  ::openlog("ckptree", LOG_PID, LOG_DAEMON);
  set_log_sink([](const std::string& sentence) { ::syslog(LOG_WARNING, "%s", sentence.c_str()); });
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null)
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), standard);
  if (::chdir("/") != 0) log("the working folder of the caller stays in use: cd / failed");
}

int run_in_background(const std::function<int(const std::function<void()>& ready)>& work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
  Fd from_child(ends[0]), to_parent(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) throw_errno("fork");

  if (child == 0) {
    from_child.reset();
    ::setsid();
    int status = 0;
    try {
      status = work([&] {
        let_go();
        tell(to_parent.get(), Status::ok, "");
        to_parent.reset();
      });
    } catch (...) {
      const Ending ending = current_ending();
      status = static_cast<int>(ending.status);
      if (to_parent) tell(to_parent.get(), ending.status, ending.text);
      else log(ending.text);
    }
    return status;
  }

  to_parent.reset();
  const std::string message = everything(from_child.get());
  if (message.empty()) {
    int how = 0;
    while (::waitpid(child, &how, 0) < 0 && errno == EINTR) {
    }
    complain(WIFSIGNALED(how)
                 ? "the process that was to serve the mount was killed by signal " + std::to_string(WTERMSIG(how))
                 : "the process that was to serve the mount ended without a word");
    return static_cast<int>(Status::failure);
  }
  if (message[0] != static_cast<char>(Status::ok)) complain(message.substr(1));
  return message[0];
}

}  // namespace ckptree::cli
