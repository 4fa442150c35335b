#pragma once

#include <string>

#include "ckptree/disk.hpp"
#include "ckptree/error.hpp"

namespace ckptree {

/// The commit is in place, but a step behind the commit point failed: a power loss may undo it.
struct NotDurable : Error {
  explicit NotDurable(const std::string& text) : Error(Errc::io, text) {}
};

/// Runs a plan, all of it or none: takes the lock of the target, compares it with `seen`, runs the steps in order; when
/// one fails, removes the temporary and rethrows with the target and the step in the text. The target is compared once
/// more before each rename, because programs that know nothing of the lock write checkpoints too.
/// @throws Error Errc::stale when the target is no longer what was seen, Errc::busy when its lock cannot be had;
///         NotDurable
void execute(const Plan& plan, const Fingerprint& seen, Disk& disk);

/// What the file looks like; all zeros when there is none.
Fingerprint fingerprint_or_none(Disk& disk, const std::string& path);

/// Name of the temporary that a commit of `path` writes: a hidden sibling that names the checkpoint and this process,
/// and another one at each call.
/// @param is_directory  of a plan that makes many files
std::string temporary_name(const std::string& path, bool is_directory = false);
/// What the names of all our temporaries beside `path` begin with: ".NAME.ckptree-". A scratch directory goes on with
/// "scratch-". A long NAME is cut so that the whole stays a file name.
std::string temporary_prefix(const std::string& path);

/// A file, or a directory with all that is in it; none is no error. Follows no symbolic link.
void remove_tree(const std::string& path);

/// Removes what dead processes left beside `path`: files of commits, scratch directories. An owner that lives holds a
/// lock (flock) on its file or directory, which works across containers where process numbers do not. Never throws for
/// what it cannot remove: that is logged. @return how many
std::size_t sweep_temporaries(const std::string& path);

}  // namespace ckptree
