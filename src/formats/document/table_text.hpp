#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ckptree/bytes.hpp"

/// Fields of the tables (tree.md section 1, "A table is a TSV").
namespace ckptree {

/// "8x3"; "scalar" of rank 0.
std::string shape_text(const std::vector<std::uint64_t>& shape);
/// Backslash, tab and line ends escaped.
std::string escaped(Bytes field);

}  // namespace ckptree
