#include "formats/earth2studio/rows.hpp"

#include <algorithm>

#include "ckptree/error.hpp"

namespace ckptree::earth2studio {
namespace {

const StateRow kRows[] = {
    // pattern                 shown by             listed by             edited by            a new file by
    {"kind", show_kind},
    {"name", show_name},
    {"path", show_path},
    {"catalog.json", show_catalog},
    {"catalog.tsv", show_table},
    {"rows", show_rows, list_rows},
    {"rows/*", show_row, list_row},
    {"rows/*/metadata.json", show_metadata, nullptr, edit_metadata},
    {"rows/*/metadata/**", show_metadata_value, list_metadata_values, edit_metadata_value, vacant_metadata_value},
    {"rows/*/labels.json", show_labels, nullptr, edit_labels},
    {"rows/*/labels/**", show_label_value, list_label_values, edit_label_value, vacant_label_value},
    {"rows/*/states/**", show_states, list_states, edit_states},
    {"rows/*/*", show_row_file},
    {"latest", show_latest, nullptr, edit_latest},
    {"commits", show_commits, list_commits},
    {"commits/*", show_commit, nullptr, edit_commit},
    {"next", show_next, list_next, edit_next},
    {"next/metadata.json", show_next_metadata, nullptr, edit_next_metadata},
    {"next/metadata/**", show_next_metadata_value, list_next_metadata_values, edit_next_metadata_value,
     vacant_next_metadata_value},
    {"next/labels.json", show_next_labels, nullptr, edit_next_labels},
    {"next/labels/**", show_next_label_value, list_next_label_values, edit_next_label_value, vacant_next_label_value},
    {"next/states/**", show_next_states, list_next_states, edit_next_states, vacant_next_states},
    {"ranks", show_ranks, list_ranks},
    {"ranks/*", show_rank},
};

}  // namespace

xtl::span<const StateRow> Table::rows() { return kRows; }

std::vector<std::string> Table::warnings(const State& state) { return state.store->warnings; }

std::vector<TreePath> Table::waiting(const State& state) {
  // All that was done below next/, until it becomes a row.
  return std::vector<TreePath>(state.next->touched.begin(), state.next->touched.end());
}

std::string Table::identity(const State& state, const TreePath& path) {
  if (path.size() < 2) return {};
  if (path[0] == "commits") return has(state, key_of(path[1])) ? key_of(path[1]) : std::string();
  if (path[0] != "rows") return {};
  const auto row = row_at(state, Match{{path[1]}});
  return row ? row->entry().commit_id() : std::string();
}

bool Table::has(const State& state, const std::string& identity) {
  return std::any_of(state.rows->begin(), state.rows->end(),
                     [&](const auto& row) { return row->entry().commit_id() == identity; });
}

std::optional<Node> Table::find_raw(const State& state, const TreePath& path) {
  return stored_node(state.store->source, path, state.store->mtime);
}

void Table::list_raw(const State& state, const TreePath& path, const Each& each) {
  list_stored(state.store->source, path, state.store->mtime, each);
}

}  // namespace ckptree::earth2studio
