#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "codec/json/json.hpp"

namespace ckptree::zarr {

/// A value of a valid document.
struct Value {
  Bytes text;
  json::Extent at;

  json::Type type() const { return json::type_at(text, at); }
  Bytes literal() const { return text.substr(at.begin, at.size()); }
};

/// An object of a document that says what an array is. The caller keeps the text alive.
class Fields {
 public:
  /// @param place  named in errors, with the path to this object
  /// @throws Error Errc::corrupt when it is no object
  Fields(const Value& value, std::string place);
  /// Of a whole document. @throws Error Errc::corrupt when it is no valid one
  static Fields document(Bytes text, const std::string& place);

  /// Nothing when the key is missing; of duplicates the last.
  std::optional<Value> find(const std::string& key) const;
  /// @throws Error Errc::corrupt when the key is missing, or of another type
  Value at(const std::string& key) const;
  std::string string(const std::string& key) const;
  Fields object(const std::string& key) const;
  /// At most kMaxRank numbers, each below 2^62.
  std::vector<std::uint64_t> extents(const std::string& key) const;
  std::vector<Value> array(const std::string& key) const;

  const std::string& place() const noexcept { return place_; }
  [[noreturn]] void fail(const std::string& key, const std::string& expected, Bytes got) const;

 private:
  std::string place_;
  std::map<std::string, Value> values_;
};

/// The entries of an array.
std::vector<Value> items(const Value& array);
/// A whole number of at most 64 bits; nothing when it is none.
std::optional<std::uint64_t> whole_number(const Value& value);

}  // namespace ckptree::zarr
