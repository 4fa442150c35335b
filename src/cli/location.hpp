#pragma once

#include <string>

#include "cli/options.hpp"

namespace ckptree::cli {

/// Where a source is: `e2s:NAME` is the store of that name in Earth2Studio's cache ($EARTH2STUDIO_CACHE/checkpoints, by
/// default ~/.cache/earth2studio/checkpoints); of a store with ranks, the one that -o rank= or the environment of the
/// process says. With -o create it is made where it is not there yet. Sets what the options leave open.
/// @throws Stop Status::no_source for a rank that is not there, Status::usage for a name that is none
std::string locate(const std::string& source, Options& options);

}  // namespace ckptree::cli
