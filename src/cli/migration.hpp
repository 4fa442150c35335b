#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "formats/torch/migration_rules.hpp"

namespace ckptree::cli {

/// What a new script of migrations says. @see tree.md section 5
std::string new_script(bool final, bool with_setup);

/// A checkpoint beside the scripts of a directory.
struct Findings {
  torch::Groups groups;
  std::optional<std::size_t> group;  // of the checkpoint
  std::string why_incompatible;      // empty: it is compatible
  std::vector<torch::Migration> registered;
  torch::Standings standings;
};
/// @param source  the checkpoint as the user spelled it  @throws Stop when it is none of a training
Findings look_at(const Session& session, const std::string& source, const std::string& directory);

/// Runs what is missing and registers it, as one commit. @return the exit status
int sync_migrations(const std::string& source, const Options& options, const MigrationFlags& flags);

/// What to do about scripts that are new and stand before the last merged one.
struct Renaming {
  std::string from, to;
};
/// @param all  every script's file name, sorted  @param added  those that are new, sorted
std::vector<Renaming> renamings(const std::vector<std::string>& all, const std::vector<std::string>& added);
/// Gives new scripts, as git tells them from those of origin/main, the seconds behind the last merged one.
int fix_order(const std::string& directory, bool check);

}  // namespace ckptree::cli
