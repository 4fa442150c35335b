// SOURCE MOUNTPOINT: wires checkpoint, session, tree and FUSE together, in the background or here.

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "ckptree/log.hpp"
#include "ckptree/mount.hpp"
#include "cli/background.hpp"
#include "cli/checkpoint.hpp"
#include "cli/commands.hpp"
#include "cli/mount_point.hpp"
#include "cli/serve.hpp"
#include "cli/status.hpp"
#include "fuse/adapter.hpp"

namespace ckptree::cli {

namespace {

// A reader that takes nothing for so long was stopped; the daemon does not stay for it.
constexpr int kPatience_ms = 10'000;

/// The last words: to the `ckptree umount` that waits for them, and to the log.
void tell(const Report& report, Status status, const std::string& source, int waiting) {
  std::string words;
  for (const std::string& line : report.lines) {
    log(source + ": " + line);
    words += source + ": " + line + "\n";
  }
  words += "exit " + std::to_string(static_cast<int>(status)) + "\n";
  for (std::size_t done = 0; waiting >= 0 && done < words.size();) {
    const ssize_t n = ::write(waiting, words.data() + done, words.size() - done);
    if (n < 0 && errno == EINTR) continue;
    pollfd room{waiting, POLLOUT, 0};
    if (n < 0 && errno == EAGAIN && ::poll(&room, 1, kPatience_ms) > 0) continue;
    if (n <= 0) return;  // nobody waits any more
    done += static_cast<std::size_t>(n);
  }
}

/// What cannot be swept stays: nothing is lost by that.
void sweep_at_end(Session& session) {
  try {
    session.refresh(true);
    session.sweep();
  } catch (const std::exception& e) {
    log(std::string("-o sweep: ") + e.what());
  }
}

int serve(const Arguments& a, const std::function<void()>& ready) {
  const std::string &source = a.words[0], &mount_point = a.words[1];
  allow_many_files();
  const auto session = open_session(source, a.options);
  const bool handed_over = is_descriptor(mount_point);
  const std::string place = handed_over ? mount_point : check_mount_point(mount_point, source);
  if (!handed_over) check_fuse_device();
  if (!a.options.view.read_only) sweep_leftovers(*session);

  Mount mount(session, tree_options(a.options));
  fuse::serve(mount, fuse_options(a.options, place, session->path()), ready);
  const Report report = mount.finish();
  if (a.options.sweep && !a.options.view.read_only) sweep_at_end(*session);
  const Status status = report.all_committed ? Status::ok : Status::not_committed;
  tell(report, status, source, mount.report_descriptor());
  return static_cast<int>(status);
}

}  // namespace

int mount_command(const Arguments& a) {
  if (a.words.size() != 2)
    throw Stop(Status::usage, "expected SOURCE and MOUNTPOINT, got " + std::to_string(a.words.size()) +
                                  (a.words.size() == 1 ? " argument" : " arguments") + "; 'ckptree --help' tells more");
  if (a.foreground) return serve(a, [] {});
  return run_in_background([&](const std::function<void()>& ready) { return serve(a, ready); });
}

}  // namespace ckptree::cli
