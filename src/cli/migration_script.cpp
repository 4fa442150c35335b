// The text of a new script, for migration create.

#include "cli/migration.hpp"

namespace ckptree::cli {

std::string new_script(bool final, bool with_setup) {
  std::string text = "#!/bin/sh\n# ckptree: migration=1.0.0 anemoi-models=" + std::string(torch::kNextVersion) +
                     (final ? " final" : "") + "\n";
  if (final) return text + "# Older checkpoints cannot be migrated past this; it is never run.\n";
  text +=
      "#\n# Runs at the top of the mounted checkpoint. What it does, and that it was done, is one commit.\n"
      "set -e\n\ncase $1 in\n";
  if (with_setup)
    text +=
        "  setup)\n    # Before any migration is run: classes that moved or went away.\n"
        "    # mv imports/old.module/Name imports/new.module/\n    ;;\n";
  return text + "  migrate)\n    # mv tensors/old.weight tensors/new.weight\n    ;;\nesac\n";
}

}  // namespace ckptree::cli
