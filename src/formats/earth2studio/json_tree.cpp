#include "formats/earth2studio/json_tree.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "ckptree/error.hpp"

// Recursion here is bounded: parse() refuses what is nested deeper than kMaxNesting.
namespace ckptree::earth2studio {
namespace {

Json parse_at(Bytes text, json::Extent at, const std::string& place, std::size_t depth) {
  if (depth > kMaxNesting)
    throw Error(Errc::corrupt, place + ": nested more than " + std::to_string(kMaxNesting) + " deep");
  const Bytes literal = text.substr(at.begin, at.size());
  Json value;
  value.type = json::type_at(text, at);
  if (value.type == json::Type::string) value.text = json::unescape(literal);
  else if (!value.is_object() && !value.is_list()) value.text = std::string(literal);
  std::map<std::string, std::size_t> known;  // not hashed: keys come from a file
  json::Walk walk(text, at);
  for (json::Member m; walk.next(m);) {
    Json entry = parse_at(text, m.value, place, depth + 1);
    if (!value.is_object()) {
      value.items.push_back(std::move(entry));
      continue;
    }
    std::string key = json::unescape(text.substr(m.key.begin, m.key.size()));
    const auto [at_key, is_new] = known.try_emplace(key, value.members.size());
    if (is_new) value.members.emplace_back(std::move(key), std::move(entry));
    else value.members[at_key->second].second = std::move(entry);
  }
  return value;
}

std::vector<const std::pair<std::string, Json>*> sorted(const Json& object) {
  std::vector<const std::pair<std::string, Json>*> all;
  for (const auto& m : object.members) all.push_back(&m);
  std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  return all;
}

void dump(std::string& out, const Json& value, std::size_t level) {
  const auto line = [&](std::size_t depth) { out.append(1, '\n').append(2 * depth, ' '); };
  bool first = true;
  const auto next = [&] {
    if (!first) out += ',';
    first = false;
    line(level + 1);
  };
  switch (value.type) {
    case json::Type::string: out += json::quote(value.text); return;
    case json::Type::object:
      out += '{';
      for (const auto* m : sorted(value)) {
        next();
        out.append(json::quote(m->first)).append(": ");
        dump(out, m->second, level + 1);
      }
      if (!first) line(level);
      out += '}';
      return;
    case json::Type::array:
      out += '[';
      for (const Json& item : value.items) {
        next();
        dump(out, item, level + 1);
      }
      if (!first) line(level);
      out += ']';
      return;
    case json::Type::null: out += "null"; return;
    case json::Type::number:
    case json::Type::boolean: out += value.text; return;
  }
}

void dump_line(std::string& out, const Json& value) {
  if (value.is_object()) {
    out += '{';
    for (const auto& [key, member] : value.members) {
      if (&member != &value.members.front().second) out += ", ";
      out.append(json::quote(key)).append(": ");
      dump_line(out, member);
    }
    out += '}';
  } else if (value.is_list()) {
    out += '[';
    for (const Json& item : value.items) {
      if (&item != &value.items.front()) out += ", ";
      dump_line(out, item);
    }
    out += ']';
  } else {
    dump(out, value, 0);
  }
}

bool all_equal(const Json& one, const Json& two, bool (*scalars)(const Json&, const Json&)) {
  if (one.is_object() && two.is_object()) {
    if (one.members.size() != two.members.size()) return false;
    const auto a = sorted(one), b = sorted(two);
    for (std::size_t i = 0; i < a.size(); ++i)
      if (a[i]->first != b[i]->first || !all_equal(a[i]->second, b[i]->second, scalars)) return false;
    return true;
  }
  if (one.is_list() && two.is_list())
    return std::equal(one.items.begin(), one.items.end(), two.items.begin(), two.items.end(),
                      [&](const Json& a, const Json& b) { return all_equal(a, b, scalars); });
  return !one.is_object() && !two.is_object() && !one.is_list() && !two.is_list() && scalars(one, two);
}

bool is_numeric(const Json& v) { return v.type == json::Type::number || v.type == json::Type::boolean; }

/// true is 1; digits of integers are compared as they are, so that no size is too large.
std::string digits(const Json& v) {
  if (v.type == json::Type::boolean) return v.text == "true" ? "1" : "0";
  return v.text == "-0" ? "0" : v.text;
}

double number_of(const Json& v) {
  const std::string text = digits(v);
  return std::strtod(text.c_str(), nullptr);  // takes NaN and Infinity as well
}

bool equal_scalars(const Json& one, const Json& two) {
  if (is_numeric(one) && is_numeric(two)) {
    const auto whole = [](const Json& v) { return v.type == json::Type::boolean || v.is_integer(); };
    return whole(one) && whole(two) ? digits(one) == digits(two) : number_of(one) == number_of(two);
  }
  return one.type == two.type && one.text == two.text;
}

}  // namespace

bool Json::is_integer() const noexcept {
  return type == json::Type::number && text.find_first_not_of("-0123456789") == std::string::npos;
}

const Json* Json::find(Bytes key) const noexcept {
  for (const auto& m : members)
    if (m.first == key) return &m.second;
  return nullptr;
}

void Json::set(const std::string& key, Json value) {
  for (auto& m : members)
    if (m.first == key) {
      m.second = std::move(value);
      return;
    }
  members.emplace_back(key, std::move(value));
}

void Json::erase(Bytes key) {
  const auto gone = std::remove_if(members.begin(), members.end(), [&](const auto& m) { return m.first == key; });
  members.erase(gone, members.end());
}

Json parse(Bytes text, json::Extent at, const std::string& place) { return parse_at(text, at, place, 0); }

Json parse(Bytes text, const std::string& place) {
  json::validate(text, place);
  return parse_at(text, json::root(text), place, 0);
}

std::string dumps(const Json& value, std::size_t level) {
  std::string out;
  dump(out, value, level);
  return out;
}

std::string dumps_line(const Json& value) {
  std::string out;
  dump_line(out, value);
  return out;
}

bool same(const Json& one, const Json& two) {
  return all_equal(one, two, [](const Json& a, const Json& b) { return a.type == b.type && a.text == b.text; });
}

bool equal(const Json& one, const Json& two) { return all_equal(one, two, equal_scalars); }

}  // namespace ckptree::earth2studio
