#pragma once

#include <sys/types.h>

namespace ckptree::cli {

/// Puts this process, which has one thread, into a mount namespace of its own: what it mounts is seen by it and its
/// children alone and goes with the last of them. As root that takes nothing else; other users get a user namespace of
/// their own as well, in which only they themselves are known.
/// @return whether it is a user namespace of its own
/// @throws Stop Status::no_permission where the system gives out none
bool enter_own_namespace();

/// What tells this process's mount namespace from others.
ino_t mount_namespace();

/// Ends every other process of a mount namespace that this one may look at: asked first, killed when it is still there
/// a moment later.
void end_processes_of(ino_t mount_namespace, pid_t spared);

}  // namespace ckptree::cli
