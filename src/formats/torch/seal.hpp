#pragma once

#include "ckptree/plan.hpp"
#include "formats/torch/pickled.hpp"

namespace ckptree::torch {

/// What an edited object changes in its archive: data.pkl, encoded anew; the storages that it no longer refers to; and
/// `.format_version`, by which torch computes where storages are instead of looking, when that is no longer so.
/// @throws Error Errc::rejected for what a pickle cannot hold
ChangeSet seal_pickle(const Pickled& base, const Pickled& edited, const Stamp& stamp);

}  // namespace ckptree::torch
