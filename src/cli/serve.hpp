#pragma once

#include <string>

#include "ckptree/mount.hpp"
#include "cli/options.hpp"
#include "fuse/adapter.hpp"

namespace ckptree::cli {

/// A mount keeps open what was looked into: a file of each checkpoint in a collection, of each chunk that is read. Most
/// systems allow a program 1,024 files unless it asks for more.
void allow_many_files();
/// What -o says, as the layers below take it.
MountOptions tree_options(const Options& options);
/// @param source  the name in mount tables, unless -o fsname= gives another
fuse::FuseOptions fuse_options(const Options& options, const std::string& mount_point, const std::string& source);

}  // namespace ckptree::cli
