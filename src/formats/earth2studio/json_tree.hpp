#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "codec/json/json.hpp"

namespace ckptree::earth2studio {

/// A JSON value as a tree: manifests and rows are small, are put together anew at every edit, and Python sorts their
/// keys. Documents that people edit stay text (formats/document).
struct Json {
  json::Type type = json::Type::null;
  std::string text;  // of a string: what it stands for (WTF-8); of other scalars: the literal, digit for digit
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> members;  // of equal keys the last, as Python reads them

  static Json string(std::string text) { return {json::Type::string, std::move(text), {}, {}}; }
  static Json number(std::int64_t n) { return {json::Type::number, std::to_string(n), {}, {}}; }
  static Json list() { return {json::Type::array, {}, {}, {}}; }
  static Json object() { return {json::Type::object, {}, {}, {}}; }

  bool is_string() const noexcept { return type == json::Type::string; }
  bool is_list() const noexcept { return type == json::Type::array; }
  bool is_object() const noexcept { return type == json::Type::object; }
  bool is_null() const noexcept { return type == json::Type::null; }
  /// A number without a fraction and an exponent: Python reads it as an int.
  bool is_integer() const noexcept;

  /// The member of that key; null when there is none, or this is no object.
  const Json* find(Bytes key) const noexcept;
  void set(const std::string& key, Json value);
  void erase(Bytes key);
};

/// Deeper values are refused: upstream decodes them recursively, with Python's limit of 1,000 frames.
constexpr std::size_t kMaxNesting = 200;

/// @param at  a value of the valid document `text`
/// @throws Error Errc::corrupt with `place` for deeper ones
Json parse(Bytes text, json::Extent at, const std::string& place);
/// A whole document, checked first. @throws Error as json::validate and above
Json parse(Bytes text, const std::string& place);

/// As Python's json.dumps(indent=2, sort_keys=True) writes it: ASCII only; numbers keep their digits.
/// @param level  how deep in a document it stands
std::string dumps(const Json& value, std::size_t level = 0);
/// As Python's json.dumps(value) writes it, on one line, keys in their order.
std::string dumps_line(const Json& value);

/// The same text, whatever the order of the keys.
bool same(const Json& one, const Json& two);
/// Equal as Python values are: 1 == 1.0 == true.
bool equal(const Json& one, const Json& two);

}  // namespace ckptree::earth2studio
