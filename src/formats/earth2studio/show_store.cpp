// The top of a store: what it is, its catalog, the ways to its rows.

#include <algorithm>
#include <charconv>
#include <map>

#include "ckptree/error.hpp"
#include "formats/earth2studio/state.hpp"

namespace ckptree::earth2studio {
namespace {

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// A number as jq and ls would write it; "-1" and such too.
std::optional<std::int64_t> row_number(const std::string& name) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), n);
  if (error != std::errc() || end != name.data() + name.size() || std::to_string(n) != name) return std::nullopt;
  return n;
}

/// The commits that rows name, each once: of several rows the last.
std::optional<std::size_t> row_of_commit(const State& state, const std::string& id) {
  for (std::size_t i = state.rows->size(); i-- > 0;)
    if ((*state.rows)[i]->entry().commit_id() == id) return i;
  return std::nullopt;
}

}  // namespace

State initial_state(const Ptr<Source>& source, const ViewOptions& options) {
  auto store = std::make_shared<Store>();
  store->source = source;
  for (const std::string& name : source->list(""))
    if (is_rank_name(name)) store->ranks.push_back(name.substr(5));
  auto rows = std::make_shared<Rows>();
  Catalog catalog = read_catalog(*source);
  store->catalog = catalog.file;
  if (catalog.file) store->mtime = mtime_of(*catalog.file);
  const Fingerprint seen = catalog.file ? catalog.file->fingerprint() : Fingerprint{};
  // Ranks of a run have catalogs of their own; the directory above them has none.
  if (!catalog.entries.empty() || !catalog.rebuilt) store->ranks.clear();
  for (auto& entry : catalog.entries) rows->push_back(std::make_shared<const StoreRow>(source, std::move(entry), seen));
  store->rebuilt = catalog.rebuilt;
  if (store->ranks.empty()) store->warnings = std::move(catalog.warnings);
  return {std::move(store), options, std::move(rows)};
}

bool is_rank_name(const std::string& name) {
  return name.size() >= 11 && name.compare(0, 5, "rank_") == 0 &&
         name.find_first_not_of("0123456789", 5) == std::string::npos;
}

Node file_node(const State& state, std::string text) {
  Node node;
  node.content = Recipe::literal(std::move(text));
  node.mtime = state.store->mtime;
  return node;
}

Node directory_node(const State& state) {
  Node node;
  node.kind = Node::Kind::directory;
  node.mtime = state.store->mtime;
  return node;
}

Node link_node(const State& state, std::string target) {
  Node node;
  node.kind = Node::Kind::link;
  node.target = std::move(target);
  node.mtime = state.store->mtime;
  return node;
}

std::shared_ptr<const StoreRow> row_at(const State& state, const Match& match) {
  const auto n = row_number(match.names.front());
  if (!n || *n < 0 || static_cast<std::uint64_t>(*n) >= state.rows->size()) return nullptr;
  return (*state.rows)[static_cast<std::size_t>(*n)];
}

std::optional<Node> show_kind(const State& state, const Match&) { return file_node(state, "earth2studio\n"); }

std::string name_of(const State& state) {
  std::string name = last_part(state.store->source->path());
  if (!state.options.store_name.empty()) name = state.options.store_name;
  if (!state.rows->empty()) {
    try {
      const auto manifest = state.rows->back()->manifest();
      const Json* stored = manifest->find("checkpoint");
      if (stored && stored->is_string()) name = stored->text;
    } catch (const Error&) {
      // Its directory's name is as good.
    }
  }
  return name;
}

std::optional<Node> show_name(const State& state, const Match&) { return file_node(state, name_of(state) + "\n"); }

std::optional<Node> show_path(const State& state, const Match&) {
  return file_node(state, state.store->source->path() + "\n");
}

std::optional<Node> show_catalog(const State& state, const Match&) {
  if (state.has_ranks()) return std::nullopt;
  bool edited = std::any_of(state.rows->begin(), state.rows->end(), [](const auto& r) { return r->is_edited(); });
  Node node = directory_node(state);
  node.kind = Node::Kind::file;
  edited |= !state.untouched;
  if (!edited && !state.store->rebuilt) {
    node.content = whole_file(state.store->catalog);
    return node;
  }
  return made_node(state, [&] {
    Entries entries;
    for (const auto& row : *state.rows) entries.push_back(row->is_edited() ? edited_entry(*row) : row->stored());
    return Recipe::literal(catalog_text(entries));
  });
}

std::optional<Node> show_rows(const State& state, const Match&) {
  if (state.has_ranks()) return std::nullopt;
  Node node = directory_node(state);
  return node;
}

void list_rows(const State& state, const Match&, const Each& each) {
  const Node node = directory_node(state);
  for (std::size_t i = 0; i < state.rows->size(); ++i)
    if (!each(std::to_string(i), node)) return;
}

std::optional<Node> show_row(const State& state, const Match& match) {
  if (row_at(state, match)) return directory_node(state);
  const auto n = row_number(match.names.front());
  if (!n || *n >= 0 || static_cast<std::uint64_t>(-*n) > state.rows->size()) return std::nullopt;
  return link_node(state, std::to_string(static_cast<std::int64_t>(state.rows->size()) + *n));
}

std::optional<Node> show_latest(const State& state, const Match&) {
  if (state.has_ranks() || state.rows->empty()) return std::nullopt;
  Node node = link_node(state, "rows/" + std::to_string(state.rows->size() - 1));
  if (state.options.edit_all && state.writable()) node.saving = Node::Saving::value;
  return node;
}

std::optional<Node> show_commits(const State& state, const Match&) {
  if (state.has_ranks()) return std::nullopt;
  Node node = directory_node(state);
  return node;
}

std::optional<Node> show_commit(const State& state, const Match& match) {
  const auto row = row_of_commit(state, key_of(match.names.front()));
  if (!row) return std::nullopt;
  Node node = link_node(state, "../rows/" + std::to_string(*row));
  if (state.options.edit_all && state.writable()) node.saving = Node::Saving::value;
  return node;
}

void list_commits(const State& state, const Match&, const Each& each) {
  std::map<std::string, std::size_t> last;  // row by commit; ids come from a file
  for (std::size_t i = 0; i < state.rows->size(); ++i) last[(*state.rows)[i]->entry().commit_id()] = i;
  for (std::size_t i = 0; i < state.rows->size(); ++i) {
    const std::string& id = (*state.rows)[i]->entry().commit_id();
    if (last[id] != i) continue;
    const FileName name = file_name_of(id);
    Node node = link_node(state, "../rows/" + std::to_string(i));
    if (name.cut) node.key = id;
    if (!each(name.text, node)) return;
  }
}

std::optional<Node> show_ranks(const State& state, const Match&) {
  if (!state.has_ranks()) return std::nullopt;
  return directory_node(state);
}

std::optional<Node> show_rank(const State& state, const Match& match) {
  const Names& ranks = state.store->ranks;
  if (std::find(ranks.begin(), ranks.end(), match.names.front()) == ranks.end()) return std::nullopt;
  Node node = directory_node(state);
  node.kind = Node::Kind::nested;
  const std::string path = state.store->source->path() + "/rank_" + match.names.front();
  const auto open = state.options.open_nested;
  if (open) node.open_nested = [open, path] { return open(path); };
  return node;
}

void list_ranks(const State& state, const Match&, const Each& each) {
  for (const std::string& rank : state.store->ranks)
    if (!each(rank, *show_rank(state, Match{{rank}}))) return;
}

}  // namespace ckptree::earth2studio
