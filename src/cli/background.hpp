#pragma once

#include <functional>

namespace ckptree::cli {

/// Runs `work` in a process of its own that outlives this one. It calls `ready` when it serves: only then does the
/// caller get its answer, so a failure before that is told by this process, by sentence and exit status.
///
/// Call it before any thread exists: a forked child has one thread.
/// @return the exit status of this process
int run_in_background(const std::function<int(const std::function<void()>& ready)>& work);

/// Nothing of the terminal, of the caller's pipes or of its working directory stays in use; the log goes to syslog.
void let_go();

}  // namespace ckptree::cli
