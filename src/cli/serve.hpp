#pragma once

#include <string>

#include "ckptree/mount.hpp"
#include "cli/options.hpp"
#include "fuse/adapter.hpp"

namespace ckptree::cli {

/// What -o says, as the layers below take it.
MountOptions tree_options(const Options& options);
/// @param source  the name in mount tables, unless -o fsname= gives another
fuse::FuseOptions fuse_options(const Options& options, const std::string& mount_point, const std::string& source);

}  // namespace ckptree::cli
