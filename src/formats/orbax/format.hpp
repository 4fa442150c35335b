#pragma once

#include <string>

#include "ckptree/format.hpp"

namespace ckptree {

/// Checkpoints of Orbax, v0 and v1: a directory. formats/orbax.md has the bytes.
const Format& orbax_format();
/// A directory of steps, as a CheckpointManager or a Checkpointer of Orbax writes it.
const Format& orbax_steps_format();
/// For -o kind=orbax-steps: takes what orbax_steps_format() claims, and steps of old versions.
bool may_be_orbax_steps(const Source& source);
/// For -o checkpointable= of a directory of steps: one step without it fails alone.
/// @throws Error Errc::invalid when no step has it, though some have others
void check_orbax_steps(const Source& source, const std::string& checkpointable);

}  // namespace ckptree
