#include "codec/zarr/fields.hpp"

#include <charconv>

#include "ckptree/error.hpp"
#include "codec/zarr/array.hpp"

namespace ckptree::zarr {
namespace {

// So that sums of two are no concern.
constexpr std::uint64_t kMaxExtent = (std::uint64_t{1} << 62) - 1;
// Longer values are cut in errors.
constexpr std::size_t kTold = 60;

}  // namespace

Fields::Fields(const Value& value, std::string place) : place_(std::move(place)) {
  if (value.type() != json::Type::object)
    throw Error(Errc::corrupt, place_ + ": expected an object, got " + std::string(value.literal().substr(0, kTold)));
  json::Walk walk(value.text, value.at);
  for (json::Member m; walk.next(m);)
    values_[json::unescape(value.text.substr(m.key.begin, m.key.size()))] = {value.text, m.value};
}

Fields Fields::document(Bytes text, const std::string& place) {
  try {
    json::validate(text, place);
  } catch (const Error& e) {
    throw Error(Errc::corrupt, e.what());
  }
  return Fields({text, json::root(text)}, place);
}

std::optional<Value> Fields::find(const std::string& key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

Value Fields::at(const std::string& key) const {
  const auto found = find(key);
  if (!found) throw Error(Errc::corrupt, place_ + ": has no '" + key + "'");
  return *found;
}

std::string Fields::string(const std::string& key) const {
  const Value value = at(key);
  if (value.type() != json::Type::string) fail(key, "a string", value.literal());
  return json::unescape(value.literal());
}

Fields Fields::object(const std::string& key) const { return Fields(at(key), place_ + ": " + key); }

std::vector<Value> Fields::array(const std::string& key) const {
  const Value value = at(key);
  if (value.type() != json::Type::array) fail(key, "an array", value.literal());
  return items(value);
}

std::vector<std::uint64_t> Fields::extents(const std::string& key) const {
  const std::vector<Value> all = array(key);
  if (all.size() > kMaxRank)
    fail(key, "at most " + std::to_string(kMaxRank) + " dimensions", std::to_string(all.size()));
  std::vector<std::uint64_t> extents;
  for (const Value& value : all) {
    const auto n = whole_number(value);
    if (!n || *n > kMaxExtent) fail(key, "whole numbers below 2^62", value.literal());
    extents.push_back(*n);
  }
  return extents;
}

void Fields::fail(const std::string& key, const std::string& expected, Bytes got) const {
  throw Error(Errc::corrupt,
              place_ + ": '" + key + "': expected " + expected + ", got " + std::string(got.substr(0, kTold)));
}

std::vector<Value> items(const Value& array) {
  std::vector<Value> all;
  json::Walk walk(array.text, array.at);
  for (json::Member m; walk.next(m);) all.push_back({array.text, m.value});
  return all;
}

std::optional<std::uint64_t> whole_number(const Value& value) {
  const Bytes text = value.literal();
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace ckptree::zarr
