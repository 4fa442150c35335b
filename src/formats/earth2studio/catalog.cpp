#include "formats/earth2studio/catalog.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "ckptree/error.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/typed.hpp"

namespace ckptree::earth2studio {
namespace {

constexpr const char* kCatalog = "catalog.json";
// status.json is for reading.
constexpr std::size_t kMaxWarnings = 20;

[[noreturn]] void fail(const std::string& place, const std::string& text) {
  throw Error(Errc::corrupt, place + ": " + text);
}

std::string text_at(const std::string& document, json::Extent at) { return document.substr(at.begin, at.size()); }

/// Python's int(): of a number without its fraction, of true and false, of text.
std::int64_t integer(const std::string& document, json::Extent at, const std::string& place) {
  std::string text = text_at(document, at);
  switch (json::type_at(document, at)) {
    case json::Type::boolean: return text == "true" ? 1 : 0;
    case json::Type::string: text = json::unescape(text); break;
    case json::Type::number: text = text.substr(0, text.find('.')); break;
    default: fail(place, "expected a number");
  }
  std::int64_t n = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, n);
  if (error != std::errc() || stop != end) fail(place, "expected an integer, got '" + text.substr(0, 40) + "'");
  return n;
}

/// Python's str() of what is expected to be text.
std::string word(const std::string& document, json::Extent at) {
  const std::string text = text_at(document, at);
  return json::type_at(document, at) == json::Type::string ? json::unescape(text) : text;
}

void expect(const std::string& document, json::Extent at, json::Type type, const std::string& place) {
  if (json::type_at(document, at) == type) return;
  fail(place, type == json::Type::object ? "expected an object" : "expected a list");
}

std::vector<std::string> words(const Json& list) {
  std::vector<std::string> all;
  for (const Json& item : list.items) all.push_back(item.is_string() ? item.text : dumps_line(item));
  return all;
}

/// Whether some value may be a typed one; most rows are passed over without a look at each.
bool may_be_typed(const std::string& document, json::Extent at) {
  const Bytes text = Bytes(document).substr(at.begin, at.size());
  return text.find("kind") != Bytes::npos || text.find('\\') != Bytes::npos;  // "\u006bind" is the same key
}

}  // namespace

Entry::Entry(std::shared_ptr<const std::string> document, json::Extent at, const std::string& place)
    : document_(std::move(document)), at_(at) {
  const std::string& text = *document_;
  expect(text, at, json::Type::object, place);
  json::Extent id, saved, count, rank, world;
  json::Walk walk(text, at);
  for (json::Member m; walk.next(m);) {
    const std::string key = json::unescape(Bytes(text).substr(m.key.begin, m.key.size()));
    if (key == "commit_id") id = m.value;
    else if (key == "saved_at") saved = m.value;
    else if (key == "write_count") count = m.value;
    else if (key == "rank") rank = m.value;
    else if (key == "world_size") world = m.value;
    else if (key == "labels") labels_ = m.value;
    else if (key == "metadata") metadata_ = m.value;
    else if (key == "lead_time") lead_time_ = m.value;
    else if (key == "metadata_keys") keys_ = m.value;
    else if (key == "artifacts") artifacts_ = m.value;
    else if (key == "state_ids") states_ = m.value;
  }
  if (id.size() == 0) fail(place, "has no commit_id");
  if (saved.size() == 0) fail(place, "has no saved_at");
  commit_id_ = word(text, id);
  saved_at_ = word(text, saved);
  if (count.size() > 0) write_count_ = integer(text, count, place + "/write_count");
  if (rank.size() > 0) rank_ = integer(text, rank, place + "/rank");
  if (world.size() > 0) world_size_ = integer(text, world, place + "/world_size");
  if (labels_.size() > 0) expect(text, labels_, json::Type::object, place + "/labels");
  if (keys_.size() > 0) expect(text, keys_, json::Type::array, place + "/metadata_keys");
  if (artifacts_.size() > 0 && keys_.size() == 0) expect(text, artifacts_, json::Type::array, place + "/artifacts");
  if (states_.size() > 0) expect(text, states_, json::Type::array, place + "/state_ids");
  try {
    if (metadata_.size() > 0) {
      expect(text, metadata_, json::Type::object, place + "/metadata");
      if (may_be_typed(text, metadata_)) {
        const Json metadata = part(metadata_);
        for (const auto& [key, value] : metadata.members) check_decodes(value, place + "/metadata/" + key);
      }
    }
    if (lead_time_.size() > 0) check_decodes(part(lead_time_), place + "/lead_time");
  } catch (const Error& e) {
    throw Error(Errc::corrupt, e.what());
  }
}

std::shared_ptr<const Entry> Entry::make(const Json& object, const std::string& place) {
  // At the depth of a row in a catalog, so that its text can be copied into one.
  auto text = std::make_shared<const std::string>(dumps(object, 2));
  const json::Extent all{0, text->size()};
  return std::make_shared<const Entry>(std::move(text), all, place);
}

Json Entry::part(json::Extent at) const { return parse(*document_, at, "catalog.json: " + commit_id_); }

Json Entry::json() const { return part(at_); }

Json Entry::labels() const { return labels_.size() > 0 ? part(labels_) : Json::object(); }

Json Entry::metadata() const {
  Json all = metadata_.size() > 0 ? part(metadata_) : Json::object();
  if (lead_time_.size() > 0 && !all.find("lead_time")) all.set("lead_time", part(lead_time_));
  return all;
}

std::vector<std::string> Entry::metadata_keys() const {
  if (keys_.size() > 0) return words(part(keys_));
  if (artifacts_.size() > 0) return words(part(artifacts_));
  std::vector<std::string> keys;
  for (const auto& m : metadata().members) keys.push_back(m.first);
  return keys;
}

std::vector<std::string> Entry::state_ids() const {
  return states_.size() > 0 ? words(part(states_)) : std::vector<std::string>();
}

Entries parse_catalog(std::string text, const std::string& place) {
  try {
    json::validate(text, place);
  } catch (const Error& e) {
    throw Error(Errc::corrupt, e.what());
  }
  const auto document = std::make_shared<const std::string>(std::move(text));
  const json::Extent root = json::root(*document);
  expect(*document, root, json::Type::object, place);
  Entries entries;
  const auto list = json::locate(*document, {"entries"});
  if (!list) return entries;  // an empty catalog, and nothing is rebuilt
  expect(*document, *list, json::Type::array, place + ": entries");
  json::Walk walk(*document, *list);
  for (json::Member m; walk.next(m);)
    entries.push_back(
        std::make_shared<const Entry>(document, m.value, place + ": entries/" + std::to_string(entries.size())));
  return entries;
}

std::string catalog_text(const Entries& entries) {
  std::string text = "{\n  \"entries\": [";
  std::size_t size = text.size() + 64;
  for (const auto& entry : entries) size += entry->text().size() + 8;
  text.reserve(size);
  for (const auto& entry : entries) {
    text += entry == entries.front() ? "\n    " : ",\n    ";
    text += entry->text();
  }
  text += entries.empty() ? "],\n" : "\n  ],\n";
  return text += "  \"version\": 1\n}\n";
}

Json read_json(const Source& source, const std::string& path, std::uint64_t limit) {
  const Ptr<File> file = source.open(path);
  const std::string text = Recipe::extent(file, 0, file->size(), "").text(limit, path);
  try {
    return parse(text, path);
  } catch (const Error& e) {
    throw Error(Errc::corrupt, e.what());
  }
}

Json entry_of_manifest(const Json& manifest, const Source& source, const std::string& commit) {
  const auto member = [&](const char* key, json::Type type) {
    const Json* found = manifest.find(key);
    if (found && found->type != type) fail(commit + "/manifest.json", std::string(key) + " is of the wrong type");
    Json none;
    none.type = type;
    return found ? *found : none;
  };
  const Json payloads = member("metadata", json::Type::object), artifacts = member("artifacts", json::Type::object);
  Json metadata = Json::object(), keys = Json::list(), states = Json::list(), entry = Json::object();
  for (const auto& [key, payload] : payloads.members)
    metadata.set(key, encode(payload, {source, commit + "/metadata"}, commit + ": " + key));
  for (const auto& [key, payload] : artifacts.members)
    metadata.set(key, encode(payload, {source, commit + "/artifacts"}, commit + ": " + key));
  const Json* lead_time = manifest.find("lead_time");
  if (lead_time && !metadata.find("lead_time")) metadata.set("lead_time", *lead_time);
  for (const auto& m : (payloads.members.empty() ? artifacts : payloads).members)
    keys.items.push_back(Json::string(m.first));
  const bool named =
      std::any_of(keys.items.begin(), keys.items.end(), [](const Json& k) { return k.text == "lead_time"; });
  if (metadata.find("lead_time") && !named) keys.items.push_back(Json::string("lead_time"));
  for (const auto& m : member("states", json::Type::object).members) states.items.push_back(Json::string(m.first));

  for (const char* key : {"commit_id", "saved_at", "write_count", "rank", "world_size"})
    if (const Json* found = manifest.find(key)) entry.set(key, *found);
  entry.set("labels", member("labels", json::Type::object));
  entry.set("metadata", std::move(metadata));
  entry.set("metadata_keys", std::move(keys));
  entry.set("state_ids", std::move(states));
  if (!manifest.find("rank")) entry.set("rank", Json::number(0));
  if (!manifest.find("world_size")) entry.set("world_size", Json::number(1));
  if (!manifest.find("write_count")) entry.set("write_count", Json::number(0));
  return entry;
}

Catalog read_catalog(const Source& source) {
  Catalog catalog;
  const auto warn = [&](const std::string& sentence) {
    if (catalog.warnings.size() < kMaxWarnings) catalog.warnings.push_back(sentence);
  };
  const auto missing = [](const std::system_error& e) { return e.code().value() == ENOENT; };
  try {
    catalog.file = source.open(kCatalog);
    const Recipe content = Recipe::extent(catalog.file, 0, catalog.file->size(), "");
    catalog.entries = parse_catalog(content.text(kMaxCatalog, kCatalog), kCatalog);
    return catalog;
  } catch (const Error& e) {
    if (e.code() == Errc::stale) throw;
    warn(std::string(e.what()) + "; the rows are those of the manifests");
  } catch (const std::system_error& e) {
    warn(missing(e) ? "catalog.json: is missing; the rows are those of the manifests" : std::string(e.what()));
  }
  catalog.rebuilt = true;
  Names commits;
  try {
    commits = source.list("commits");
  } catch (const std::system_error& e) {
    if (!missing(e)) throw;
  }
  for (const std::string& name : commits) {
    const std::string commit = "commits/" + name;
    try {
      const Json manifest = read_json(source, commit + "/manifest.json", kMaxManifest);
      if (!manifest.is_object()) fail(commit + "/manifest.json", "expected an object");
      catalog.entries.push_back(Entry::make(entry_of_manifest(manifest, source, commit), commit + "/manifest.json"));
    } catch (const Error& e) {
      warn(std::string(e.what()) + "; this commit is no row");
    } catch (const std::system_error& e) {
      warn(commit + ": " + e.what() + "; this commit is no row");
    }
  }
  std::stable_sort(catalog.entries.begin(), catalog.entries.end(),
                   [](const auto& a, const auto& b) { return a->saved_at() < b->saved_at(); });
  return catalog;
}

}  // namespace ckptree::earth2studio
