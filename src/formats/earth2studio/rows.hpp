#pragma once

#include "ckptree/row.hpp"
#include "formats/earth2studio/state.hpp"

namespace ckptree::earth2studio {

/// What a store of Earth2Studio shows.
struct Table {
  static xtl::span<const StateRow> rows();
  static std::vector<std::string> warnings(const State& state);
  static std::vector<TreePath> waiting(const State& state);
  /// The commit that a path below rows/ or commits/ belongs to.
  static std::string identity(const State& state, const TreePath& path);
  static bool has(const State& state, const std::string& identity);
  static std::optional<Node> find_raw(const State& state, const TreePath& path);
  static void list_raw(const State& state, const TreePath& path, const Each& each);
};

using StoreModel = RowModel<State, Table>;

}  // namespace ckptree::earth2studio
