// A checkpointable: its tree, its data, its document.

#include "ckptree/error.hpp"
#include "formats/orbax/state.hpp"
#include "formats/stored.hpp"

namespace ckptree::orbax {
namespace {

constexpr const char* kArrays = "arrays.tsv";
constexpr const char* kTree = "tree";
constexpr const char* kValues = "values";
constexpr const char* kJson = "data.json";
constexpr const char* kError = "error";

TreePath rest(const TreePath& path) { return TreePath(path.begin() + 1, path.end()); }

/// A directory of the item, which is as old as it.
Node directory_of(const State& state, const Item& item) {
  Node node = directory_node(state);
  if (item.has_tree()) node.mtime = item.mtime();
  return node;
}

/// The item at the first names of a path that are no files of an item, and what is left of the path.
std::shared_ptr<const Item> child_at(const Item& item, const TreePath& path) {
  return item.child(key_of(path.front()));
}

std::optional<Node> entry(const State& state, const Item& item, const std::string& name) {
  Node node = directory_of(state, item);
  if (name == kError) {
    const std::string text = item.error();
    if (text.empty()) return std::nullopt;
    node.kind = Node::Kind::file;
    node.content = Recipe::literal(text + "\n");
    return node;
  }
  if (name == kJson) {
    const Ptr<File> file = item.json();
    if (!file) return std::nullopt;
    node.kind = Node::Kind::file;
    node.content = whole_file(file);
    node.mtime = mtime_of(*file);
    return node;
  }
  if (!item.has_tree()) return std::nullopt;
  if (name == kArrays) return made_node(node, [&] { return Recipe::literal(item.table()); });
  return std::nullopt;
}

}  // namespace

namespace {

/// Whether a leaf has a .npy file: a broken one has, which tells what is wrong; one that cannot be decoded says so in
/// the tree.
bool has_npy(const Item& item, const Leaf& leaf, std::size_t number) {
  try {
    return leaf.has_array() && item.why_unsupported(number).empty();
  } catch (const std::exception&) {
    return true;
  }
}

}  // namespace

std::optional<Node> find_in_tree(const State& state, const Item& item, const TreePath& below, bool values) {
  if (!item.has_tree() || (values && state.options.no_data)) return std::nullopt;
  const Node directory = directory_of(state, item);
  if (below.empty()) return directory;
  const auto tree = item.tree();
  const auto at = values ? tree->find_value(below) : tree->find(below);
  if (!at) return std::nullopt;
  const auto leaf = tree->places[*at].leaf;
  if (!leaf) return directory;
  if (!values) return made_node(directory, [&] { return Recipe::literal(item.leaf_json(*leaf)); });
  if (!has_npy(item, tree->leaves[*leaf], *leaf)) return std::nullopt;
  return made_node(directory, [&] { return item.npy(*leaf); });
}

void list_tree(const State& state, const Item& item, const TreePath& below, bool values, const Each& each) {
  const auto tree = item.tree();
  const auto at = values ? tree->find_value(below) : tree->find(below);
  if (!at) throw Error(Errc::not_found, to_string(below) + ": no such directory");
  if (tree->places[*at].leaf) throw Error(Errc::not_directory, to_string(below) + ": not a directory");
  for (const Pytree::Entry& e : tree->places[*at].entries) {
    const auto leaf = tree->places[e.place].leaf;
    if (values && leaf && !has_npy(item, tree->leaves[*leaf], *leaf)) continue;
    Node node = directory_of(state, item);
    if (leaf) node.kind = Node::Kind::file;  // `find` makes the content: a listing needs none of it
    node.key = e.key;
    if (!each(values ? e.value_name : e.name, node)) return;
  }
}

std::optional<Node> find_in_item(const State& state, const Item& item, const TreePath& below) {
  if (below.empty()) return directory_of(state, item);
  const std::string& name = below.front();
  if (item.has_tree() && name == kTree) return find_in_tree(state, item, rest(below), false);
  if (item.has_tree() && name == kValues) return find_in_tree(state, item, rest(below), true);
  if (below.size() == 1)
    if (auto node = entry(state, item, name)) return node;
  const auto child = child_at(item, below);
  return child ? find_in_item(state, *child, rest(below)) : std::nullopt;
}

void list_item(const State& state, const Item& item, const TreePath& below, const Each& each) {
  if (!below.empty()) {
    const std::string& name = below.front();
    if (item.has_tree() && (name == kTree || name == kValues))
      return list_tree(state, item, rest(below), name == kValues, each);
    const auto child = child_at(item, below);
    if (!child) throw Error(Errc::not_found, to_string(below) + ": no such directory");
    return list_item(state, *child, rest(below), each);
  }
  Node table = directory_of(state, item);
  table.kind = Node::Kind::file;  // `find` makes the content: a listing needs none of it
  if (item.has_tree() && !each(kArrays, table)) return;
  for (const char* name : {kTree, kValues, kJson, kError}) {
    const auto node = find_in_item(state, item, {name});
    if (node && !each(name, *node)) return;
  }
  for (const std::string& key : item.children()) {
    const FileName name = file_name_of(key);
    Node node = directory_of(state, item);
    if (name.cut) node.key = key;
    if (!each(name.text, node)) return;
  }
}

}  // namespace ckptree::orbax
