#include "formats/earth2studio/fields.hpp"

#include <algorithm>

#include "ckptree/error.hpp"
#include "formats/document/value_text.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/typed.hpp"

namespace ckptree::earth2studio {
namespace {

constexpr Bytes kArray = ".npy";

bool is_scalar(const Json& payload) {
  const Json* kind = payload.find("kind");
  if (!kind) return false;
  for (const char* name : {"none", "bool", "int", "float", "str"})
    if (kind->text == name) return true;
  return false;
}

std::string name_of(const std::string& key, Look look) {
  if (look == Look::array) return file_name_of(key + std::string(kArray)).text;
  std::string name = file_name_of(key).text;
  const bool looks_like_one = name.size() >= kArray.size() && Bytes(name).substr(name.size() - kArray.size()) == kArray;
  if (looks_like_one) name.replace(name.size() - kArray.size(), 1, "%2E");
  return name;
}

/// The JSON value that a scalar payload stands for.
Json scalar(const Json& payload) {
  const Json* value = payload.find("value");
  return value ? *value : Json();
}

/// The JSON value that a text stands for in place of a payload that is no array.
Json value_of_text(const Json& payload, Look look, const std::string& text, const std::string& place) {
  const std::string old = text_of_payload(payload, look);
  const auto as = [&](Shape shape, Bytes literal) {
    const Value value = replaced_value(literal, shape, text, place);
    return parse(value.json, place);
  };
  switch (look) {
    case Look::string: return as(Shape::string, json::quote(payload.find("value")->text));
    case Look::list: return as(Shape::flat_list, Bytes(old).substr(0, old.size() - 1));
    case Look::typed: {
      if (text.empty()) throw Error(Errc::incomplete, place + ": expected " + old.substr(0, old.size() - 1));
      Json value = parse(text, place);
      const Json* kind = value.find("kind");
      if (!kind || kind->text != payload.find("kind")->text)
        throw Error(Errc::rejected, place + ": expected an object of the kind " + payload.find("kind")->text);
      check_typed(value, place);
      return value;
    }
    case Look::scalar: break;
    case Look::directory:
    case Look::array: throw Error(Errc::is_directory, place + ": is a directory");
  }
  const std::string literal = old.substr(0, old.size() - 1);
  const bool number = literal != "null" && literal != "true" && literal != "false";
  const Json value = as(number ? Shape::number : literal == "null" ? Shape::null : Shape::boolean, literal);
  if (payload.find("kind")->text == "int" && !value.is_integer())
    throw Error(Errc::rejected, place + ": expected an integer");
  return value;
}

}  // namespace

Look look_of(const Json& payload, const std::string& place) {
  const std::string kind = kind_of(payload, place);
  if (kind == "dict" || kind == "dataclass") return Look::directory;
  if (kind == "tensor" || kind == "ndarray") return Look::array;
  if (kind == "str") return payload.find("value")->is_string() ? Look::string : Look::scalar;
  if (is_scalar(payload)) return Look::scalar;
  if (kind != "list" && kind != "tuple") return Look::typed;
  const auto& items = payload.find("items")->items;
  return std::all_of(items.begin(), items.end(), is_scalar) ? Look::list : Look::directory;
}

std::vector<Child> children(const Json& payload, const std::string& place) {
  std::vector<Child> all;
  const Json* items = payload.find("items");
  if (items && items->is_list()) {
    for (std::size_t i = 0; i < items->items.size(); ++i)
      all.emplace_back(name_of(std::to_string(i), look_of(items->items[i], place)), &items->items[i]);
    return all;
  }
  const Json* members = payload.find("fields");
  if (!members) members = items;
  if (members)
    for (const auto& [key, entry] : members->members) all.emplace_back(name_of(key, look_of(entry, place)), &entry);
  return all;
}

std::vector<Child> top_children(const Json& fields, const std::string& place) {
  std::vector<Child> all;
  for (const auto& [key, entry] : fields.members) {
    std::string name = name_of(key, look_of(entry, place));
    if (name == "state_id" || name == "schema_hash") name.replace(0, 1, "%73");
    all.emplace_back(std::move(name), &entry);
  }
  return all;
}

const Json* find_payload(const Json& fields, const TreePath& path, const std::string& place) {
  const Json* at = nullptr;
  for (const std::string& name : path) {
    if (at && look_of(*at, place) != Look::directory) return nullptr;
    const auto all = at ? children(*at, place) : top_children(fields, place);
    const auto found = std::find_if(all.begin(), all.end(), [&](const Child& c) { return c.first == name; });
    if (found == all.end()) return nullptr;
    at = found->second;
  }
  return at;
}

Json* find_payload(Json& fields, const TreePath& path, const std::string& place) {
  const Json& same = fields;
  return const_cast<Json*>(find_payload(same, path, place));  // of what the caller may change
}

std::string text_of_payload(const Json& payload, Look look) {
  switch (look) {
    case Look::string: return text_of_value(json::quote(payload.find("value")->text), Shape::string);
    case Look::scalar: return dumps_line(scalar(payload)) + "\n";
    case Look::list: {
      Json list = Json::list();
      for (const Json& item : payload.find("items")->items) list.items.push_back(scalar(item));
      return text_of_value(dumps_line(list), Shape::flat_list);
    }
    case Look::typed: return dumps_line(payload) + "\n";
    case Look::directory:
    case Look::array: break;
  }
  return {};
}

Json edited_payload(const Json& payload, const std::string& text, const std::string& place) {
  const Look look = look_of(payload, place);
  const Json value = value_of_text(payload, look, text, place);
  Both both = merge(&payload, nullptr, value, "", place);
  if (!both.arrays.empty()) throw Error(Errc::rejected, place + ": an array needs a file of its own");
  return std::move(both.payload);
}

}  // namespace ckptree::earth2studio
