#pragma once

#include "ckptree/row.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {

/// What a torch checkpoint shows.
struct Table {
  static xtl::span<const TorchRow> rows();
  static std::vector<std::string> warnings(const State& state);
  static std::vector<TreePath> waiting(const State& state);
  static std::optional<Node> find_raw(const State& state, const TreePath& path);
  static void list_raw(const State& state, const TreePath& path,
                       const std::function<bool(const std::string&, const Node&)>& each);
};

using TorchModel = RowModel<State, Table>;

}  // namespace ckptree::torch
