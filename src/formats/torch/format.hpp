#pragma once

#include "ckptree/format.hpp"

namespace ckptree {

/// Checkpoints written by torch.save: a zip with one top directory, with anemoi's metadata or without.
const Format& torch_format();

}  // namespace ckptree
