#pragma once

#include "ckptree/format.hpp"

namespace ckptree {

/// Checkpoints of Orbax, v0 and v1: a directory. formats/orbax.md has the bytes.
const Format& orbax_format();
/// A directory of steps, as a CheckpointManager or a Checkpointer of Orbax writes it.
const Format& orbax_steps_format();

}  // namespace ckptree
