#include "formats/orbax/rows.hpp"

#include "formats/stored.hpp"

namespace ckptree::orbax {
namespace {

const StateRow kRows[] = {
    // pattern                 shown by           listed by           edited by          a new file by
    {"kind", show_kind},
    {"path", show_path},
    {"metadata.json", show_metadata},
    {"init_timestamp_nsecs", show_init_nsecs},
    {"init_timestamp", show_init},
    {"commit_timestamp_nsecs", show_commit_nsecs},
    {"commit_timestamp", show_commit},
    {kCustomFile, show_custom, nullptr, edit_custom},
    {"custom_metadata/**", show_custom_value, list_custom_values, edit_custom_value, vacant_custom_value},
    {"checkpointables.tsv", show_items_table},
    {"checkpointables/**", show_items, list_items},
    {"arrays.tsv", show_arrays},
    {"error", show_error},
    {"pytree/**", show_pytree, list_pytree},
    {"values/**", show_values, list_values},
};

}  // namespace

xtl::span<const StateRow> CheckpointTable::rows() { return kRows; }

std::optional<Node> CommonTable::find_raw(const State& state, const TreePath& path) {
  return stored_node(state.stored->source, path, state.stored->mtime);
}

void CommonTable::list_raw(const State& state, const TreePath& path, const Each& each) {
  list_stored(state.stored->source, path, state.stored->mtime, each);
}

}  // namespace ckptree::orbax
