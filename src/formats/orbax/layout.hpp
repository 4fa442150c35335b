#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ckptree/source.hpp"

namespace ckptree::orbax {

constexpr const char* kMarker = "orbax.checkpoint";  // of v1
constexpr const char* kCheckpointMetadata = "_CHECKPOINT_METADATA";
constexpr const char* kTreeMetadata = "_METADATA";
constexpr const char* kDeletion = "_CHECKPOINT_DELETION";
constexpr const char* kRootMetadata = "metadata/_ROOT_METADATA";

enum class Layout { v1, composite, direct };

/// Names in a directory, sorted; nothing when it is none, or cannot be read.
std::optional<Names> names_in(const Source& source, const std::string& directory);
/// Whether a name is a directory's, also one that may not be read.
bool has_directory(const Source& source, const std::string& name);
bool has(const Names& sorted, const std::string& name);

/// "0.orbax-checkpoint-tmp", "x.partial_save": what is not finished.
bool is_temporary_name(const std::string& name);
/// Whether a part of the path is such a name.
bool is_in_temporary(const std::string& path);

/// The number in the name of a step, "100", "step_00000100"; nothing for another name.
std::optional<std::uint64_t> step_of(const std::string& name);

/// Whether a directory is one checkpoint: stricter than Orbax, which takes any directory for one of v0.
bool is_checkpoint(const Source& source);
/// Whether it is none, and holds steps.
bool is_steps(const Source& source);
/// The same when somebody says so: steps of before 0.5 have nothing that tells one from any directory.
bool may_be_steps(const Source& source);

}  // namespace ckptree::orbax
