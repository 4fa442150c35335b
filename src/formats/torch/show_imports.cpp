// imports/ and imports.tsv: the classes and functions that the pickled object refers to.

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "formats/document/table_text.hpp"
#include "formats/torch/imports.hpp"
#include "formats/torch/object_place.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {
namespace {

Node node_of(const State& state, bool editable) {
  Node node;
  node.saving = editable ? Node::Saving::value : Node::Saving::none;
  node.mtime = state.pickled->mtime();
  return node;
}

Node directory(const State& state, bool editable) {
  Node node = node_of(state, editable);
  node.kind = Node::Kind::directory;
  return node;
}

const char* boolean(bool value) { return value ? "true" : "false"; }

Node file(const State& state, const Import& import, bool editable) {
  Node node = node_of(state, editable);
  node.content =
      Recipe::literal("{\"module\": " + json::quote(import.module) + ", \"name\": " + json::quote(import.name) +
                      ", \"uses\": " + std::to_string(import.uses) +
                      ", \"weights_only\": " + boolean(loads_weights_only(import.module, import.name)) + "}\n");
  if (import.name_file.size() != import.name.size()) node.key = import.name;
  return node;
}

bool is_editable(const State& state) { return !why_not_editable(state); }

}  // namespace

std::optional<Node> show_import(const State& state, const Match& match) {
  const TreePath& names = match.names;
  if (names.empty()) {
    try {
      return directory(state, is_editable(state));
    } catch (const Error&) {
      return directory(state, false);  // that cannot be looked into
    }
  }
  const auto imports = state.pickled->imports();
  if (names.size() == 1) {
    const auto [begin, end] = imports->in(names[0]);
    if (begin == end && !state.empty_modules.count(names[0])) return std::nullopt;
    return directory(state, is_editable(state));
  }
  const Import* import = names.size() == 2 ? imports->find(names[0], names[1]) : nullptr;
  if (!import) return std::nullopt;
  return file(state, *import, is_editable(state));
}

void list_imports(const State& state, const Match& match,
                  const std::function<bool(const std::string&, const Node&)>& each) {
  const auto imports = state.pickled->imports();
  const bool editable = is_editable(state);
  const std::vector<Import>& all = imports->all();
  if (!match.names.empty()) {
    const auto [begin, end] = imports->in(match.names[0]);
    for (std::size_t i = begin; i < end; ++i)
      if (!each(all[i].name_file, file(state, all[i], editable))) return;
    return;
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    if (i == 0 || all[i].module_file != all[i - 1].module_file)
      if (!each(all[i].module_file, directory(state, editable))) return;
  for (const auto& [module, edit] : state.empty_modules)
    if (!each(module, directory(state, editable))) return;
}

std::optional<Node> vacant_import(const State& state, const Match& match) {
  // What a name can be moved to, or is refused there with the reason, as is what is written.
  if (match.names.empty() || match.names.size() > 2 || !is_editable(state)) return std::nullopt;
  return node_of(state, true);
}

std::optional<Node> show_imports_table(const State& state, const Match&) {
  Node node = node_of(state, false);
  node.content = content_or_failure([&] {
    std::string text = "module\tname\tuses\tweights_only\n";
    const auto imports = state.pickled->imports();
    for (const Import& import : imports->all())
      text += escaped(import.module) + "\t" + escaped(import.name) + "\t" + std::to_string(import.uses) + "\t" +
              boolean(loads_weights_only(import.module, import.name)) + "\n";
    return Recipe::literal(std::move(text));
  });
  return node;
}

}  // namespace ckptree::torch
