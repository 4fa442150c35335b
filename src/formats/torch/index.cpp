#include "formats/torch/index.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "codec/npy/npy.hpp"

namespace ckptree::torch {
namespace {

using Shape = std::vector<std::uint64_t>;

Bytes part(Bytes text, json::Extent at) { return text.substr(at.begin, at.size()); }

/// The entries of an object by key, in order; of equal keys the last, as Python reads them.
std::vector<std::pair<std::string, json::Member>> fields_of(Bytes document, json::Extent object) {
  std::vector<std::pair<std::string, json::Member>> fields;
  std::map<std::string, std::size_t> known;  // keys may be chosen so that their hashes collide
  json::Walk walk(document, object);
  for (json::Member m; walk.next(m);) {
    std::string key = json::unescape(part(document, m.key));
    const auto [at, fresh] = known.emplace(key, fields.size());
    if (fresh) fields.emplace_back(std::move(key), m);
    else fields[at->second].second = m;
  }
  return fields;
}

/// Whether an object with these fields is an array to anemoi.
bool is_array(const std::vector<std::pair<std::string, json::Member>>& fields) {
  return fields.size() == 3 && std::all_of(fields.begin(), fields.end(), [](const auto& field) {
           return field.first == "path" || field.first == "shape" || field.first == "dtype";
         });
}

bool read_shape(Bytes document, json::Extent list, Shape& shape) {
  json::Walk walk(document, list);
  for (json::Member m; walk.next(m);) {
    const Bytes text = part(document, m.value);
    std::uint64_t extent = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), extent);
    if (m.type != json::Type::number || error != std::errc() || end != text.data() + text.size()) return false;
    if (shape.size() == npy::kMaxRank) return false;
    shape.push_back(extent);
  }
  return true;
}

/// Reads the three fields of an array.
void read_array(ArrayIndex::Entry& entry, Bytes document,
                const std::vector<std::pair<std::string, json::Member>>& fields) {
  for (const auto& [key, m] : fields) {
    const bool text = m.type == json::Type::string;
    if (key == "path" && text) entry.member = json::unescape(part(document, m.value));
    if (key == "dtype" && text) entry.dtype = json::unescape(part(document, m.value));
    if (key != "shape" && !text) entry.problem = "its " + key + " in the metadata is no string";
    if (key == "shape" && (m.type != json::Type::array || !read_shape(document, m.value, entry.shape)))
      entry.problem = "its shape in the metadata is no list of extents";
  }
  if (!entry.problem.empty()) return;
  try {
    entry.descr = npy::descr_of(entry.dtype, "its dtype in the metadata");
  } catch (const Error& e) {
    entry.problem = e.what();
  }
}

}  // namespace

ArrayIndex::ArrayIndex(Bytes document) {
  const json::Extent root = json::root(document);
  if (json::type_at(document, root) != json::Type::object)
    throw Error(Errc::corrupt, "the metadata is no JSON object, so that nothing can be told about arrays");
  entries_.emplace_back();
  const auto index = json::locate(document, {kIndexKey});
  if (!index) return;
  if (json::type_at(document, *index) != json::Type::object)
    throw Error(Errc::corrupt, std::string(kIndexKey) + " of the metadata is no JSON object");

  struct Open {
    std::size_t directory;
    std::vector<std::pair<std::string, json::Member>> fields;
    std::size_t depth;
  };
  std::vector<Open> open;
  open.push_back({kTop, fields_of(document, *index), 1});
  while (!open.empty()) {
    const Open directory = std::move(open.back());
    open.pop_back();
    for (const auto& [key, m] : directory.fields) {
      Entry entry;
      entry.key = key;
      entry.parent = directory.directory;
      std::vector<std::pair<std::string, json::Member>> fields;
      if (m.type == json::Type::object) fields = fields_of(document, m.value);
      if (m.type != json::Type::object) {
        entry.problem = "its entry in the metadata is no JSON object";
      } else if (is_array(fields)) {
        read_array(entry, document, fields);
      } else if (directory.depth == kMaxArrayDepth) {
        entry.problem = "directories of arrays deeper than " + std::to_string(kMaxArrayDepth) + " are not shown";
      }
      entry.is_array = !entry.problem.empty() || is_array(fields);
      if (!entry.problem.empty()) entry.text = part(document, m.value);
      entry.name = (entry.is_array ? array_file_name(key) : array_directory_name(key)).text;
      const std::size_t number = entries_.size();
      if (!entry.is_array) open.push_back({number, std::move(fields), directory.depth + 1});
      entries_[directory.directory].children.push_back(number);
      by_name_.emplace(std::make_pair(directory.directory, entry.name), number);
      entries_.push_back(std::move(entry));
    }
  }
}

std::size_t ArrayIndex::child(std::size_t directory, const std::string& name) const {
  const auto found = by_name_.find({directory, name});
  return found == by_name_.end() ? kTop : found->second;
}

Keys ArrayIndex::keys(std::size_t i) const {
  Keys keys;
  for (; i != kTop; i = entries_[i].parent) keys.push_back(entries_[i].key);
  std::reverse(keys.begin(), keys.end());
  return keys;
}

std::string ArrayIndex::title(std::size_t i) const {
  TreePath names;
  for (const std::string& key : keys(i)) names.push_back(file_name_of(key).text);
  return to_string(names);
}

std::vector<std::size_t> ArrayIndex::below(std::size_t i) const {
  std::vector<std::size_t> found, open{i};
  while (!open.empty()) {
    const std::size_t next = open.back();
    open.pop_back();
    found.push_back(next);
    const auto& children = entries_[next].children;
    open.insert(open.end(), children.rbegin(), children.rend());
  }
  return found;
}

std::map<std::string, std::size_t> ArrayIndex::references() const {
  std::map<std::string, std::size_t> counts;
  for (const Entry& e : entries_)
    if (e.is_array && !e.member.empty()) ++counts[e.member];
  return counts;
}

std::map<Keys, std::string> ArrayIndex::meaning() const {
  std::map<Keys, std::string> all;
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    const Entry& e = entries_[i];
    std::string& meaning = all[keys(i)];
    if (!e.problem.empty()) meaning = e.text;
    else if (e.is_array) meaning = array_literal(e.member, e.shape, e.descr);
  }
  return all;
}

bool ArrayIndex::operator==(const ArrayIndex& other) const { return meaning() == other.meaning(); }

bool is_array_file_name(Bytes name) { return name.size() >= 4 && name.substr(name.size() - 4) == ".npy"; }

FileName array_file_name(const std::string& key) {
  return key.empty() ? FileName{"%.npy", false} : file_name_of(key + ".npy");
}

FileName array_directory_name(const std::string& key) {
  FileName name = file_name_of(key);
  if (is_array_file_name(name.text)) name.text.replace(name.text.size() - 4, 1, "%2E");
  return name;
}

namespace {

/// The key, when it is spelled like `name` and JSON can hold it.
std::string checked_key(std::string key, const FileName& spelled, const std::string& name, const std::string& place) {
  if (spelled.cut || spelled.text != name || is_scratch_name(name))
    throw Error(Errc::rejected, place + ": not how the name of an array is spelled; that would be " + spelled.text);
  json::quote(key);  // throws for bytes that are not UTF-8
  return key;
}

}  // namespace

std::string key_of_array(const std::string& name, const std::string& place) {
  if (!is_array_file_name(name)) throw Error(Errc::rejected, place + ": the name of an array ends in .npy");
  const std::string stem = name.substr(0, name.size() - 4);
  std::string key = stem == "%" ? std::string() : key_of(stem);
  const FileName spelled = array_file_name(key);
  return checked_key(std::move(key), spelled, name, place);
}

std::string key_of_array_directory(const std::string& name, const std::string& place) {
  std::string key = key_of(name);
  const FileName spelled = array_directory_name(key);
  return checked_key(std::move(key), spelled, name, place);
}

}  // namespace ckptree::torch
