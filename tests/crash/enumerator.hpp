#pragma once

#include <functional>
#include <string>

#include "commit/memory_disk.hpp"

namespace ckptree_test {

/// What is found on the disk after power loss.
enum class Found { old, fresh, neither };

struct Verdict {
  std::size_t states = 0, old = 0, fresh = 0, violations = 0;
  std::string first;  // the first violation, in words
};

/// Cuts the power after every change that `commit` makes, lets each change that was not synced be lost, kept or torn,
/// and asks `judge` what is there. Neither old nor fresh is a violation; so is old after `commit` has returned.
///
/// All combinations are tried where there are at most `bound`; else each change alone against all others lost, and
/// against all others kept, and as many others as fit into `bound`, the same ones at every run.
Verdict cut_the_power(ckptree::MemoryDisk& disk, const std::function<void()>& commit,
                      const std::function<Found(const ckptree::MemoryDisk::Image&)>& judge, std::size_t bound = 4096);

/// Prints a verdict as a TAP comment.
void print(const std::string& what, const Verdict& verdict);

}  // namespace ckptree_test
