#include "cli/private_server.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "ckptree/error.hpp"
#include "ckptree/log.hpp"
#include "ckptree/mount.hpp"
#include "cli/background.hpp"
#include "cli/checkpoint.hpp"
#include "cli/own_namespace.hpp"
#include "cli/serve.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

namespace {

constexpr char kOk = static_cast<char>(Status::ok);

/// The folder that is mounted on; removed when its owner is done with it, or gone.
class Folder {
 public:
  Folder() {
    const char* parent = std::getenv("TMPDIR");
    path_ = std::string(parent && *parent ? parent : "/tmp") + "/ckptree-XXXXXX";
    if (!::mkdtemp(path_.data())) throw_errno(path_);
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path_.c_str(), nullptr), &std::free);
    if (real) path_ = real.get();
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { ::rmdir(path_.c_str()); }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// Waits, in a thread, for the word of the owner or its death; then ends what still runs in the mount. The owner took
/// the mount away, or it goes with the last process that saw it, and that ends the loop of requests.
class Watch {
 public:
  Watch(const Channel& channel, ino_t mount_namespace, pid_t owner) {
    // Signals end the loop of requests in its own thread.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this, &channel, mount_namespace, owner] {
      last_word_ = channel.receive();
      end_processes_of(mount_namespace, owner);
    });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { wait(); }
  /// @return the word of the owner; nothing when it is dead
  std::optional<std::string> wait() {
    if (thread_.joinable()) thread_.join();
    return last_word_;
  }

 private:
  std::optional<std::string> last_word_;
  std::thread thread_;
};

}  // namespace

int serve_privately(const std::string& source, const Options& given, const std::shared_ptr<Session>& opened, bool drop,
                    pid_t owner, const Channel& channel) {
  allow_many_files();
  ::setsid();  // what kills the owner and its children spares whoever cleans up behind them
  Options options = given;
  const auto session = opened ? opened : open_session(source, options);
  if (!options.view.read_only) sweep_leftovers(*session);
  const Folder folder;
  channel.send(kOk + session->path());
  channel.send(kOk + folder.path());
  Fd device;
  const auto begin = channel.receive(&device);
  if (!begin || !device) return static_cast<int>(Status::failure);
  const auto blank = begin->find(' ');
  const ino_t mount_namespace = std::strtoull(begin->c_str() + blank + 1, nullptr, 10);
  // In a user namespace of its own the kernel would take any other owner for nobody, whom no write is allowed.
  if (begin->substr(0, blank) == "own") {
    options.uid = ::geteuid();
    options.gid = ::getegid();
  }

  const auto mounted = [&] {
    let_go();
    channel.send(std::string(1, kOk));
  };
  Mount mount(session, tree_options(options));
  const std::string place = "/dev/fd/" + std::to_string(device.get());
  device.release();  // libfuse owns it now
  Watch watch(channel, mount_namespace, owner);
  try {
    fuse::serve(mount, fuse_options(options, place, session->path()), mounted);
  } catch (...) {
    const Ending ending = current_ending();  // told before the owner is waited for
    channel.send(static_cast<char>(ending.status) + ending.text);
    throw;
  }
  const auto word = watch.wait();
  const bool owner_lives = word.has_value();
  if (owner_lives ? *word == "drop" : drop) session->discard_all();
  const Report report = mount.finish();
  const Status status = report.all_committed ? Status::ok : Status::not_committed;
  for (const std::string& line : report.lines) {
    if (!owner_lives) log(session->path() + ": " + line);
    channel.send(static_cast<char>(status) + source + ": " + line);
  }
  channel.send(std::string(1, static_cast<char>(status)));
  return static_cast<int>(status);
}

std::string server_answer(const Channel& server) {
  const auto answer = server.receive();
  if (!answer || answer->empty())
    throw Stop(Status::failure, "the process that was to serve the mount ended without a word");
  if (answer->front() != kOk) throw Stop(Status{answer->front()}, answer->substr(1));
  return answer->substr(1);
}

}  // namespace ckptree::cli
