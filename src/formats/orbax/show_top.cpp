// The top of a checkpoint: what it is, its times, the ways to its trees, custom_metadata.

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "formats/document/table_text.hpp"
#include "formats/orbax/state.hpp"

namespace ckptree::orbax {
namespace {

const char* name_of(Item::Kind kind) {
  switch (kind) {
    case Item::Kind::tree: return "tree";
    case Item::Kind::json: return "json";
    case Item::Kind::items: return "items";
    case Item::Kind::error: return "error";
  }
  return "";
}

const Item* direct(const State& state) { return state.is_direct() ? state.stored->items.at("").get() : nullptr; }

/// The item of a path, and what is below it.
std::shared_ptr<const Item> item_at(const State& state, const TreePath& path) {
  const auto found = state.stored->items.find(key_of(path.front()));
  return found == state.stored->items.end() || state.is_direct() ? nullptr : found->second;
}

TreePath rest(const TreePath& path) { return TreePath(path.begin() + 1, path.end()); }

std::string metadata_text(const State& state) {
  const Stored& stored = *state.stored;
  std::string text = "{\n  \"path\": " + json::quote(stored.source->path()) + ",\n  \"metadata\": ";
  if (const Item* tree = direct(state)) {
    text += tree->kind() == Item::Kind::tree ? "\"pytree\"" : "null";
  } else {
    std::string entries;
    for (const auto& [name, item] : stored.items) {
      if (name == "metrics") continue;  // Orbax leaves it out
      const bool shown = item->kind() == Item::Kind::tree;
      entries += (entries.empty() ? "\n    " : ",\n    ") + json::quote(name) + ": " +
                 (shown ? json::quote("checkpointables/" + file_name_of(name).text) : "null");
    }
    text += entries.empty() ? "{}" : "{" + entries + "\n  }";
  }
  const auto custom = state.custom->text();
  return text + ",\n  \"init_timestamp_nsecs\": " + stored.metadata.init +
         ",\n  \"commit_timestamp_nsecs\": " + stored.metadata.commit +
         ",\n  \"custom_metadata\": " + stored.metadata.shown_custom(custom) + "\n}\n";
}

}  // namespace

std::optional<Node> show_kind(const State& state, const Match&) { return file_node(state, "orbax\n"); }

std::optional<Node> show_path(const State& state, const Match&) {
  return file_node(state, state.stored->source->path() + "\n");
}

std::optional<Node> show_metadata(const State& state, const Match&) {
  return made_node(directory_node(state), [&] { return Recipe::literal(metadata_text(state)); });
}

std::optional<Node> show_init_nsecs(const State& state, const Match&) {
  return file_node(state, state.stored->metadata.init + "\n");
}
std::optional<Node> show_init(const State& state, const Match&) {
  return file_node(state, iso_time(state.stored->metadata.init) + "\n");
}
std::optional<Node> show_commit_nsecs(const State& state, const Match&) {
  return file_node(state, state.stored->metadata.commit + "\n");
}
std::optional<Node> show_commit(const State& state, const Match&) {
  return file_node(state, iso_time(state.stored->metadata.commit) + "\n");
}

std::optional<Node> show_items_table(const State& state, const Match&) {
  if (state.is_direct()) return std::nullopt;
  return made_node(directory_node(state), [&] {
    std::string text = "name\tkind\n";
    for (const auto& [name, item] : state.stored->items) text += escaped(name) + "\t" + name_of(item->kind()) + "\n";
    return Recipe::literal(std::move(text));
  });
}

std::optional<Node> show_items(const State& state, const Match& match) {
  if (state.is_direct()) return std::nullopt;
  if (match.names.empty()) return directory_node(state);
  const auto item = item_at(state, match.names);
  return item ? find_in_item(state, *item, rest(match.names)) : std::nullopt;
}

void list_items(const State& state, const Match& match, const Each& each) {
  if (!match.names.empty()) {
    const auto item = item_at(state, match.names);
    if (!item) throw Error(Errc::not_found, to_string(match.names) + ": no such checkpointable");
    return list_item(state, *item, rest(match.names), each);
  }
  for (const auto& [key, item] : state.stored->items) {
    const FileName name = file_name_of(key);
    Node node = directory_node(state);
    if (name.cut) node.key = key;
    if (!each(name.text, node)) return;
  }
}

std::optional<Node> show_arrays(const State& state, const Match&) {
  const Item* item = direct(state);
  if (!item || !item->has_tree()) return std::nullopt;
  return made_node(directory_node(state), [&] { return Recipe::literal(item->table()); });
}

std::optional<Node> show_error(const State& state, const Match&) {
  const Item* item = direct(state);
  std::string text = item ? item->error() : std::string();
  const std::string& problem = state.stored->metadata.problem;
  if (!problem.empty()) text += (text.empty() ? "" : "\n") + problem;
  return text.empty() ? std::nullopt : std::optional<Node>(file_node(state, text + "\n"));
}

std::optional<Node> show_pytree(const State& state, const Match& match) {
  if (const Item* item = direct(state)) return find_in_tree(state, *item, match.names, false);
  if (!state.stored->chosen || !match.names.empty()) return std::nullopt;
  return link_node(state, "checkpointables/" + file_name_of(*state.stored->chosen).text + "/tree");
}

void list_pytree(const State& state, const Match& match, const Each& each) {
  list_tree(state, *state.stored->items.at(""), match.names, false, each);
}

std::optional<Node> show_values(const State& state, const Match& match) {
  if (state.options.no_data) return std::nullopt;
  if (const Item* item = direct(state)) return find_in_tree(state, *item, match.names, true);
  if (!state.stored->chosen || !match.names.empty()) return std::nullopt;
  return link_node(state, "checkpointables/" + file_name_of(*state.stored->chosen).text + "/values");
}

void list_values(const State& state, const Match& match, const Each& each) {
  list_tree(state, *state.stored->items.at(""), match.names, true, each);
}

std::optional<Node> show_custom(const State& state, const Match&) {
  Node node = file_node(state, state.custom->text());
  if (state.writable()) node.saving = Node::Saving::whole;
  return node;
}

std::optional<Node> show_custom_value(const State& state, const Match& match) {
  return state.custom->find(match.names);
}

void list_custom_values(const State& state, const Match& match, const Each& each) {
  state.custom->list(match.names, each);
}

}  // namespace ckptree::orbax
