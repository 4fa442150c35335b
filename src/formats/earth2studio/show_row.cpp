// A row: its fields, its documents, its manifest.

#include "ckptree/error.hpp"
#include "formats/earth2studio/state.hpp"

namespace ckptree::earth2studio {
namespace {

constexpr const char* kFiles[] = {"commit_id",     "write_count", "saved_at",    "rank",          "world_size",
                                  "mode",          "version",     "lead_time",   "metadata_keys", "state_ids",
                                  "metadata.json", "metadata",    "labels.json", "labels",        "manifest.json",
                                  "states.tsv",    "states"};

std::string lines(const std::vector<std::string>& words) {
  Json list = Json::list();
  for (const std::string& word : words) list.items.push_back(Json::string(word));
  std::string text = dumps(list);
  // An item a line, as every list of scalars is shown, without Python's indentation.
  for (std::size_t at = text.find("\n  "); at != std::string::npos; at = text.find("\n  ", at + 1))
    text.erase(at + 1, 2);
  return text + "\n";
}

/// A member of the manifest as one value; nothing when it has none.
std::optional<std::string> of_manifest(const StoreRow& row, const char* key) {
  const auto manifest = row.manifest();
  const Json* value = manifest->find(key);
  if (!value) return std::nullopt;
  return (value->is_string() ? value->text : dumps_line(*value)) + "\n";
}

std::optional<std::string> text_of(const StoreRow& row, const std::string& name) {
  const Entry& entry = row.entry();
  if (name == "commit_id") return entry.commit_id() + "\n";
  if (name == "write_count") return std::to_string(entry.write_count()) + "\n";
  if (name == "saved_at") return entry.saved_at() + "\n";
  if (name == "rank") return std::to_string(entry.rank()) + "\n";
  if (name == "world_size") return std::to_string(entry.world_size()) + "\n";
  if (name == "mode" || name == "version") return of_manifest(row, name.c_str()).value_or("null\n");
  if (name == "lead_time") {
    const std::string& text = row.metadata()->text();
    const auto at = json::locate(text, {"lead_time"});
    return (at ? dumps_line(parse(text, *at, "metadata.json")) : "null") + "\n";
  }
  if (name == "metadata_keys") return lines((row.is_edited() ? edited_entry(row) : row.stored())->metadata_keys());
  if (name == "state_ids") return lines(entry.state_ids());
  if (name == "states.tsv") return states_table(row);
  return std::nullopt;
}

using Of = std::shared_ptr<const Document> (StoreRow::*)() const;

std::optional<Node> show_document(const State& state, const Match& match, Of of) {
  const auto row = row_at(state, match);
  if (!row) return std::nullopt;
  Node node = made_node(state, [&] { return Recipe::literal((*row.*of)()->text()); });
  if (state.writable()) node.saving = Node::Saving::whole;
  return node;
}

std::optional<Node> show_value(const State& state, const Match& match, Of of) {
  const auto row = row_at(state, match);
  if (!row) return std::nullopt;
  const TreePath below(match.names.begin() + 1, match.names.end());
  auto node = (*row.*of)()->find(below);
  if (!node) return node;
  node->mtime = state.store->mtime;
  if (!state.writable()) node->saving = Node::Saving::none;
  return node;
}

void list_values(const State& state, const Match& match, const Each& each, Of of) {
  const auto row = row_at(state, match);
  if (!row) throw Error(Errc::not_found, "rows/" + match.names.front() + ": no such row");
  const TreePath below(match.names.begin() + 1, match.names.end());
  (*row.*of)()->list(below, [&](const std::string& name, const Node& entry) {
    Node node = entry;
    node.mtime = state.store->mtime;
    if (!state.writable()) node.saving = Node::Saving::none;
    return each(name, node);
  });
}

}  // namespace

void list_row(const State& state, const Match& match, const Each& each) {
  const auto row = row_at(state, match);
  if (!row) throw Error(Errc::not_directory, "rows/" + match.names.front() + ": not a directory");
  for (const std::string name : kFiles) {
    if (name == "states.tsv" && state.options.level == 0) continue;
    Match child = match;
    std::optional<Node> node;
    const bool is_directory = name == "metadata" || name == "labels" || name == "states";
    if (is_directory) {
      node = name == "states"   ? show_states(state, child)
             : name == "labels" ? show_label_value(state, child)
                                : show_metadata_value(state, child);
    } else {
      // `find` makes the content: a listing needs none of it.
      node = directory_node(state);
      node->kind = Node::Kind::file;
    }
    if (node && !each(name, *node)) return;
  }
}

std::optional<Node> show_row_file(const State& state, const Match& match) {
  const auto row = row_at(state, match);
  if (!row) return std::nullopt;
  const std::string& name = match.names.back();
  if (name == "states.tsv" && state.options.level == 0) return std::nullopt;
  if (name == "manifest.json") {
    Node node = directory_node(state);
    node.kind = Node::Kind::file;
    try {
      const Ptr<File> file = row->show("manifest.json");
      node.content = whole_file(file);
      node.mtime = mtime_of(*file);
    } catch (const Error& e) {
      node.content = failing_content(e.code(), e.what());
    }
    return node;
  }
  std::optional<std::string> text;
  Node node = made_node(state, [&] {
    text = text_of(*row, name);
    return Recipe::literal(text.value_or(""));
  });
  if (!text && node.content.tag.compare(0, 8, "failing:") != 0) return std::nullopt;
  return node;
}

std::optional<Node> show_metadata(const State& state, const Match& match) {
  return show_document(state, match, &StoreRow::metadata);
}
std::optional<Node> show_metadata_value(const State& state, const Match& match) {
  return show_value(state, match, &StoreRow::metadata);
}
void list_metadata_values(const State& state, const Match& match, const Each& each) {
  list_values(state, match, each, &StoreRow::metadata);
}
std::optional<Node> show_labels(const State& state, const Match& match) {
  return show_document(state, match, &StoreRow::labels);
}
std::optional<Node> show_label_value(const State& state, const Match& match) {
  return show_value(state, match, &StoreRow::labels);
}
void list_label_values(const State& state, const Match& match, const Each& each) {
  list_values(state, match, each, &StoreRow::labels);
}

}  // namespace ckptree::earth2studio
