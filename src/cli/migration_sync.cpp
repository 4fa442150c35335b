// migration sync: what is missing is run and registered, all of it or nothing.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "ckptree/error.hpp"
#include "ckptree/fd.hpp"
#include "cli/checkpoint.hpp"
#include "cli/migration.hpp"
#include "cli/old_checkpoint.hpp"
#include "cli/private_mount.hpp"
#include "cli/status.hpp"
#include "formats/torch/migrations.hpp"

namespace ckptree::cli {

namespace {

using torch::Migration;

/// anemoi's own, in Python, are not run; nothing behind one is.
bool is_python(const Migration& m) { return m.signature.empty(); }

constexpr char kRegistered[] = "migrations/registered";

void write_file(const std::string& path, const std::string& text) {
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file || ::write(file.get(), text.data(), text.size()) < 0) throw_errno(path);
  // Close says whether the text was taken.
  if (::close(file.release()) != 0) throw_errno(path);
}

/// Of a file; empty when it cannot be read.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// "STEM-vVERSION-N.EXT" beside the checkpoint, as anemoi calls it. The version is what somebody wrote into it.
std::string name_of_old(const std::string& checkpoint, const std::vector<Migration>& registered) {
  const std::filesystem::path path = checkpoint;
  std::string version = std::to_string(registered.size());
  if (!registered.empty()) version = file_name_of(registered.back().version).text + "-" + version;
  return path.parent_path() / (path.stem().string() + "-v" + version + path.extension().string());
}

/// @throws Stop when a script does not end well; nothing is committed then
void run_script(PrivateMount& mount, const Migration& m, const char* argument) {
  const int status = mount.run({std::filesystem::absolute(m.path), argument});
  if (status != 0)
    throw Stop(Status::failure, m.path + ": " + argument + " ended with exit status " + std::to_string(status) +
                                    "; nothing was changed");
  for (const auto& refused : std::filesystem::directory_iterator(mount.top() + "/.ckptree/rejected"))
    if (refused.path().extension() == kReasonSuffix)
      throw Stop(Status::failure, m.path + ": " + argument +
                                      ": an edit was refused; nothing was changed: " + first_line(refused.path()));
}

std::string registered_file(const PrivateMount& mount, const Migration& m) {
  return mount.top() + "/" + kRegistered + "/" + file_name_of(m.name).text;
}

void run_all(PrivateMount& mount, const std::vector<Migration>& todo) {
  for (const Migration& m : todo) run_script(mount, m, "setup");
  for (const Migration& m : todo) {
    run_script(mount, m, "migrate");
    try {
      write_file(registered_file(mount, m), torch::json_of(m));
    } catch (const std::system_error& e) {
      const std::string why = first_line(mount.top() + "/.ckptree/last_error");
      throw Stop(Status::failure,
                 m.name + ": cannot be registered; nothing was changed: " + (why.empty() ? e.code().message() : why));
    }
  }
  for (const Migration& m : todo)
    if (!std::filesystem::exists(registered_file(mount, m)))
      throw Stop(Status::failure, m.name + ": a later script took back what it did; nothing was changed");
}

/// Whether the commit of a sync that did not end well is in place all the same: it may only not be certain to survive a
/// power loss.
bool is_committed(const std::string& source, const Options& options, const MigrationFlags& flags,
                  const Migration& last) {
  try {
    const auto registered = look_at(*open_session(source, options), source, flags.directory).registered;
    return std::any_of(registered.begin(), registered.end(), [&](const Migration& m) { return m.name == last.name; });
  } catch (const std::exception&) {
    return true;  // nobody can tell: the old one stays
  }
}

}  // namespace

int sync_migrations(const std::string& source, const Options& given, const MigrationFlags& flags) {
  Options options = given;
  options.view.edit_all = true;
  options.flush_interval = FlushInterval::parse("none");  // all of it is one commit,
  options.commits = Session::Commits::one;                // of what was there when it began
  const auto session = open_session(source, options);
  const Findings found = look_at(*session, source, flags.directory);
  if (!found.why_incompatible.empty())
    throw Stop(Status::failure, source + ": cannot be migrated: " + found.why_incompatible);
  if (!found.standings.extra.empty()) {
    std::string names;
    for (const std::string& name : found.standings.extra) names += (names.empty() ? "" : ", ") + name;
    throw Stop(Status::failure, source + ": cannot be migrated: extra migrations are registered (" + names + ")");
  }
  for (const auto& one : found.standings.all)
    if (one.standing == torch::Standing::changed)
      complain(source + ": has been through " + one.migration.name + ", whose script has changed since");

  const std::vector<Migration>& missing = found.standings.missing;
  const auto python = std::find_if(missing.begin(), missing.end(), is_python);
  const std::vector<Migration> todo(missing.begin(), python);
  const auto stop_at_python = [&] {
    if (python == missing.end()) return 0;
    throw Stop(Status::failure, source + ": stops before " + python->name +
                                    ", a Python script of anemoi-models: run 'anemoi-models migration sync', or " +
                                    "write it over the tree");
  };
  if (missing.empty()) std::printf("compatible: nothing is missing\n");
  if (todo.empty()) return stop_at_python();

  using Pending = PrivateMount::Pending;
  PrivateMount mount(source, options, Pending::drop, session);
  try {
    run_all(mount, todo);
  } catch (...) {
    mount.end(Pending::drop);
    throw;
  }
  if (flags.dry_run) {
    const Status end = mount.end(Pending::drop);
    if (end != Status::ok) return static_cast<int>(end);
    std::printf("Would execute %zu migration%s:\n", todo.size(), todo.size() == 1 ? "" : "s");
  } else {
    const std::string kept = name_of_old(session->path(), found.registered);
    OldCheckpoint old(session->path(), kept);
    const Status end = mount.end();
    if (end != Status::ok) {
      if (is_committed(source, given, flags, todo.back())) old.keep();
      return static_cast<int>(end);
    }
    old.keep();
    std::printf("The checkpoint as it was: %s\nExecuted %zu migration%s:\n", kept.c_str(), todo.size(),
                todo.size() == 1 ? "" : "s");
  }
  for (const Migration& m : todo) std::printf("  + %s [v%s]\n", m.name.c_str(), m.version.c_str());
  std::fflush(stdout);
  return stop_at_python();
}

}  // namespace ckptree::cli
