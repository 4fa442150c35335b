#pragma once

#include <string>

namespace ckptree::cli {

/// What --help prints, from the tables of options and exit statuses.
std::string help_text();
/// What --version prints.
std::string version_text();

}  // namespace ckptree::cli
