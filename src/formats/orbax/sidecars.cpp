#include "formats/orbax/sidecars.hpp"

#include <algorithm>

#include "ckptree/error.hpp"
#include "formats/orbax/layout.hpp"
#include "formats/orbax/view.hpp"

namespace ckptree::orbax {
namespace {

// Each process of a run writes one file, and they agree: a run of thousands is told by some of them.
constexpr std::size_t kMaxProcesses = 64;

}  // namespace

std::shared_ptr<const Shardings> read_shardings(const Source& source, const std::string& path) {
  const std::string text = read_json(source, path);
  const View top = View::of(text);
  if (!top.is_object()) throw Error(Errc::corrupt, path + ": expected an object");
  auto all = std::make_shared<Shardings>();
  top.each([&](const std::string& key, const View& value) {
    if (value.is_string()) (*all)[key] = value.string();
  });
  return all;
}

std::string sharding_key(const std::string& name) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string key;
  for (std::size_t at = 0; at < name.size(); at += 3) {
    unsigned long bits = 0;
    const std::size_t n = std::min<std::size_t>(3, name.size() - at);
    for (std::size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < n ? static_cast<unsigned char>(name[at + i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i) key += i <= n ? digits[bits >> (18 - 6 * i) & 63] : '=';
  }
  return key;
}

std::string sharding_json(const std::string& serialized) {
  if (serialized.empty()) return "null";
  try {
    json::validate(serialized, "_sharding");
  } catch (const Error&) {
    return "{\"serialized\": " + json::quote(serialized) + "}";
  }
  if (!View::of(serialized).is_object()) return "{\"serialized\": " + json::quote(serialized) + "}";
  return json::append(serialized, json::root(serialized), "\"serialized\"", json::quote(serialized));
}

std::shared_ptr<const KeyKinds> read_key_kinds(const Source& source, const std::string& directory) {
  auto kinds = std::make_shared<KeyKinds>();
  std::size_t read = 0;
  for (const std::string& name : names_in(source, directory).value_or(Names{})) {
    if (name.compare(0, 8, "process_") != 0) continue;
    if (++read > kMaxProcesses) break;
    const std::string text = read_json(source, directory + "/" + name);
    const auto all = View::of(text).find("array_metadatas");
    if (!all || !all->is_list()) continue;
    all->each([&](const std::string&, const View& entry) {
      const auto array = entry.find("array_metadata");
      const auto own = array ? array->find("param_name") : std::nullopt;
      const auto extra = array ? array->find("ext_metadata") : std::nullopt;
      const auto kind = extra ? extra->find("random_key_impl") : std::nullopt;
      if (own && kind && kind->is_string()) (*kinds)[own->string()] = std::string(kind->literal());
    });
  }
  return kinds;
}

std::shared_ptr<const Strings> Strings::read(const Source& source, const std::string& path) {
  auto strings = std::make_shared<Strings>();
  strings->text_ = read_json(source, path);
  const View top = View::of(strings->text_);
  if (top.is_object()) top.each([&](const std::string& key, const View& value) { strings->top_[key] = value.at; });
  return strings;
}

std::optional<std::string> Strings::value(const std::string& name) const {
  std::vector<std::string> keys(1);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char next = i + 1 < name.size() ? name[i + 1] : '\0';
    if (name[i] == '/') keys.emplace_back();
    else if (name[i] == '~' && (next == '0' || next == '1')) keys.back() += name[++i] == '0' ? '~' : '/';
    else keys.back() += name[i];
  }
  const auto found = top_.find(keys.front());
  if (found == top_.end()) return std::nullopt;
  const Bytes first = Bytes(text_).substr(found->second.begin, found->second.size());
  keys.erase(keys.begin());
  if (keys.empty()) return std::string(first);
  const auto at = json::locate(first, keys);
  return at ? std::optional<std::string>(first.substr(at->begin, at->size())) : std::nullopt;
}

}  // namespace ckptree::orbax
