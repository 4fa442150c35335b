// metadata/: the document with a file per value.

#include "ckptree/error.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {
namespace {

/// Whether a path below metadata/ is in the index of the arrays, which follows from arrays/.
bool in_index(const TreePath& below) { return !below.empty() && below.front() == kIndexKey; }

TreePath below_top(const TreePath& path) { return TreePath(path.begin() + 1, path.end()); }

}  // namespace

std::optional<Node> show_value(const State& state, const Match& match) {
  if (!state.exists) return std::nullopt;
  std::optional<Node> node;
  if (match.names.empty()) {
    node.emplace();
    node->kind = Node::Kind::directory;
    node->saving = state.writable() ? Node::Saving::value : Node::Saving::none;
  } else {
    node = state.metadata->document()->find(match.names);
  }
  if (!node) return node;
  node->mtime = state.metadata->mtime();
  if (in_index(match.names)) node->saving = Node::Saving::none;
  return node;
}

void list_values(const State& state, const Match& match,
                 const std::function<bool(const std::string&, const Node&)>& each) {
  state.metadata->document()->list(match.names, [&](const std::string& name, const Node& entry) {
    Node node = entry;
    node.mtime = state.metadata->mtime();
    if (in_index(match.names) || (match.names.empty() && name == kIndexKey)) node.saving = Node::Saving::none;
    return each(name, node);
  });
}

std::optional<Node> vacant_value(const State& state, const Match& match) {
  if (!state.exists || !state.writable()) return std::nullopt;
  if (in_index(match.names) && match.names.size() > 1 && !is_scratch_name(match.names.back()))
    throw Error(Errc::immutable, std::string("metadata/") + kIndexKey + ": follows from arrays/; edit those");
  if (in_index(match.names)) return std::nullopt;
  try {
    return state.metadata->document()->vacant(match.names);
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt) throw;
    return std::nullopt;  // nothing can become a value of a broken document
  }
}

State edit_value(const State& state, const Match& match, const Op& op) {
  refuse_if_not_editable(state, op);
  const std::string place = to_string(op.path);
  if (match.names.empty()) throw Error(Errc::immutable, place + ": is the document itself; edit metadata.json");
  if (!state.exists) throw Error(Errc::not_found, place + ": there is no metadata.json");
  const bool moves = op.kind == Op::Kind::rename || op.kind == Op::Kind::exchange;
  if (moves && (op.to.size() < 2 || op.to.front() != op.path.front()))
    throw Error(Errc::immutable, place + ": a value can only be moved within metadata/");
  if (in_index(match.names) || (moves && in_index(below_top(op.to))))
    throw Error(Errc::immutable, std::string("metadata/") + kIndexKey + ": follows from arrays/; edit those");

  const bool takes_away =
      op.kind == Op::Kind::remove || op.kind == Op::Kind::remove_tree || op.kind == Op::Kind::rename;
  if (takes_away && match.names == TreePath{"version"} && op.to != op.path)
    throw Error(Errc::rejected, place + ": the metadata must keep its key 'version'");
  State next = state;
  auto document = state.metadata->document()->apply(op, 1);
  next.metadata = std::make_shared<const Metadata>(state.metadata->member(), std::move(document), op);
  return next;
}

}  // namespace ckptree::torch
