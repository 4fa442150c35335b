#include "formats/earth2studio/payload.hpp"

#include <algorithm>

#include "ckptree/error.hpp"
#include "ckptree/sha256.hpp"
#include "formats/earth2studio/typed.hpp"

// Recursion follows Json, which is at most kMaxNesting deep.
namespace ckptree::earth2studio {
namespace {

struct Kind {
  const char* name;
  std::initializer_list<const char*> members;
};
const Kind kKinds[] = {
    {"none", {}},
    {"bool", {"value"}},
    {"int", {"value"}},
    {"float", {"value"}},
    {"str", {"value"}},
    {"datetime", {"value"}},
    {"date", {"value"}},
    {"timedelta", {"days", "seconds", "microseconds"}},
    {"np_datetime64", {"value", "unit"}},
    {"np_timedelta64", {"value", "unit"}},
    {"torch_device", {"value"}},
    {"torch_dtype", {"value"}},
    {"np_dtype", {"value"}},
    {"tensor", {"path", "dtype", "shape"}},
    {"ndarray", {"path", "dtype", "shape"}},
    {"list", {"items"}},
    {"tuple", {"items"}},
    {"dict", {"items"}},
    {"dataclass", {"fields"}},
};

Json payload(const char* kind, const char* member = nullptr, Json value = {}) {
  Json made = Json::object();
  made.set("kind", Json::string(kind));
  if (member) made.set(member, std::move(value));
  return made;
}

bool is_kind(const Json* payload, std::initializer_list<const char*> kinds) {
  const Json* kind = payload ? payload->find("kind") : nullptr;
  return kind && std::any_of(kinds.begin(), kinds.end(), [&](const char* k) { return kind->text == k; });
}

const Json* item(const Json* list, std::size_t i) { return list && i < list->items.size() ? &list->items[i] : nullptr; }
const Json* member(const Json* object, const std::string& key) { return object ? object->find(key) : nullptr; }

void take(std::map<std::string, std::string>& arrays, Both& from) {
  for (auto& [path, bytes] : from.arrays) arrays[path] = std::move(bytes);
}

Both merge_number(const Json* old_payload, const Json& value) {
  if (!value.is_integer()) return {payload("float", "value", value), value, {}};
  if (!is_kind(old_payload, {"float"})) return {payload("int", "value", value), value, {}};
  Json whole = value;
  whole.text += ".0";  // a float stays one, in both encodings
  return {payload("float", "value", whole), whole, {}};
}

Both merge_array(const Json* old_payload, const Json& value, const std::string& path, const std::string& place) {
  check_decodes(value, place);
  const bool stays = is_kind(old_payload, {"tensor", "ndarray"});
  Both both;
  both.value = value;
  both.payload = payload(stays ? old_payload->find("kind")->text.c_str() : "ndarray");
  for (const char* key : {"dtype", "shape"}) both.payload.set(key, *value.find(key));
  both.payload.set("path", Json::string(path + ".npy"));
  both.arrays[path + ".npy"] = array_of_label(value, place);
  return both;
}

Both merge_list(const Json* old_payload, const Json* old_value, const Json& value, const std::string& path,
                const std::string& place) {
  const bool stays = is_kind(old_payload, {"list", "tuple"});
  const Json* old_items = stays ? old_payload->find("items") : nullptr;
  Json payloads = Json::list();
  Both both;
  both.value = Json::list();
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string index = std::to_string(i);
    Both one = merge(item(old_items, i), item(old_value, i), value.items[i], path + "/" + index, place + "/" + index);
    payloads.items.push_back(std::move(one.payload));
    both.value.items.push_back(std::move(one.value));
    take(both.arrays, one);
  }
  both.payload = payload(stays ? old_payload->find("kind")->text.c_str() : "list", "items", std::move(payloads));
  return both;
}

Both merge_object(const Json* old_payload, const Json* old_value, const Json& value, const std::string& path,
                  const std::string& place) {
  const bool dataclass = is_kind(old_payload, {"dataclass"});
  const char* where = dataclass ? "fields" : "items";
  const Json* old_items = dataclass || is_kind(old_payload, {"dict"}) ? old_payload->find(where) : nullptr;
  Json payloads = Json::object();
  Both both;
  both.value = Json::object();
  for (const auto& [key, entry] : value.members) {
    const std::string below = path + "/" + (dataclass ? key : hashed(key));
    Both one = merge(member(old_items, key), member(old_value, key), entry, below, place + "/" + key);
    payloads.set(key, std::move(one.payload));
    both.value.set(key, std::move(one.value));
    take(both.arrays, one);
  }
  both.payload = payload(dataclass ? "dataclass" : "dict", where, std::move(payloads));
  if (dataclass)
    for (const char* key : {"state_id", "schema_hash"})
      if (const Json* kept = old_payload->find(key)) both.payload.set(key, *kept);
  return both;
}

}  // namespace

std::string hashed(Bytes key) { return sha256(key).substr(0, 24); }

std::string kind_of(const Json& payload, const std::string& place) {
  const Json* kind = payload.find("kind");
  if (!kind || !kind->is_string()) throw Error(Errc::corrupt, place + ": a payload without a kind");
  for (const Kind& known : kKinds) {
    if (kind->text != known.name) continue;
    for (const char* name : known.members)
      if (!payload.find(name)) throw Error(Errc::corrupt, place + ": a " + kind->text + " without " + name);
    const Json *items = payload.find("items"), *fields = payload.find("fields");
    const bool is_list = kind->text == "list" || kind->text == "tuple";
    const bool fits = is_list                     ? items->is_list()
                      : kind->text == "dict"      ? items->is_object()
                      : kind->text == "dataclass" ? fields->is_object()
                                                  : true;
    if (!fits) throw Error(Errc::corrupt, place + ": the items of a " + kind->text + " are of another type");
    return kind->text;
  }
  throw Error(Errc::corrupt, place + ": a payload of the unknown kind '" + kind->text.substr(0, 40) + "'");
}

std::string array_path(const Json& payload, const std::string& place) {
  const Json* path = payload.find("path");
  if (!path || !path->is_string() || path->text.empty())
    throw Error(Errc::corrupt, place + ": an array without a path");
  const std::string& text = path->text;
  const bool leaves = text[0] == '/' || ("/" + text + "/").find("/../") != std::string::npos;
  if (leaves || text.find('\0') != std::string::npos)
    throw Error(Errc::corrupt, place + ": the path of its array leads out of its directory: " + dumps_line(*path));
  return text;
}

Json encode(const Json& payload, const ArrayBase& arrays, const std::string& place) {
  const std::string kind = kind_of(payload, place);
  if (kind == "none") return {};
  if (kind == "bool" || kind == "int" || kind == "float" || kind == "str") return *payload.find("value");
  if (kind == "tensor" || kind == "ndarray") {
    const Ptr<File> file = arrays.source.open(arrays.directory + "/" + array_path(payload, place));
    return label_of_array(Recipe::extent(file, 0, file->size(), ""), place);
  }
  if (kind == "list" || kind == "tuple") {
    Json list = Json::list();
    for (const Json& entry : payload.find("items")->items) list.items.push_back(encode(entry, arrays, place));
    return list;
  }
  if (kind == "dict" || kind == "dataclass") {
    Json object = Json::object();
    for (const auto& [key, entry] : payload.find(kind == "dict" ? "items" : "fields")->members)
      object.set(key, encode(entry, arrays, place + "/" + key));
    return object;
  }
  return payload;  // dates, durations, devices and dtypes: the same in both
}

Both merge(const Json* old_payload, const Json* old_value, const Json& value, const std::string& path,
           const std::string& place) {
  if (old_payload && old_value && same(*old_value, value)) return {*old_payload, value, {}};
  switch (value.type) {
    case json::Type::null: return {payload("none"), value, {}};
    case json::Type::boolean: return {payload("bool", "value", value), value, {}};
    case json::Type::string: return {payload("str", "value", value), value, {}};
    case json::Type::number: check_numbers(value, place); return merge_number(old_payload, value);
    case json::Type::array: return merge_list(old_payload, old_value, value, path, place);
    case json::Type::object: break;
  }
  if (is_array_label(value)) return merge_array(old_payload, value, path, place);
  if (is_typed(value) && !is_kind(old_payload, {"dict"})) {
    check_typed(value, place);
    return {value, value, {}};
  }
  return merge_object(old_payload, old_value, value, path, place);
}

}  // namespace ckptree::earth2studio
