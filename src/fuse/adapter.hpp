#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ckptree/mount.hpp"

namespace ckptree::fuse {

struct FuseOptions {
  std::string mount_point;  // a directory, or "/dev/fd/N": a /dev/fuse that somebody else has mounted
  std::string fsname, subtype = "ckptree";
  bool read_only = false, allow_other = false, allow_root = false;
  std::vector<std::string> kernel;  // handed to the mount as they are: noatime, noexec
};

/// Mounts, calls `mounted` once the kernel has answered, and serves until somebody unmounts or SIGTERM, SIGINT or SIGHUP
/// arrives; then unmounts. What is pending is still to be committed: Mount::finish.
/// @throws Error Errc::no_fuse, Errc::no_permission, Errc::mount_point with libfuse's own words
void serve(Mount& mount, const FuseOptions& options, const std::function<void()>& mounted);

}  // namespace ckptree::fuse
