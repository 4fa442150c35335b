#pragma once

#include <optional>
#include <string>

namespace ckptree::cli {

/// A line of /proc/self/mountinfo.
struct MountEntry {
  std::string point, type, source;
};
/// What is mounted on `path` (absolute, symbolic links resolved): the topmost, or nothing.
std::optional<MountEntry> mounted_on(const std::string& path);

/// Whether mount(8) mounted already and hands the connection over: "/dev/fd/N".
bool is_descriptor(const std::string& mount_point);

/// The mount point with symbolic links resolved, after it was found fit for a mount of `source`.
/// @throws Stop Status::mount_point: missing, no directory, something mounted there; Status::usage: the source lies
///         below it and would be hidden; Status::no_permission
std::string check_mount_point(const std::string& mount_point, const std::string& source);

/// @throws Stop Status::no_fuse or Status::no_permission
void check_fuse_device();

}  // namespace ckptree::cli
