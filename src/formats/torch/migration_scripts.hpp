#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ckptree/bytes.hpp"
#include "formats/torch/migration_rules.hpp"

namespace ckptree::torch {

/// The scripts of a directory, by name: those over the tree, whose first lines have
///     # ckptree: migration=1.0.0 anemoi-models=0.8.1 [final]
/// (behind any comment sign), and those of anemoi-models, which are Python. Names are without the extension. Other
/// files are left out, but for what is named like a migration.
/// @throws Error Errc::rejected for a migration that does not say what it is; Errc::io when it cannot be read
std::vector<Migration> scripts_in(const std::string& directory);

/// What a script says of itself; nothing when it is no migration. @param place  for errors
std::optional<Migration> read_script(const std::string& file_name, Bytes text, const std::string& place);

}  // namespace ckptree::torch
