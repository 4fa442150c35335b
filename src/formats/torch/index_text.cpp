#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "formats/torch/index.hpp"

namespace ckptree::torch {
namespace {

std::vector<std::string> path_of(const Keys& keys) {
  std::vector<std::string> path{kIndexKey};
  path.insert(path.end(), keys.begin(), keys.end());
  return path;
}

json::Extent located(Bytes text, const std::vector<std::string>& path) {
  const auto at = json::locate(text, path);
  if (!at) throw Error(Errc::not_found, to_string(path) + ": not in the metadata");
  return *at;
}

/// Where entries of this key stand in a container; Python reads the last.
std::vector<std::size_t> positions(Bytes text, json::Extent container, const std::string& key) {
  std::vector<std::size_t> found;
  json::Walk walk(text, container);
  std::size_t i = 0;
  for (json::Member m; walk.next(m); ++i)
    if (json::unescape(text.substr(m.key.begin, m.key.size())) == key) found.push_back(i);
  return found;
}

}  // namespace

bool IndexText::has_index() const {
  const auto at = json::locate(text_, {kIndexKey});
  return at && json::type_at(text_, *at) == json::Type::object;
}

void IndexText::set(const Keys& keys, const std::string& literal) {
  if (!keys.empty() && !has_index()) set({}, "{}");
  const std::vector<std::string> path = path_of(keys);
  if (const auto at = json::locate(text_, path)) {
    text_ = json::splice(text_, *at, literal);
    return;
  }
  const std::vector<std::string> parent(path.begin(), path.end() - 1);
  text_ = json::append(text_, parent.empty() ? json::root(text_) : located(text_, parent), json::quote(path.back()),
                       literal);
}

void IndexText::set_member(const Keys& keys, const std::string& member) {
  std::vector<std::string> path = path_of(keys);
  path.push_back("path");
  text_ = json::splice(text_, located(text_, path), json::quote(member));
}

void IndexText::erase(const Keys& keys) {
  const std::vector<std::string> path = path_of(keys), parent(path.begin(), path.end() - 1);
  const auto found = positions(text_, located(text_, parent), keys.back());
  for (auto i = found.rbegin(); i != found.rend(); ++i) text_ = json::remove(text_, located(text_, parent), *i);
}

void IndexText::rename(const Keys& keys, const std::string& key) {
  const std::vector<std::string> path = path_of(keys), parent(path.begin(), path.end() - 1);
  auto found = positions(text_, located(text_, parent), keys.back());
  for (; found.size() > 1; found.pop_back())
    text_ = json::remove(text_, located(text_, parent), found[found.size() - 2]);
  found = positions(text_, located(text_, parent), keys.back());
  const auto members = json::members(text_, located(text_, parent));
  text_ = json::splice(text_, members.at(found.at(0)).key, json::quote(key));
}

std::string IndexText::literal(const Keys& keys) const {
  const json::Extent at = located(text_, path_of(keys));
  return text_.substr(at.begin, at.size());
}

std::string array_literal(const std::string& member, const std::vector<std::uint64_t>& shape,
                          const std::string& dtype) {
  std::string extents;
  for (const std::uint64_t extent : shape) extents += (extents.empty() ? "" : ", ") + std::to_string(extent);
  return "{\"path\": " + json::quote(member) + ", \"shape\": [" + extents + "], \"dtype\": " + json::quote(dtype) + "}";
}

}  // namespace ckptree::torch
