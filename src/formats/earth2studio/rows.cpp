#include "formats/earth2studio/rows.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

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
  const std::string relative = to_string(path);
  Node node = directory_node(state);
  try {
    const Ptr<File> file = shown_file(state.store->source, relative);
    node.kind = Node::Kind::file;
    node.content = whole_file(file);
    node.mtime = mtime_of(*file);
    return node;
  } catch (const Error&) {
    // A directory, or nothing that can be shown.
  } catch (const std::system_error& e) {
    if (e.code().value() != EISDIR) return std::nullopt;
  }
  try {
    state.store->source->list(relative);
    return node;
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

void Table::list_raw(const State& state, const TreePath& path, const Each& each) {
  const std::string place = "raw/" + to_string(path);
  Names names;
  try {
    names = state.store->source->list(to_string(path));
  } catch (const std::system_error& e) {
    throw Error(e.code().value() == ENOTDIR ? Errc::not_directory : Errc::not_found, place + ": no such directory");
  }
  for (const std::string& name : names) {
    TreePath child = path;
    child.push_back(name);
    const auto node = find_raw(state, child);
    if (node && !each(name, *node)) return;
  }
}

}  // namespace ckptree::earth2studio
