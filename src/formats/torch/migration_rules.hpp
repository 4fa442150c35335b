#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

/// Which migrations a checkpoint has, lacks, and has that nobody knows: the rules of anemoi-models' Migrator, on names.
/// Pure functions. @see anemoi.models.migrations.migrator
namespace ckptree::torch {

/// What is known of a migration, of a script or as it is registered in a checkpoint.
struct Migration {
  std::string name;       // "1755530253_initial"
  std::string migration;  // version of the way scripts are written: "1.0.0"
  std::string version;    // of anemoi-models: "0.9.4"
  bool final = false;
  std::string signature;  // of a script that is not over the tree, which nobody can tell without Python: empty
  std::string path;       // of a script
};

/// What a script writes that a release is to fill in.
constexpr char kNextVersion[] = "%NEXT_ANEMOI_MODELS_VERSION%";

/// The scripts, in order, cut at those that are final: each begins a new group. There is at least one, maybe empty.
using Groups = std::vector<std::vector<Migration>>;
Groups groups_of(const std::vector<Migration>& scripts);

/// Index of the group of a checkpoint: the one whose first migration is its first; the first of all when it has none.
/// Nothing when there is no such group.
std::optional<std::size_t> group_of(const Groups& groups, const std::vector<Migration>& registered);

/// Why a checkpoint cannot be migrated, in a sentence; empty when it can.
/// @param registered  nothing: the checkpoint has no key for them
std::string why_incompatible(const Groups& groups, const std::optional<std::vector<Migration>>& registered);
/// The first version of anemoi-models that cannot migrate it; empty when every one can, or its group is not known.
std::string first_incompatible_version(const Groups& groups, const std::vector<Migration>& registered);

enum class Standing { registered, missing, extra, changed, unverified, out_of_order };
const char* name_of(Standing standing);

struct Standings {
  struct One {
    Migration migration;
    std::optional<std::size_t> group;  // of its script
    Standing standing;
  };
  std::vector<One> all;            // registered ones in their order, then missing ones in theirs
  std::vector<Migration> missing;  // to be run
  std::vector<std::string> extra;  // registered, and in nobody's order: nothing can be run
};
/// Compares by position, from the end, as the Migrator does: what is registered behind a hole is extra to it as well;
/// here it is told as out of order.
Standings compare(const Groups& groups, const std::vector<Migration>& registered);

}  // namespace ckptree::torch
