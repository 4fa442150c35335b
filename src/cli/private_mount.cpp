#include "cli/private_mount.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "ckptree/error.hpp"
#include "cli/mount_point.hpp"
#include "cli/own_namespace.hpp"
#include "cli/private_server.hpp"
#include "commit/execute.hpp"

namespace ckptree::cli {

namespace {

constexpr int kSignalled = 128, kNotExecutable = 126, kNotFound = 127;  // as of a shell

// The command that is waited for: signals that are meant for it are handed on.
volatile std::sig_atomic_t running = 0;

void hand_on(int signal) {
  if (running > 0) ::kill(static_cast<pid_t>(running), signal);
}

/// How signals are taken while a command runs. Those of the terminal it gets itself.
class Signals {
 public:
  Signals() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction handed_on {};
    handed_on.sa_handler = hand_on;
    for (std::size_t i = 0; i < std::size(kSignals); ++i)
      ::sigaction(kSignals[i], i < kOfTerminal ? &ignore : &handed_on, &before_[i]);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() { restore(); }
  void restore() const {
    for (std::size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  }

 private:
  static constexpr int kSignals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
  static constexpr std::size_t kOfTerminal = 2;
  struct sigaction before_[std::size(kSignals)];
};

/// Signals that come meanwhile wait, until there is somebody to hand them on to.
class Held {
 public:
  Held() {
    sigset_t handed_on;
    ::sigemptyset(&handed_on);
    for (const int signal : {SIGTERM, SIGHUP}) ::sigaddset(&handed_on, signal);
    ::sigprocmask(SIG_BLOCK, &handed_on, &before_);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { let_go(); }
  void let_go() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

/// In the new process. The text goes out by hand: nothing of this process's buffers is to be written twice.
[[noreturn]] void become(const std::vector<std::string>& words, const std::string& top, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kSignalled + SIGKILL);
  // main() ignores them, and a command would inherit that.
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_DFL);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  if (::setenv("CKPT", top.c_str(), 1) == 0 && ::chdir(top.c_str()) == 0) ::execvp(arguments[0], arguments.data());
  const int error = errno;
  complain(words[0] + ": " + std::strerror(error));
  ::_exit(error == ENOENT ? kNotFound : kNotExecutable);
}

int wait_for(pid_t child) {
  int how = 0;
  while (::waitpid(child, &how, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(how) ? kSignalled + WTERMSIG(how) : WEXITSTATUS(how);
}

}  // namespace

PrivateMount::PrivateMount(const std::string& source, const Options& options, Pending killed,
                           const std::shared_ptr<Session>& session) {
  auto [mine, theirs] = Channel::pair();
  const pid_t parent = ::getpid();
  server_process_ = ::fork();
  if (server_process_ < 0) throw_errno("fork");
  if (server_process_ == 0) {
    mine.close();
    int status = static_cast<int>(Status::failure);
    try {
      status = serve_privately(source, options, session, killed == Pending::drop, parent, theirs);
    } catch (...) {
      const Ending ending = current_ending();
      status = static_cast<int>(ending.status);
      theirs.send(static_cast<char>(ending.status) + ending.text);
    }
    ::_exit(status);
  }
  theirs.close();
  server_ = std::move(mine);
  try {
    checkpoint_ = server_answer(server_);
    top_ = server_answer(server_);
    const bool own_users = enter_own_namespace();
    mount(source, options, own_users);
    server_answer(server_);
  } catch (...) {
    clean();
    throw;
  }
}

PrivateMount::~PrivateMount() { clean(); }

/// The kernel takes a connection only from the user namespace of the mount, so it is opened here and handed over.
void PrivateMount::mount(const std::string& source, const Options& options, bool own_users) {
  check_fuse_device();
  const Fd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device) throw_errno("/dev/fuse");
  const std::string data =
      "fd=" + std::to_string(device.get()) + ",rootmode=40000,user_id=" + std::to_string(::geteuid()) +
      ",group_id=" + std::to_string(::getegid()) + ",default_permissions" + (options.allow_other ? ",allow_other" : "");
  unsigned long flags = MS_NOSUID | MS_NODEV;
  if (options.view.read_only) flags |= MS_RDONLY;
  for (const std::string& option : options.kernel) {
    if (option == "noatime") flags |= MS_NOATIME;
    if (option == "noexec") flags |= MS_NOEXEC;
  }
  const std::string &name = options.fsname.empty() ? checkpoint_ : options.fsname, type = "fuse." + options.subtype;
  if (::mount(name.c_str(), top_.c_str(), type.c_str(), flags, data.c_str()) != 0) {
    const int error = errno;
    throw Stop(error == EPERM || error == EACCES ? Status::no_permission : Status::no_fuse,
               source + ": could not be mounted on " + top_ + ": " + std::strerror(error));
  }
  server_.send((own_users ? "own " : "shared ") + std::to_string(mount_namespace()), device.get());
}

int PrivateMount::run(const std::vector<std::string>& words) {
  const Held held;
  const Signals signals;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw_errno("fork");
  if (child == 0) {
    signals.restore();
    held.let_go();
    become(words, top_, parent);
  }
  running = child;
  held.let_go();
  const int status = wait_for(child);
  running = 0;
  return status;
}

Status PrivateMount::end(Pending pending) {
  const Signals signals;  // the commit is waited for
  // Its bytes that the kernel still has go to the server now; who has files open there keeps them until he is ended.
  ::umount2(top_.c_str(), MNT_DETACH);
  server_.send(pending == Pending::drop ? "drop" : "end");
  std::optional<Status> status;
  while (const auto line = server_.receive()) {
    if (line->empty()) continue;
    if (line->size() == 1) status = Status{line->front()};
    else complain(line->substr(1));
  }
  clean();
  if (status) return *status;
  sweep_temporaries(checkpoint_);
  throw Stop(Status::failure, checkpoint_ +
                                  ": the program that served its mount ended without a word; "
                                  "what it had not committed is lost");
}

/// The server sees to all of it but for its own end, and does it alone when this process was killed.
void PrivateMount::clean() noexcept {
  // First the mount: the server serves as long as somebody could ask.
  if (!top_.empty()) ::umount2(top_.c_str(), MNT_DETACH);
  server_.close();
  if (server_process_ > 0) wait_for(server_process_);
  server_process_ = -1;
  if (!top_.empty()) ::rmdir(top_.c_str());
  top_.clear();
}

}  // namespace ckptree::cli
