// migration: scripts over the tree, and which of them a checkpoint has been through.

#include <fcntl.h>
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <ctime>

#include "ckptree/error.hpp"
#include "ckptree/fd.hpp"
#include "cli/checkpoint.hpp"
#include "cli/commands.hpp"
#include "cli/migration.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

namespace {

using torch::Migration;

Stop bad_usage(const std::string& text) { return Stop(Status::usage, "migration " + text); }

const std::string& only_word(const Arguments& a, const char* what) {
  if (a.words.size() != 2) throw bad_usage(a.words[0] + ": expected " + what);
  return a.words[1];
}

void list(const char* title, const std::vector<Migration>& all, char sign) {
  if (all.empty()) return;
  std::printf("%zu %s migration%s:\n", all.size(), title, all.size() == 1 ? "" : "s");
  for (const Migration& m : all) std::printf("  %c %s [v%s]\n", sign, m.name.c_str(), m.version.c_str());
}

int create(const Arguments& a) {
  std::string name = only_word(a, "NAME");
  const MigrationFlags& flags = a.migration;
  if (flags.final && flags.with_setup) throw bad_usage("create: a final migration has no setup, for it is never run");
  for (char& c : name) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (c == ' ' || c == '-') c = '_';
  }
  if (name.empty() || name.find('/') != std::string::npos)
    throw bad_usage("create: '" + name + "': expected a file name");
  const std::string directory = flags.directory.empty() ? "." : flags.directory;
  const std::string path = directory + "/" + std::to_string(std::time(nullptr)) + "_" + name;
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0777));
  if (!file) throw_errno(path);
  const std::string text = new_script(flags.final, flags.with_setup);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw_errno(path);
  std::printf("Created migration %s\n", path.c_str());
  return 0;
}

int inspect(const Arguments& a) {
  const std::string& source = only_word(a, "CKPT");
  const Findings found = look_at(*open_session(source, a.options), source, a.migration.directory);
  std::vector<Migration> registered;
  for (const auto& one : found.standings.all)
    if (one.standing != torch::Standing::missing) registered.push_back(one.migration);
  if (!found.why_incompatible.empty()) {
    list("registered", registered, '*');
    std::printf("cannot be migrated: %s\n", found.why_incompatible.c_str());
    return 0;
  }
  if (found.standings.missing.empty() && found.standings.extra.empty()) std::printf("compatible: nothing is missing\n");
  list("registered", registered, '*');
  list("missing", found.standings.missing, '+');
  for (const auto& one : found.standings.all)
    if (one.standing != torch::Standing::registered && one.standing != torch::Standing::missing)
      std::printf("%s: %s\n", name_of(one.standing), one.migration.name.c_str());
  std::printf("compatibility group %zu of %zu\n", *found.group + 1, found.groups.size());
  if (!found.standings.extra.empty()) std::printf("cannot be migrated: extra migrations are registered\n");
  return 0;
}

}  // namespace

int migration_command(const Arguments& a) {
  if (a.words.empty()) throw bad_usage("needs one of create, inspect, sync, fix-order");
  const std::string& action = a.words[0];
  if (action == "create") return create(a);
  if (action != "inspect" && action != "sync" && action != "fix-order")
    throw bad_usage(action + ": expected create, inspect, sync or fix-order");
  if (a.migration.directory.empty()) throw bad_usage(action + ": expected --dir DIR");
  if (action == "inspect") return inspect(a);
  if (action == "sync") return sync_migrations(only_word(a, "CKPT"), a.options, a.migration);
  if (a.words.size() != 1) throw bad_usage("fix-order: expected nothing but --dir DIR");
  return fix_order(a.migration.directory, a.migration.check);
}

}  // namespace ckptree::cli
