#pragma once

#include "ckptree/row.hpp"
#include "formats/orbax/state.hpp"

namespace ckptree::orbax {

/// What both tables have in common.
struct CommonTable {
  static std::vector<std::string> warnings(const State& state) { return state.stored->warnings; }
  static std::vector<TreePath> waiting(const State&) { return {}; }
  static std::optional<Node> find_raw(const State& state, const TreePath& path);
  static void list_raw(const State& state, const TreePath& path, const Each& each);
};

/// What a checkpoint of Orbax shows.
struct CheckpointTable : CommonTable {
  static xtl::span<const StateRow> rows();
};
using CheckpointModel = RowModel<State, CheckpointTable>;

/// What a directory of steps shows.
struct StepsTable : CommonTable {
  static xtl::span<const StateRow> rows();
};
using StepsModel = RowModel<State, StepsTable>;

/// @throws std::system_error
/// @throws Error Errc::invalid when there are steps with trees, and none has the checkpointable that is asked for
void check_checkpointable(const Source& source, const std::string& wanted);
State open_steps(const Ptr<Source>& source, const ViewOptions& options);
/// Names of its finished steps, by number.
std::vector<std::pair<std::uint64_t, std::string>> steps_of(const Source& source);

}  // namespace ckptree::orbax
