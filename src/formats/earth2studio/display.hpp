#pragma once

#include <string>

#include "formats/earth2studio/json_tree.hpp"

namespace ckptree::earth2studio {

/// A value of the catalog, or a label, as `print(checkpoint)` shows it: "6 hours", "2024-01-01 06:00:00", Python's str
/// of anything else; empty for null. What has a kind and does not parse is shown as any other object.
std::string displayed(const Json& value);

/// numpy.array2string(separator=", ") of an `ndarray_label` that check_typed takes.
std::string displayed_array(const Json& label);

}  // namespace ckptree::earth2studio
