// migrations/: what a training checkpoint has been through, and what the scripts of a directory say about it.

#include <set>

#include "ckptree/error.hpp"
#include "formats/document/table_text.hpp"
#include "formats/torch/migration_scripts.hpp"
#include "formats/torch/migrations.hpp"
#include "formats/torch/object_place.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {
namespace {

constexpr char kDirectory[] = "registered";
// Of -o migrations=.
constexpr const char* kCompared[] = {"status.tsv", "compatible", "first_incompatible_version"};

Node node_of(const State& state, Node::Saving saving = Node::Saving::none) {
  Node node;
  node.saving = saving;
  node.mtime = state.pickled->mtime();
  return node;
}

Node directory(const State& state, Node::Saving saving = Node::Saving::none) {
  Node node = node_of(state, saving);
  node.kind = Node::Kind::directory;
  return node;
}

Node::Saving saving_of(const State& state) {
  return why_not_editable(state) ? Node::Saving::none : Node::Saving::whole;
}

Node file(const State& state, const Registered& one) {
  Node node = node_of(state, saving_of(state));
  node.content = content_or_failure([&] { return Recipe::literal(json_of(one.what)); });
  return node;
}

std::string table(const Groups& groups, const std::vector<Migration>& registered) {
  std::string text = "name\tversion\tfinal\tgroup\tstate\n";
  for (const Standings::One& one : compare(groups, registered).all)
    text += escaped(one.migration.name) + "\t" + escaped(one.migration.version) + "\t" +
            (one.migration.final ? "true" : "false") + "\t" + (one.group ? std::to_string(*one.group) : "") + "\t" +
            name_of(one.standing) + "\n";
  return text;
}

Node compared(const State& state, const std::string& name) {
  Node node = node_of(state);
  node.content = content_or_failure([&] {
    const Groups groups = groups_of(scripts_in(state.options.migrations));
    const auto found = registered_in(state.pickled->graph());
    const auto registered = found ? std::optional(migrations_of(*found)) : std::nullopt;
    if (name == kCompared[0]) return Recipe::literal(table(groups, registered.value_or(std::vector<Migration>())));
    if (name == kCompared[1]) {
      const std::string why = why_incompatible(groups, registered);
      return Recipe::literal(why.empty() ? "yes\n" : "no: " + why + "\n");
    }
    const std::string version = registered ? first_incompatible_version(groups, *registered) : std::string();
    return Recipe::literal(version.empty() ? "none\n" : version + "\n");
  });
  return node;
}

}  // namespace

std::optional<Node> show_migration(const State& state, const Match& match) {
  const TreePath& names = match.names;
  const pickle::Graph& graph = state.pickled->graph();
  const std::string why = why_no_training(graph);
  if (!why.empty()) throw Error(Errc::not_found, "migrations: " + why);
  if (names.empty()) return directory(state);
  if (names.size() == 1 && names[0] == kDirectory) return directory(state, saving_of(state));
  if (names.size() == 1 && !state.options.migrations.empty())
    for (const char* name : kCompared)
      if (names[0] == name) return compared(state, name);
  if (names.size() != 2 || names[0] != kDirectory) return std::nullopt;
  if (const auto registered = registered_in(graph))
    for (const Registered& one : *registered)
      if (file_name_of(one.what.name).text == names[1]) return file(state, one);
  return std::nullopt;
}

void list_migrations(const State& state, const Match& match,
                     const std::function<bool(const std::string&, const Node&)>& each) {
  if (match.names.empty()) {
    if (!each(kDirectory, directory(state, saving_of(state)))) return;
    if (state.options.migrations.empty()) return;
    for (const char* name : kCompared)
      if (!each(name, compared(state, name))) return;
    return;
  }
  std::set<std::string> seen;
  if (const auto registered = registered_in(state.pickled->graph()))
    for (const Registered& one : *registered) {
      const std::string name = file_name_of(one.what.name).text;
      if (seen.insert(name).second && !each(name, file(state, one))) return;
    }
}

std::optional<Node> vacant_migration(const State& state, const Match& match) {
  if (match.names.size() != 2 || match.names[0] != kDirectory || saving_of(state) == Node::Saving::none)
    return std::nullopt;
  return node_of(state, Node::Saving::whole);
}

}  // namespace ckptree::torch
