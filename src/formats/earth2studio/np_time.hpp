#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ckptree/bytes.hpp"

namespace ckptree::earth2studio {

/// NumPy's datetime64: a count of units since 1970 as the text that str() gives, "2024-01-01T06"; NaT for the smallest.
std::string np_datetime_text(std::int64_t count, const std::string& unit);
/// The count that exactly this text stands for; nothing for any other text.
std::optional<std::int64_t> np_datetime_of(const std::string& text, const std::string& unit);

/// A timedelta64 as `print(checkpoint)` shows it: in the largest of h, m, s, ms, us, ns that gives an integer.
std::string timedelta_text(std::int64_t count, const std::string& unit);

}  // namespace ckptree::earth2studio
