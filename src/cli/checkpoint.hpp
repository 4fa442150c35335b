#pragma once

#include <memory>
#include <string>

#include "ckptree/session.hpp"
#include "cli/options.hpp"

namespace ckptree::cli {

/// The checkpoint at `source`, of the kind its content says or -o kind= orders: the one place that knows every format.
/// @throws Stop with the exit status and the one sentence that fit: no such source, not a checkpoint, damaged, ...
std::shared_ptr<Session> open_session(const std::string& source, const Options& options);

/// Removes what commits and mounts that were killed left beside the checkpoint. @see sweep_temporaries
void sweep_leftovers(const Session& session);

}  // namespace ckptree::cli
