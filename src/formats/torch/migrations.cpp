#include "formats/torch/migrations.hpp"

#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"

namespace ckptree::torch {
namespace {

using pickle::Editor;
using pickle::Entry;
using pickle::Graph;
using pickle::Id;
using pickle::Item;
using pickle::Items;
using pickle::Kind;
using pickle::kNone;

constexpr char kList[] = "migrations", kLightning[] = "pytorch-lightning_version";
constexpr char kModule[] = "anemoi.models.migrations.migrator", kMetadata[] = "MigrationMetadata";

/// The value of a key; kNone when there is none, or no dict.
Id value_of(const Graph& graph, Id dict, Bytes key) {
  if (dict == kNone) return kNone;
  const auto entry = pickle::find(graph, dict, key);
  return entry ? entry->value : kNone;
}

// A migration has few entries with short texts; a list may name the same large one a million times. Trainings have been
// through some dozens.
constexpr std::size_t kMaxEntries = 32, kMaxText = 1024, kMaxRegistered = 1000;

std::string text_of(const Graph& graph, Id id) {
  if (id == kNone || graph.kind(id) != Kind::text) return {};
  const Bytes text = graph.text(id);
  std::size_t end = std::min(text.size(), kMaxText);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;  // whole characters
  return std::string(text.substr(0, end));
}

/// The value of a key in one of a migration's dicts.
Id part_of(const Graph& graph, Id dict, Bytes key) {
  if (dict == kNone) return kNone;
  pickle::Entries entries(graph, dict);
  Id found = kNone;
  Entry entry;
  for (std::size_t i = 0; i < kMaxEntries && entries.next(entry); ++i)
    if (graph.is_text(entry.key, key)) found = entry.value;
  return found;
}

Migration migration_at(const Graph& graph, Id id) {
  Migration m;
  m.name = text_of(graph, part_of(graph, id, "name"));
  m.signature = text_of(graph, part_of(graph, id, "signature"));
  Id metadata = part_of(graph, id, "metadata");
  // A dict, or an instance of anemoi's class with the same as its attributes.
  if (metadata != kNone && graph.kind(metadata) != Kind::dict) metadata = graph.state(metadata);
  const Id versions = part_of(graph, metadata, "versions");
  m.migration = text_of(graph, part_of(graph, versions, "migration"));
  m.version = text_of(graph, part_of(graph, versions, "anemoi-models"));
  const Id final = part_of(graph, metadata, "final");
  m.final = final != kNone && graph.kind(final) == Kind::boolean && graph.boolean(final);
  return m;
}

bool holds_items(const Graph& graph, Id id) { return graph.kind(id) == Kind::list; }
bool holds_entries(const Graph& graph, Id id) {
  const Kind kind = graph.kind(id);
  return kind == Kind::dict || kind == Kind::reduce || kind == Kind::newobj;
}

/// The value of a key, made where there is none.
Id value_or_new(Editor& edit, Id dict, const std::string& key, bool list, const std::string& place) {
  const Id found = value_of(edit.graph(), dict, key);
  if (found == kNone) {
    const Id made = list ? edit.list() : edit.dict();
    edit.insert(dict, edit.text(key), made);
    return made;
  }
  if (list ? !holds_items(edit.graph(), found) : !holds_entries(edit.graph(), found))
    throw Error(Errc::immutable, place + ": '" + key + "' in the pickled object is no " + (list ? "list" : "dict"));
  return found;
}

Id entry_of(Editor& edit, const Migration& m) {
  const Id versions =
      edit.dict({{edit.text("migration"), edit.text(m.migration)}, {edit.text("anemoi-models"), edit.text(m.version)}});
  const Id metadata = edit.newobj(edit.global(kModule, kMetadata), edit.tuple({}));
  edit.set_state(metadata, edit.dict({{edit.text("versions"), versions}, {edit.text("final"), edit.boolean(m.final)}}));
  return edit.dict({{edit.text("name"), edit.text(m.name)},
                    {edit.text("metadata"), metadata},
                    {edit.text("signature"), edit.text(m.signature)}});
}

/// A string of a document. @throws Error Errc::rejected
std::string string_at(const std::string& text, const std::vector<std::string>& path, const std::string& place) {
  std::string shown;
  for (const std::string& key : path) shown += "/" + key;
  const auto at = json::locate(text, path);
  if (!at || json::type_at(text, *at) != json::Type::string)
    throw Error(Errc::rejected, place + ": expected a string at " + shown);
  const std::string value = json::unescape(Bytes(text).substr(at->begin, at->size()));
  if (value.size() > kMaxText)
    throw Error(Errc::rejected, place + ": expected at most " + std::to_string(kMaxText) + " bytes at " + shown +
                                    ", got " + std::to_string(value.size()));
  return value;
}

}  // namespace

std::optional<std::vector<Registered>> registered_in(const Graph& graph) {
  const Id list = value_of(graph, graph.root(), kList);
  if (list == kNone || !holds_items(graph, list)) return std::nullopt;
  std::vector<Registered> all;
  Items items(graph, list);
  for (Item item; items.next(item);) {
    if (all.size() == kMaxRegistered)
      throw Error(Errc::too_large, "migrations: more than " + std::to_string(kMaxRegistered) + " are registered");
    all.push_back({migration_at(graph, item.value), item});
  }
  return all;
}

std::vector<Migration> migrations_of(const std::vector<Registered>& registered) {
  std::vector<Migration> all;
  for (const Registered& one : registered) all.push_back(one.what);
  return all;
}

std::string why_no_training(const Graph& graph) {
  const Id root = graph.root();
  if (value_of(graph, root, kList) != kNone || value_of(graph, root, kLightning) != kNone) return {};
  return std::string("not a training checkpoint: the pickled object has neither '") + kList + "' nor '" + kLightning +
         "'; migrate the training checkpoint, and make the inference one from it";
}

std::string json_of(const Migration& m) {
  return "{\"name\": " + json::quote(m.name) +
         ", \"metadata\": {\"versions\": {\"migration\": " + json::quote(m.migration) +
         ", \"anemoi-models\": " + json::quote(m.version) + "}, \"final\": " + (m.final ? "true" : "false") +
         "}, \"signature\": " + json::quote(m.signature) + "}\n";
}

Migration migration_of(const std::string& text, const std::string& place) {
  json::validate(text, place);
  Migration m;
  m.name = string_at(text, {"name"}, place);
  m.migration = string_at(text, {"metadata", "versions", "migration"}, place);
  m.version = string_at(text, {"metadata", "versions", "anemoi-models"}, place);
  m.signature = string_at(text, {"signature"}, place);
  if (const auto final = json::locate(text, {"metadata", "final"})) {
    if (json::type_at(text, *final) != json::Type::boolean)
      throw Error(Errc::rejected, place + ": expected true or false at /metadata/final");
    m.final = text[final->begin] == 't';
  }
  return m;
}

void register_migration(Editor& edit, const Migration& migration, const std::string& place) {
  const Id root = edit.graph().root();
  edit.append(value_or_new(edit, root, kList, true, place), entry_of(edit, migration));
  Id history = root;
  for (const char* key : {"hyper_parameters", "metadata", "migrations"})
    history = value_or_new(edit, history, key, false, place);
  history = value_or_new(edit, history, "history", true, place);
  edit.append(history, edit.dict({{edit.text("type"), edit.text("migrate")},
                                  {edit.text("name"), edit.text(migration.name)},
                                  {edit.text("signature"), edit.text(migration.signature)}}));
}

void replace_migration(Editor& edit, const Registered& old, const Migration& migration) {
  edit.replace(old.item.at, entry_of(edit, migration));
}

}  // namespace ckptree::torch
