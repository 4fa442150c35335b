// What an edit makes of a row, in both encodings.

#include "formats/earth2studio/edit.hpp"

#include <algorithm>
#include <set>

#include "ckptree/error.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/state.hpp"
#include "formats/earth2studio/typed.hpp"

namespace ckptree::earth2studio {
namespace {

Json list_of(const std::vector<std::string>& words) {
  Json list = Json::list();
  for (const std::string& word : words) list.items.push_back(Json::string(word));
  return list;
}

/// Paths of all arrays in a payload, relative to its base.
void collect_arrays(const Json& payload, const std::string& place, std::set<std::string>& paths) {
  const std::string kind = kind_of(payload, place);
  if (kind == "tensor" || kind == "ndarray") paths.insert(array_path(payload, place));
  const Json* inner = payload.find(kind == "dataclass" ? "fields" : "items");
  if (!inner || (kind != "list" && kind != "tuple" && kind != "dict" && kind != "dataclass")) return;
  for (const Json& item : inner->items) collect_arrays(item, place, paths);
  for (const auto& m : inner->members) collect_arrays(m.second, place, paths);
}

void rewrite_metadata(const StoreRow& row, Rewritten& out) {
  const std::string place = "metadata.json";
  const Json values = parse(row.edited_metadata()->text(), place);
  const Json old_values = row.entry().metadata();
  // Legacy manifests have artifacts instead, in a directory of that name.
  const bool legacy = !out.manifest.find("metadata");
  const Json none = Json::object();
  const Json* stored = out.manifest.find(legacy ? "artifacts" : "metadata");
  const Json old_payloads = stored ? *stored : none;

  Json payloads = Json::object(), shown = Json::object();
  for (const auto& [key, value] : values.members) {
    check_stays_typed(old_values.find(key), value, place + ": " + key);
    check_decodes(value, place + ": " + key);
    Both both = merge(old_payloads.find(key), old_values.find(key), value, hashed(key), place + ": " + key);
    for (auto& [path, bytes] : both.arrays) out.files["metadata/" + path] = Recipe::literal(std::move(bytes));
    payloads.set(key, std::move(both.payload));
    shown.set(key, std::move(both.value));
  }
  std::set<std::string> arrays;
  for (const auto& [key, payload] : payloads.members) collect_arrays(payload, place + ": " + key, arrays);
  for (const std::string& path : arrays)
    if (out.files.count("metadata/" + path) == 0)
      out.moved["metadata/" + path] = (legacy ? "artifacts/" : "metadata/") + path;

  std::vector<std::string> keys = row.entry().metadata_keys();
  keys.erase(std::remove_if(keys.begin(), keys.end(), [&](const std::string& k) { return !shown.find(k); }),
             keys.end());
  const std::set<std::string> known(keys.begin(), keys.end());
  for (const auto& m : shown.members)
    if (known.count(m.first) == 0) keys.push_back(m.first);
  out.entry.set("metadata_keys", list_of(keys));
  out.entry.set("metadata", std::move(shown));
  out.manifest.set("metadata", std::move(payloads));
  for (Json* tree : {&out.entry, &out.manifest}) {
    tree->erase("artifacts");
    tree->erase("lead_time");
  }
}

/// `print` decodes labels as it does metadata; what was there before the edit is not its fault.
void rewrite_labels(const StoreRow& row, Rewritten& out) {
  const std::string place = "labels.json";
  const Json labels = parse(row.edited_labels()->text(), place), old = row.entry().labels();
  check_numbers(labels, place);
  for (const auto& [key, value] : labels.members) {
    const Json* before = old.find(key);
    if (before && same(*before, value)) continue;
    check_stays_typed(before, value, place + ": " + key);
    check_decodes(value, place + ": " + key);
  }
  out.entry.set("labels", labels);
  out.manifest.set("labels", labels);
}

void rewrite_state(const StoredState& state, const std::string& path, Rewritten& out) {
  Json tree = Json::object();
  tree.set("state_id", Json::string(state.id));
  tree.set("schema_hash", Json::string(state.schema_hash));
  tree.set("fields", state.fields);
  out.files[path + "/metadata.json"] = Recipe::literal(dumps(tree) + "\n");
  for (const auto& [array, content] : state.arrays) out.files[path + "/" + array] = content;
}

}  // namespace

Rewritten rewritten(const StoreRow& row) {
  Rewritten out;
  out.manifest = *row.manifest();
  out.entry = row.entry().json();
  if (row.edited_metadata()) rewrite_metadata(row, out);
  if (row.edited_labels()) rewrite_labels(row, out);
  const std::string commit = row.commit() + "/";
  for (const auto& [id, state] : row.edited_states())
    rewrite_state(*state, state->directory.substr(commit.size()), out);
  return out;
}

std::shared_ptr<const Entry> edited_entry(const StoreRow& row) {
  return Entry::make(rewritten(row).entry, "metadata.json");
}

}  // namespace ckptree::earth2studio
