#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "cli/channel.hpp"
#include "cli/options.hpp"

namespace ckptree::cli {

/// The other half of a PrivateMount, in a process of its own: opens the checkpoint and makes a folder for the mount,
/// serves the connection that comes, and at the end commits, tells how that went and removes the folder.
///
/// Messages to the owner begin with a Status as one byte: the checkpoint's path; the folder; an empty one when the
/// mount is served; at the end lines about edits, and one with nothing behind the byte. A failure ends it. Messages
/// from the owner: "own" or "shared" (its user namespace) and the number of its mount namespace, with the connection;
/// "end", or "drop" where nothing is to be committed.
///
/// @param opened  the session of the source; null: it is opened here
/// @param drop   whether pending edits are dropped, not committed, when the owner was killed
/// @param owner  the process of the PrivateMount
/// @return the exit status
int serve_privately(const std::string& source, const Options& options, const std::shared_ptr<Session>& opened,
                    bool drop, pid_t owner, const Channel& channel);

/// For the owner: what the server says next. @throws Stop when that is a failure, or it is gone
std::string server_answer(const Channel& server);

}  // namespace ckptree::cli
