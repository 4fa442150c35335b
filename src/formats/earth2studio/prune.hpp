#pragma once

#include <cstdint>
#include <optional>

#include "formats/earth2studio/catalog.hpp"

namespace ckptree::earth2studio {

/// Which rows go when one is added.
struct Pruning {
  bool overwrite = false;                     // every row of equal labels
  std::optional<std::uint64_t> history_size;  // of the rows of equal labels all but so many
};

/// The rows after one was written, as upstream's _update_catalog has them.
Entries with_row(const Entries& rows, const std::shared_ptr<const Entry>& row, const Pruning& rule);

}  // namespace ckptree::earth2studio
