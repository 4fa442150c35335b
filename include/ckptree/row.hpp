#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ckptree/model.hpp"

namespace ckptree {

/// What the wildcards of a row's pattern stand for: '*' is one name, '**' (only at the end) any number of names, none
/// included.
struct Match {
  TreePath names;
};

/// One virtual file, or one family of them. `M` is the format's immutable state.
template <class M>
struct Row {
  std::string_view pattern;
  /// The node; nothing when this row matches the path but there is nothing there. @throws Error Errc::not_found when
  /// there is a reason to tell
  std::optional<Node> (*show)(const M&, const Match&);
  /// Entries of it as a directory; null when it is a file.
  void (*list)(const M&, const Match&, const std::function<bool(const std::string&, const Node&)>&) = nullptr;
  /// The state after an edit of it; null when it is immutable. A rename comes to the row of `op.path`.
  M (*edit)(const M&, const Match&, const Op&) = nullptr;
  /// What a new file there would become; null: scratch.
  std::optional<Node> (*vacant)(const M&, const Match&) = nullptr;
};

/// Matches `path` against a pattern such as "arrays/**".
std::optional<Match> match(std::string_view pattern, const TreePath& path);

/// A Model from a table of rows over a state. The top directory lists the rows whose pattern is one plain name and
/// whose `show` finds something, in the table's order.
template <class M, class Table>
class RowModel;

}  // namespace ckptree

#include "ckptree/row_model.hpp"
