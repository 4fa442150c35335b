// Mounting, serving, unmounting.
#include "fuse/adapter.hpp"

#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "fuse/operations.hpp"

namespace ckptree::fuse {
namespace {

/// What libfuse complains about goes into the one sentence a user gets.
std::string& complaint() {
  static std::string text;
  return text;
}

void remember_complaint(fuse_log_level, const char* format, va_list arguments) {
  static std::mutex mutex;
  char text[1024];
  std::vsnprintf(text, sizeof text, format, arguments);
  const std::lock_guard<std::mutex> guard(mutex);
  std::string& all = complaint();
  if (all.size() < 4096) all += text;
  while (!all.empty() && all.back() == '\n') all.pop_back();
}

Error mount_failure(const std::string& mount_point, int number) {
  const std::string& words = complaint();
  const std::string text = mount_point + ": could not be mounted: " + (words.empty() ? std::strerror(number) : words);
  if (number == EPERM || number == EACCES) return Error(Errc::no_permission, text);
  if (number == ENOENT || number == ENODEV) return Error(Errc::no_fuse, text);
  if (number == ENOTDIR || number == EBUSY) return Error(Errc::mount_point, text);
  return Error(Errc::io, text);
}

std::string mount_options(const FuseOptions& o) {
  std::string list = "default_permissions,subtype=" + o.subtype + ",fsname=";
  for (const char c : o.fsname) {
    if (c == ',' || c == '\\') list += '\\';
    list += c;
  }
  if (o.read_only) list += ",ro";
  if (o.allow_other) list += ",allow_other";
  if (o.allow_root) list += ",allow_root";
  for (const std::string& k : o.kernel) list += "," + k;
  return list;
}

/// libfuse's handlers, which end the loop. When that is over the last commit is made: what would end the process in the
/// middle of it (a second Ctrl-C, a shutdown that unmounts and then signals everybody) is ignored from there on.
class Signals {
 public:
  explicit Signals(fuse_session* session) : session_(session) {
    if (fuse_set_signal_handlers(session) != 0) throw Error(Errc::io, "signal handlers could not be set");
  }
  ~Signals() {
    for (const int number : {SIGHUP, SIGINT, SIGTERM}) std::signal(number, SIG_IGN);
    fuse_remove_signal_handlers(session_);
    std::signal(SIGPIPE, SIG_IGN);  // libfuse gives it back its default
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  fuse_session* session_;
};

}  // namespace

void serve(Mount& mount, const FuseOptions& options, const std::function<void()>& mounted) {
  const std::string list = mount_options(options);
  const char* words[] = {"ckptree", "-o", list.c_str()};
  fuse_args args = FUSE_ARGS_INIT(3, const_cast<char**>(words));
  const fuse_lowlevel_ops ops = operations();
  Server server{mount, mounted, nullptr};

  fuse_set_log_func(remember_complaint);
  const std::unique_ptr<fuse_session, void (*)(fuse_session*)> session(
      fuse_session_new(&args, &ops, sizeof ops, &server), &fuse_session_destroy);
  fuse_opt_free_args(&args);
  if (!session) throw Error(Errc::invalid, options.mount_point + ": could not be mounted: " + complaint());
  const Signals signals(session.get());
  errno = 0;
  if (fuse_session_mount(session.get(), options.mount_point.c_str()) != 0)
    throw mount_failure(options.mount_point, errno);

  server.lock_waiter = std::make_unique<LockWaiter>();
  const std::unique_ptr<fuse_loop_config, void (*)(fuse_loop_config*)> loop(fuse_loop_cfg_create(),
                                                                            &fuse_loop_cfg_destroy);
  const int result = fuse_session_loop_mt(session.get(), loop.get());
  server.lock_waiter.reset();
  fuse_session_unmount(session.get());
  if (result < 0) log(options.mount_point + ": the loop of requests ended: " + std::strerror(-result));
}

}  // namespace ckptree::fuse
