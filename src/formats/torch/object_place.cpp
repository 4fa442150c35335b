#include "formats/torch/object_place.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "ckptree/error.hpp"
#include "codec/python/repr.hpp"
#include "formats/torch/literal.hpp"

namespace ckptree::torch {

using pickle::Graph;
using pickle::Kind;
using pickle::kNone;

namespace {

// Directories in directories of a checkpoint are some ten; each is gone through for each name that is looked up.
constexpr std::size_t kMaxDepth = 10'000;

}  // namespace

std::optional<ObjectPlace> entry_at(const State& state, const TreePath& names, const View& parent,
                                    std::shared_ptr<const ObjectNames::Directory> directory,
                                    const ObjectNames::Named& named) {
  const Graph& graph = state.pickled->graph();
  if (!named.child.fixed && graph.at(named.child.slot) == kNone) return std::nullopt;
  if (named.child.fixed && !state.parted.empty()) {
    TreePath path{"object"};
    path.insert(path.end(), names.begin(), names.end());
    if (state.parted.count(path)) return std::nullopt;
  }
  ObjectPlace place;
  place.slot = named.child.slot;
  place.parent = parent;
  place.directory = std::move(directory);
  place.named = &named;
  if (place.is_derived_text()) place.view.look = Look::reference;
  else place.view = view_at(graph, place.slot, &state.pickled->survey()->list_looks());
  return place;
}

std::optional<ObjectPlace> object_at(const State& state, const TreePath& names) {
  const Graph& graph = state.pickled->graph();
  const auto survey = state.pickled->survey();
  const auto all = state.pickled->names();
  if (names.size() > kMaxDepth)
    throw Error(Errc::too_large,
                "object: what is deeper than " + std::to_string(kMaxDepth) + " directories is not shown");
  ObjectPlace place;
  place.slot = graph.root_slot();
  place.view = view_at(graph, place.slot, &survey->list_looks());
  TreePath path;
  for (const std::string& name : names) {
    if (place.view.look != Look::directory || is_link(state, place)) return std::nullopt;
    auto directory = all->in(place.view);
    const ObjectNames::Named* named = directory->find(name);
    path.push_back(name);
    auto next = named ? entry_at(state, path, place.view, std::move(directory), *named) : std::nullopt;
    if (!next) return std::nullopt;
    place = *std::move(next);
  }
  return place;
}

bool is_link(const State& state, const ObjectPlace& place) {
  return place.view.look == Look::directory && !state.pickled->survey()->is_home(place.view.id, place.slot);
}

Holder holder_of(const State& state, const View& directory) {
  const Graph& graph = state.pickled->graph();
  if (directory.look != Look::directory || directory.typed) return {};
  if (graph.kind(directory.id) == Kind::list) return {Holder::Kind::list, directory.id};
  if (is_list(graph, directory)) return {};
  if (is_dict(graph, directory)) return {Holder::Kind::dict, directory.id};
  pickle::Entries entries(graph, directory.id);
  if (pickle::Entry entry; entries.next(entry)) return {Holder::Kind::dict, directory.id};
  const pickle::Id attributes = attributes_of(graph, directory.id);
  if (attributes == kNone) return {};
  return {Holder::Kind::dict, attributes};
}

std::optional<NewKey> key_of_name(const std::string& name) {
  NewKey key;
  const bool literal = reads_like_literal(name);
  if (literal) {
    key.text = name;
    std::int64_t number = 0;
    const char* const end = name.data() + name.size();
    if (name == "None") key.kind = NewKey::Kind::none;
    else if (name == "True" || name == "False") key.kind = NewKey::Kind::boolean;
    else if (std::from_chars(name.data(), end, number).ptr == end && std::to_string(number) == name)
      key.kind = NewKey::Kind::integer;
    else if (double real; std::from_chars(name.data(), end, real).ptr == end && python::repr(real) == name)
      key.kind = NewKey::Kind::real;
    else return std::nullopt;
  } else {
    key.text = key_of(name);
  }
  const FileName spelled = name_of(key.text, literal, Look::scalar);
  if (spelled.cut || spelled.text != name || is_scratch_name(name)) return std::nullopt;
  return key;
}

std::optional<std::string> stem_of_array(const std::string& name) {
  constexpr std::size_t kSuffix = 4;
  if (name.size() <= kSuffix || !is_array_file_name(name)) return std::nullopt;
  return name.substr(0, name.size() - kSuffix);
}

std::size_t next_item(const State& state, const ObjectNames::Directory& directory) {
  const Graph& graph = state.pickled->graph();
  const auto& entries = directory.entries();
  return static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(), [&](const ObjectNames::Named& n) {
    return n.child.part == Part::item && graph.at(n.child.slot) != kNone;
  }));
}

std::optional<Error> why_not_editable(const State& state) {
  if (state.options.read_only) return Error(Errc::read_only, "the view is read-only");
  if (!state.options.edit_all) return Error(Errc::immutable, "is edited under -o edit=all only");
  const std::string& obstacle = state.pickled->obstacle();
  if (!obstacle.empty()) return Error(Errc::immutable, "cannot be edited: " + obstacle);
  return std::nullopt;
}

}  // namespace ckptree::torch
