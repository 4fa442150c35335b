#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ckptree {

/// What `.ckptree/status.json` tells.
struct Status {
  std::string kind, layout, source, strategy, flush_interval, progress;
  std::uint64_t generation = 0, commits = 0, pending = 0, waiting = 0, rejected = 0;
  std::vector<std::string> warnings;
};

/// One JSON object, an entry a line, and a final newline. `free` (bytes free beside the source) is looked up now.
std::string to_json(const Status& status);

}  // namespace ckptree
