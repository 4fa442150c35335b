// The end of a mount: everything is committed, or kept where its user finds it, and told.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "ckptree/error.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {

void Mount::State::take_report_descriptor(Bytes number, const Caller& caller) {
  if (caller.uid != ::geteuid() && caller.uid != 0)
    throw Error(Errc::no_permission, ".ckptree/report: only the user of the mount is told");
  const int fd = std::atoi(std::string(number).c_str());
  const ProcessPtr who = processes.of(caller.thread);
  const std::string path = "/proc/" + std::to_string(who->group()) + "/fd/" + std::to_string(fd);
  Fd pipe(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st;
  if (!pipe || ::fstat(pipe.get(), &st) != 0 || !S_ISFIFO(st.st_mode))
    throw Error(Errc::invalid, ".ckptree/report: expected the number of a pipe that the writer has open, got '" +
                                   std::string(number) + "'");
  const std::lock_guard<std::mutex> guard(mutex);
  report = std::move(pipe);
}

int Mount::report_descriptor() const {
  const std::lock_guard<std::mutex> guard(s_->mutex);
  return s_->report.get();
}

namespace {

// A file name has 255 bytes; time and process are added to it.
constexpr std::size_t kNameKept = 200;

std::filesystem::path state_folder() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state && *state) return std::filesystem::path(state) / "ckptree";
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home && *home ? home : "/var/lib") / ".local/state/ckptree";
}

void write_file(const std::filesystem::path& path, const Recipe& content) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) throw_errno(path.string());
  std::vector<char> buffer(1 << 17);
  for (std::uint64_t at = 0; const std::size_t n = content.read(at, Buffer(buffer.data(), buffer.size()));) {
    const ssize_t written = ::pwrite(fd.get(), buffer.data(), n, static_cast<off_t>(at));
    if (written < 0) throw_errno(path.string());
    at += static_cast<std::uint64_t>(written);
  }
  if (::fsync(fd.get()) != 0) throw_errno(path.string());
}

/// Moves what was refused to a folder of the user's, as much of it as can be. @return lines about it
/// @param top  what the folder is called after, and after where in it the checkpoint stands
std::vector<std::string> move_rejected(const std::string& top, const Session& session,
                                       const std::vector<Kept>& rejected) {
  std::string name = std::filesystem::path(top).filename().string();
  for (const std::string& part : session.within()) name += "-" + part;
  if (name.size() > kNameKept) name = name.substr(name.size() - kNameKept);
  const std::filesystem::path folder =
      state_folder() / (name + "-" + std::to_string(::time(nullptr)) + "-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::vector<std::string> lines{"their bytes are in " + folder.string()};
  for (const Kept& kept : rejected) {
    try {
      write_file(folder / kept.name, kept.content);
      write_file(folder / (kept.name + kReasonSuffix), Recipe::literal(kept.reason + "\n"));
    } catch (...) {
      lines.push_back("but not all of " + kept.name + ": " + current_failure().text);
    }
  }
  const Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) lines.push_back("but the folder could not be synced");
  return lines;
}

}  // namespace

Report Mount::finish() {
  {
    const std::lock_guard<std::mutex> guard(s_->mutex);
    s_->stopping = true;
  }
  s_->wake();
  if (s_->settler.joinable()) s_->settler.join();
  s_->settle_hidden([](const Name&, const Hidden&) { return true; });
  std::vector<std::shared_ptr<Draft>> open;
  {
    const std::lock_guard<std::mutex> guard(s_->mutex);
    for (const auto& [name, list] : s_->drafts)
      for (const auto& d : list)
        if (d->progress == Draft::Progress::written ||
            (d->progress == Draft::Progress::refused && d->rejected_as.empty()))
          open.push_back(d);
  }
  for (const auto& draft : open) {  // a lazy unmount, or SIGTERM: their writers will not come back
    draft->opens = 1;
    s_->close_draft(draft);
  }
  Report report;
  for (const auto& view : s_->views) {
    Session& session = *view->session;
    std::string failure;
    try {
      session.commit();
    } catch (...) {
      failure = current_failure().text;
      report.all_committed = false;
    }
    session.reject_waiting("was still waiting: for a metadata.json, or for a row that next/ should have become");
    std::vector<Kept> rejected = session.rejected();
    rejected.erase(std::remove_if(rejected.begin(), rejected.end(), [](const Kept& k) { return k.dropped; }),
                   rejected.end());
    // Where it took edits with it, each of them tells. Where nothing was kept of it, it is in place, though not certain
    // to survive a power loss.
    const bool told_below =
        std::any_of(rejected.begin(), rejected.end(), [&](const Kept& k) { return k.reason == failure; });
    if (!failure.empty() && !told_below)
      report.lines.push_back((rejected.empty() ? "" : "not committed: ") + session.from_top(failure));
    if (rejected.empty()) continue;
    report.all_committed = false;
    for (const Kept& kept : rejected) {
      // Most reasons begin with their place.
      const std::string place = to_string(kept.path);
      const bool told = kept.reason.compare(0, place.size(), place) == 0;
      report.lines.push_back("refused: " + session.from_top((told ? "" : place + ": ") + kept.reason));
    }
    try {
      const std::vector<std::string> lines = move_rejected(s_->top->path(), session, rejected);
      report.lines.insert(report.lines.end(), lines.begin(), lines.end());
    } catch (...) {
      report.lines.push_back("their bytes could not be kept: " + current_failure().text);
    }
  }
  return report;
}

}  // namespace ckptree
