// object/: the pickled object, but for the data of its tensors.

#include "ckptree/error.hpp"
#include "formats/document/value_text.hpp"
#include "formats/torch/literal.hpp"
#include "formats/torch/numpy_view.hpp"
#include "formats/torch/object_place.hpp"
#include "formats/torch/object_value.hpp"

namespace ckptree::torch {
namespace {

using pickle::Graph;
using pickle::Id;
using pickle::Kind;

Node new_node(const State& state, bool editable) {
  Node node;
  node.saving = editable ? Node::Saving::value : Node::Saving::none;
  node.mtime = state.pickled->mtime();
  return node;
}

/// The way from a directory of the tree to a place counted from the top.
std::string target_from(const TreePath& link, const std::string& to) {
  std::string target;
  for (std::size_t i = 1; i < link.size(); ++i) target += "../";
  return target + to;
}

std::string reference_text(const Graph& graph, Id id) {
  switch (graph.kind(id)) {
    case Kind::extension: return "extension " + std::to_string(*graph.integer(id));
    case Kind::buffer: return "buffer outside the pickle";
    default: return dotted_name(graph, id);
  }
}

/// The content of a file. @param path  from object/ on, for errors
Recipe content_at(const State& state, const ObjectPlace& place, const TreePath& path) {
  const Graph& graph = state.pickled->graph();
  const Id id = place.view.id;
  if (place.is_derived_text()) return Recipe::literal(place.named->child.text);
  const auto kept = [&](auto make) { return state.pickled->names()->content(id, make); };
  switch (place.view.look) {
    case Look::scalar: {
      constexpr std::size_t kLong = 1 << 16;  // shorter ones are made again faster than they are found
      const auto make = [&] { return Recipe::literal(text_of_scalar(graph, id)); };
      return graph.text(id).size() > kLong ? kept(make) : make();
    }
    case Look::list: return kept([&] { return Recipe::literal(text_of_list(graph, id)); });
    case Look::bytes: return kept([&] { return content_of(graph, *bytes_of(graph, id)); });
    case Look::array: return kept([&] { return content_of(graph, *array_of(graph, id), to_string(path)); });
    case Look::storage: return Recipe::literal(literal_of(graph, graph.child(id, 0)) + "\n");
    default: return Recipe::literal(reference_text(graph, id) + "\n");
  }
}

/// @param path  from object/ on
Node node_at(const State& state, const ObjectPlace& place, const TreePath& path, bool editable) {
  const Graph& graph = state.pickled->graph();
  Node node = new_node(state, editable);
  if (place.named && place.named->cut) node.key = place.named->child.key_text(graph);
  const auto survey = state.pickled->survey();
  if (place.view.look == Look::tensor) {
    node.kind = Node::Kind::link;
    const Survey::Tensor* tensor = survey->tensor_at(place.slot);
    node.target = target_from(path, "tensors/" + (tensor ? file_name_of(tensor->name).text : std::string()));
  } else if (is_link(state, place)) {
    node.kind = Node::Kind::link;
    const auto home = survey->path_of(graph, place.view.id);
    node.target = home ? target_from(path, path.front() + (home->empty() ? "" : "/" + to_string(*home))) : "(too deep)";
  } else if (place.view.look == Look::directory) {
    node.kind = Node::Kind::directory;
  } else {
    node.type = place.is_derived_text() ? "" : type_of(graph, place.view);
    node.content = content_or_failure([&] { return content_at(state, place, path); });
  }
  return node;
}

TreePath from_top(const TreePath& names) {
  TreePath path{"object"};
  path.insert(path.end(), names.begin(), names.end());
  return path;
}

}  // namespace

std::optional<Node> show_object(const State& state, const Match& match) {
  if (match.names.empty()) {
    try {
      state.pickled->survey();
    } catch (const Error&) {
      Node node = new_node(state, false);
      node.kind = Node::Kind::directory;  // that cannot be looked into
      return node;
    }
  }
  const auto place = object_at(state, match.names);
  if (!place) return std::nullopt;
  return node_at(state, *place, from_top(match.names), !why_not_editable(state));
}

void list_object(const State& state, const Match& match,
                 const std::function<bool(const std::string&, const Node&)>& each) {
  TreePath names = match.names;
  const auto top = object_at(state, names);
  const std::string place = "object/" + to_string(names);
  if (!top) throw Error(Errc::not_found, place + ": no such directory");
  if (top->view.look != Look::directory) throw Error(Errc::not_directory, place + ": not a directory");
  const bool editable = !why_not_editable(state);
  const auto directory = state.pickled->names()->in(top->view);
  // Links come first: where `rm -r` removes the home before them, one of them becomes the home, which is no link. Items
  // of a list come from the last to the first, so those in front are the later ones.
  for (const bool links : {true, false})
    for (const ObjectNames::Named& named : directory->entries()) {
      names.push_back(named.name);
      const auto entry = entry_at(state, names, top->view, directory, named);
      const bool now = entry && links == (named.child.part != Part::item && is_link(state, *entry));
      // Of several that are cut alike, the one that find() answers.
      if (now && directory->find(named.name) == &named &&
          !each(named.name, node_at(state, *entry, from_top(names), editable)))
        return;
      names.pop_back();
    }
}

std::optional<Node> vacant_object(const State& state, const Match& match) {
  if (match.names.empty()) return std::nullopt;
  try {
    if (why_not_editable(state)) return std::nullopt;
    const auto parent = object_at(state, TreePath(match.names.begin(), match.names.end() - 1));
    if (!parent || parent->view.look != Look::directory || is_link(state, *parent)) return std::nullopt;
    const std::string& name = match.names.back();
    const auto refuse = [&](const std::string& why) {
      throw Error(Errc::invalid, to_string(from_top(match.names)) + ": " + why);
    };
    const Holder holder = holder_of(state, parent->view);
    const auto index = index_of(name);
    if (is_list(state.pickled->graph(), parent->view) && index) {
      if (holder.kind == Holder::Kind::none) refuse("only a list gets new items, no tuple or set");
      const std::size_t next = next_item(state, *state.pickled->names()->in(parent->view));
      if (index > next) refuse("the next item of this list is " + std::to_string(next));
      if (index != next) return std::nullopt;
    } else {
      if (holder.kind != Holder::Kind::dict || is_scratch_name(name)) return std::nullopt;
      // An array can only get such a name by a rename, but that has to be known first.
      if (!key_of_name(stem_of_array(name).value_or(name))) refuse("not how the name of a key is spelled");
    }
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt && e.code() != Errc::too_large) throw;
    return std::nullopt;  // nothing can be added to an object that is broken
  }
  return new_node(state, true);
}

}  // namespace ckptree::torch
