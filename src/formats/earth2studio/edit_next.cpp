// next/: the row to be written next, and how it becomes one.

#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/state.hpp"

namespace ckptree::earth2studio {
namespace {

using DocumentOf = std::shared_ptr<const Document> Next::*;

bool is_shown(const State& state) { return state.options.edit_all && state.writable() && !state.has_ranks(); }

std::shared_ptr<const Document> document_of(const State& state, DocumentOf of) {
  const auto& document = (*state.next).*of;
  if (document) return document;
  return std::make_shared<const Document>("{}\n", "next", std::timespec{}, true);
}

Node directory(const State& state, Node::Saving saving) {
  Node node = directory_node(state);
  node.saving = saving;
  return node;
}

bool ends_in_npy(const std::string& name) { return name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0; }

Node states_node(const State& state, const std::string& name, const std::optional<Recipe>& content) {
  if (!content) return directory(state, Node::Saving::value);
  Node node = directory(state, ends_in_npy(name) ? Node::Saving::whole : Node::Saving::value);
  node.kind = Node::Kind::file;
  node.content = *content;
  return node;
}

State with_next(const State& state, const Op& op, Next next) {
  // A document that was emptied again is one that nobody wrote.
  for (auto of : {&Next::metadata, &Next::labels})
    if (op.kind != Op::Kind::write && next.*of && (next.*of)->text() == "{}\n") next.*of = nullptr;
  next.touched.insert(op.path);
  if (!op.to.empty()) next.touched.insert(op.to);
  if (next.is_empty()) next.touched.clear();
  State changed = state;
  changed.next = std::make_shared<const Next>(std::move(next));
  return changed;
}

void need_shown(const State& state, const std::string& place) {
  if (!is_shown(state)) throw Error(Errc::immutable, place + ": a new row needs -o edit=all");
}

State write_document(const State& state, const Op& op, DocumentOf of) {
  const std::string place = to_string(op.path);
  need_shown(state, place);
  Next next = *state.next;
  if (op.kind == Op::Kind::remove || op.kind == Op::Kind::remove_tree) {
    next.*of = nullptr;
    return with_next(state, op, std::move(next));
  }
  if (op.kind != Op::Kind::write)
    throw Error(Errc::immutable, place + ": a document of the next row stays where it is");
  std::string text = op.content.text(kMaxManifest, place);
  json::validate(text, place);
  if (json::type_at(text, json::root(text)) != json::Type::object)
    throw Error(Errc::rejected, place + ": expected a JSON object");
  next.*of = std::make_shared<const Document>(std::move(text), place, std::timespec{}, true);
  return with_next(state, op, std::move(next));
}

State write_value(const State& state, const Op& op, DocumentOf of) {
  constexpr std::size_t kDepth = 2;  // next/metadata
  const std::string place = to_string(op.path);
  need_shown(state, place);
  if (op.path.size() <= kDepth) throw Error(Errc::immutable, place + ": is the document itself");
  if (!op.to.empty() && (op.to.size() <= kDepth || !std::equal(op.to.begin(), op.to.begin() + kDepth, op.path.begin())))
    throw Error(Errc::immutable, place + ": a value can only be moved within its document");
  Next next = *state.next;
  next.*of = document_of(state, of)->apply(op, kDepth);
  return with_next(state, op, std::move(next));
}

std::optional<Node> show_value(const State& state, const Match& match, DocumentOf of) {
  if (!is_shown(state)) return std::nullopt;
  return document_of(state, of)->find(match.names);
}

std::optional<Node> show_document(const State& state, DocumentOf of) {
  if (!is_shown(state)) return std::nullopt;
  Node node = file_node(state, document_of(state, of)->text());
  node.saving = Node::Saving::whole;
  return node;
}

TreePath below_states(const TreePath& path) { return TreePath(path.begin() + 2, path.end()); }

bool is_at_or_below(const TreePath& path, const TreePath& top) {
  return path.size() >= top.size() && std::equal(top.begin(), top.end(), path.begin());
}

bool has_children(const Next& next, const TreePath& directory) {
  const auto after = next.states.upper_bound(directory);
  return after != next.states.end() && is_at_or_below(after->first, directory);
}

void need_directory(const Next& next, const TreePath& path, const std::string& place) {
  if (path.size() < 2) return;
  const auto above = next.states.find(TreePath(path.begin(), path.end() - 1));
  if (above == next.states.end()) throw Error(Errc::not_found, place + ": no such directory");
  if (above->second) throw Error(Errc::not_directory, place + ": not in a directory");
}

void move(Next& next, const TreePath& from, const TreePath& to, const std::string& place) {
  if (is_at_or_below(to, from)) throw Error(Errc::invalid, place + ": cannot be moved below itself");
  std::map<TreePath, std::optional<Recipe>> moved;
  for (auto it = next.states.lower_bound(from); it != next.states.end() && is_at_or_below(it->first, from);) {
    TreePath path = to;
    path.insert(path.end(), it->first.begin() + static_cast<std::ptrdiff_t>(from.size()), it->first.end());
    moved[std::move(path)] = std::move(it->second);
    it = next.states.erase(it);
  }
  for (auto& [path, content] : moved) next.states[path] = std::move(content);
}

}  // namespace

std::optional<Node> show_next(const State& state, const Match&) {
  if (!is_shown(state)) return std::nullopt;
  return directory(state, Node::Saving::whole);
}

void list_next(const State& state, const Match&, const Each& each) {
  if (!is_shown(state)) throw Error(Errc::not_found, "next: no such directory");
  if (!each("metadata.json", *show_document(state, &Next::metadata))) return;
  if (!each("metadata", directory(state, Node::Saving::value))) return;
  if (!each("labels.json", *show_document(state, &Next::labels))) return;
  if (!each("labels", directory(state, Node::Saving::value))) return;
  each("states", directory(state, Node::Saving::value));
}

State edit_next(const State& state, const Match&, const Op& op) {
  const std::string place = to_string(op.path);
  need_shown(state, place);
  if (op.kind != Op::Kind::rename || op.to.size() != 2 || op.to[0] != "rows")
    throw Error(Errc::immutable, place + ": can only be moved below rows/, where it becomes a row");
  if (state.next->is_empty()) throw Error(Errc::rejected, place + ": is empty; a row has metadata or states");
  const StoreRow* last = state.rows->empty() ? nullptr : state.rows->back().get();
  std::int64_t count = last ? last->entry().write_count() : 0;
  if (!state.added.empty()) count = std::stoll(state.added.back()->entry.find("write_count")->text);
  State changed = state;
  changed.added.push_back(std::make_shared<const Written>(written(*state.next, last, next_write_count(count))));
  changed.next = std::make_shared<const Next>();
  return changed;
}

std::optional<Node> show_next_metadata(const State& state, const Match&) {
  return show_document(state, &Next::metadata);
}
State edit_next_metadata(const State& state, const Match&, const Op& op) {
  return write_document(state, op, &Next::metadata);
}
std::optional<Node> show_next_metadata_value(const State& state, const Match& match) {
  return show_value(state, match, &Next::metadata);
}
void list_next_metadata_values(const State& state, const Match& match, const Each& each) {
  document_of(state, &Next::metadata)->list(match.names, each);
}
State edit_next_metadata_value(const State& state, const Match&, const Op& op) {
  return write_value(state, op, &Next::metadata);
}
std::optional<Node> vacant_next_metadata_value(const State& state, const Match& match) {
  return is_shown(state) ? document_of(state, &Next::metadata)->vacant(match.names) : std::nullopt;
}
std::optional<Node> show_next_labels(const State& state, const Match&) { return show_document(state, &Next::labels); }
State edit_next_labels(const State& state, const Match&, const Op& op) {
  return write_document(state, op, &Next::labels);
}
std::optional<Node> show_next_label_value(const State& state, const Match& match) {
  return show_value(state, match, &Next::labels);
}
void list_next_label_values(const State& state, const Match& match, const Each& each) {
  document_of(state, &Next::labels)->list(match.names, each);
}
State edit_next_label_value(const State& state, const Match&, const Op& op) {
  return write_value(state, op, &Next::labels);
}
std::optional<Node> vacant_next_label_value(const State& state, const Match& match) {
  return is_shown(state) ? document_of(state, &Next::labels)->vacant(match.names) : std::nullopt;
}

std::optional<Node> show_next_states(const State& state, const Match& match) {
  if (!is_shown(state)) return std::nullopt;
  if (match.names.empty()) return directory(state, Node::Saving::value);
  const auto found = state.next->states.find(match.names);
  if (found == state.next->states.end()) return std::nullopt;
  return states_node(state, match.names.back(), found->second);
}

void list_next_states(const State& state, const Match& match, const Each& each) {
  const auto& all = state.next->states;
  for (auto it = all.lower_bound(match.names); it != all.end() && is_at_or_below(it->first, match.names); ++it)
    if (it->first.size() == match.names.size() + 1 &&
        !each(it->first.back(), states_node(state, it->first.back(), it->second)))
      return;
}

std::optional<Node> vacant_next_states(const State& state, const Match& match) {
  if (!is_shown(state) || match.names.size() < 2 || is_scratch_name(match.names.back())) return std::nullopt;
  const auto above = state.next->states.find(TreePath(match.names.begin(), match.names.end() - 1));
  if (above == state.next->states.end() || above->second) return std::nullopt;
  return states_node(state, match.names.back(), Recipe());
}

State edit_next_states(const State& state, const Match& match, const Op& op) {
  const std::string place = to_string(op.path);
  need_shown(state, place);
  if (match.names.empty()) throw Error(Errc::immutable, place + ": always there");
  Next next = *state.next;
  const TreePath& path = match.names;
  const auto found = next.states.find(path);
  const bool exists = found != next.states.end();
  if (op.kind != Op::Kind::write && op.kind != Op::Kind::make_dir && !exists)
    throw Error(Errc::not_found, place + ": no such entry");
  switch (op.kind) {
    case Op::Kind::write:
      need_directory(next, path, place);
      if (exists && !found->second) throw Error(Errc::is_directory, place + ": is a directory");
      if (ends_in_npy(path.back()) && structured_header(op.content).empty()) npy::parse_header(op.content, place);
      next.states[path] = op.content;
      break;
    case Op::Kind::make_dir:
      need_directory(next, path, place);
      if (exists) throw Error(Errc::exists, place + ": exists already");
      next.states[path] = std::nullopt;
      break;
    case Op::Kind::remove:
      if (has_children(next, path)) throw Error(Errc::not_empty, place + ": not empty");
      next.states.erase(found);
      break;
    case Op::Kind::remove_tree:
      while (has_children(next, path)) next.states.erase(next.states.upper_bound(path));
      next.states.erase(path);
      break;
    case Op::Kind::rename:
    case Op::Kind::exchange: {
      if (op.to.size() < 3 || op.to[0] != "next" || op.to[1] != "states" || op.kind == Op::Kind::exchange)
        throw Error(Errc::immutable, place + ": can only be renamed within next/states/");
      const TreePath to = below_states(op.to);
      need_directory(next, to, to_string(op.to));
      if (has_children(next, to)) throw Error(Errc::not_empty, to_string(op.to) + ": not empty");
      move(next, path, to, place);
      break;
    }
  }
  return with_next(state, op, std::move(next));
}

}  // namespace ckptree::earth2studio
