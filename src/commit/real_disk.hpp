#pragma once

#include <chrono>
#include <memory>

#include "ckptree/disk.hpp"

namespace ckptree {

/// The disk of this machine. Safe to use from several threads.
/// @param patience  how long lock() waits for another committer
std::unique_ptr<Disk> make_real_disk(std::chrono::milliseconds patience);
/// The one that every checkpoint shares; it waits ten seconds.
Disk& real_disk();

}  // namespace ckptree
