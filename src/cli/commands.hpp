#pragma once

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace ckptree::cli {

/// The words of a command line, sorted.
struct Arguments {
  std::vector<std::string> words;  // what is no option
  Options options;
  bool foreground = false;
  bool long_form = false;
};

// The subcommands. Each answers the exit status; what goes wrong is thrown.
int mount_command(const Arguments& arguments);
int umount_command(const Arguments& arguments);
int ls_command(const Arguments& arguments);
int cat_command(const Arguments& arguments);
int write_command(const Arguments& arguments);

}  // namespace ckptree::cli
