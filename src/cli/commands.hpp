#pragma once

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace ckptree::cli {

/// Options of `migration` alone.
struct MigrationFlags {
  std::string directory;  // --dir
  bool with_setup = false, final = false, dry_run = false, check = false;
};

/// The words of a command line, sorted.
struct Arguments {
  std::vector<std::string> words;  // what is no option
  Options options;
  bool foreground = false;
  bool long_form = false;
  MigrationFlags migration;
};

// The subcommands. Each answers the exit status; what goes wrong is thrown.
int mount_command(const Arguments& arguments);
int umount_command(const Arguments& arguments);
int ls_command(const Arguments& arguments);
int cat_command(const Arguments& arguments);
int write_command(const Arguments& arguments);
int run_command(const Arguments& arguments);
int migration_command(const Arguments& arguments);

}  // namespace ckptree::cli
