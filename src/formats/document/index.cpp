#include "formats/document/index.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include "ckptree/name.hpp"
#include "formats/document/value_text.hpp"

namespace ckptree {
namespace {

// A key's name is cut when it has more than 255 bytes; no byte of a key becomes more than three.
constexpr std::size_t kNeverCut = 255 / 3;
// Smaller ones are made again faster than they are found.
constexpr std::size_t kKeptContent = 1 << 16;

/// Seeded, so that no document can be made of keys that all collide.
std::uint64_t hash_of(Bytes key) {
  static const std::uint64_t seed = [] {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
  }();
  const auto mix = [](std::uint64_t h) {
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
    return h ^ h >> 32;
  };
  std::uint64_t h = mix(seed ^ key.size());
  for (std::size_t at = 0; at < key.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, key.data() + at, std::min<std::size_t>(8, key.size() - at));
    h = mix((h ^ word) + seed);
  }
  return h;
}

/// The text of a key's literal, in `room` where it is not in the document itself.
Bytes key_at(Bytes bytes, const Container::Entry& entry, std::string& room) {
  const Bytes literal = bytes.substr(entry.key, entry.key_size);
  if (literal.find('\\') == Bytes::npos) return literal.substr(1, literal.size() - 2);
  return room = json::unescape(literal);
}

}  // namespace

Shape shape_of(const json::Member& member) noexcept {
  switch (member.type) {
    case json::Type::object: return Shape::object;
    case json::Type::array: return member.nested ? Shape::list : Shape::flat_list;
    case json::Type::string: return Shape::string;
    case json::Type::number: return Shape::number;
    case json::Type::boolean: return Shape::boolean;
    case json::Type::null: return Shape::null;
  }
  return Shape::null;
}

Container::Container(Bytes text, json::Extent container) {
  json::Member whole;
  whole.type = json::type_at(text, container);
  shape_ = shape_of(whole);
  json::Walk walk(text, container);
  const auto offset = [&](std::size_t at) { return static_cast<std::uint32_t>(at - container.begin); };
  for (json::Member m; walk.next(m);)
    entries_.push_back({offset(m.key.begin), static_cast<std::uint32_t>(m.key.size()), offset(m.value.begin),
                        static_cast<std::uint32_t>(m.value.size()), shape_of(m), false});
  entries_.shrink_to_fit();
  if (is_object()) lookup_ = make_lookup(text.substr(container.begin, container.size()));
  find_shape();
}

Container::Container(const Container& other) : shape_(other.shape_), entries_(other.entries_), lookup_(other.lookup_) {
  const std::lock_guard lock(other.mutex_);
  children_ = other.children_;
  contents_ = other.contents_;
}

std::shared_ptr<const Container::Lookup> Container::make_lookup(Bytes bytes) {
  auto lookup = std::make_shared<Lookup>();
  std::size_t size = 4;
  while (size < entries_.size() * 2) size *= 2;
  lookup->slots.resize(size);
  std::string room, other_room;
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    const Bytes key = key_at(bytes, entries_[i], room);
    std::size_t slot = hash_of(key) & (size - 1);
    while (const std::uint32_t other = lookup->slots[slot]) {
      if (key_at(bytes, entries_[other - 1], other_room) == key) {
        entries_[other - 1].shadowed = true;
        break;
      }
      slot = (slot + 1) & (size - 1);
    }
    lookup->slots[slot] = i + 1;
    if (key.size() <= kNeverCut) continue;
    FileName name = file_name_of(key);
    if (name.cut) lookup->cut[std::move(name.text)] = i;
  }
  return lookup;
}

void Container::find_shape() noexcept {
  if (!is_list()) return;
  const bool nested = std::any_of(entries_.begin(), entries_.end(),
                                  [](const Entry& e) { return is_directory(e.shape) || e.shape == Shape::flat_list; });
  shape_ = nested ? Shape::list : Shape::flat_list;
}

std::optional<std::uint32_t> Container::find_key(Bytes bytes, Bytes key) const {
  if (!is_object()) return std::nullopt;
  const std::vector<std::uint32_t>& slots = lookup_->slots;
  std::string room;
  for (std::size_t slot = hash_of(key);; ++slot) {
    const std::uint32_t i = slots[slot & (slots.size() - 1)];
    if (i == 0) return std::nullopt;
    if (key_at(bytes, entries_[i - 1], room) == key) return i - 1;
  }
}

std::optional<std::uint32_t> Container::find(Bytes bytes, const std::string& name) const {
  if (!is_object()) {
    const auto i = index_of(name);
    if (!i || *i >= entries_.size()) return std::nullopt;
    return static_cast<std::uint32_t>(*i);
  }
  // A name that is another spelling of a key's name, such as "%41" for "A", names nothing.
  const std::string key = key_of(name);
  const auto found = find_key(bytes, key);
  if (found && file_name_of(key).text == name) return found;
  const auto cut = lookup_->cut.find(name);
  if (cut == lookup_->cut.end()) return std::nullopt;
  return cut->second;
}

std::string Container::key(Bytes bytes, std::uint32_t i) const {
  std::string room;
  return is_object() ? std::string(key_at(bytes, entries_[i], room)) : room;
}

std::vector<std::uint32_t> Container::same_key(Bytes bytes, std::uint32_t i) const {
  std::vector<std::uint32_t> same;
  const std::string wanted = key(bytes, i);
  for (std::uint32_t other = 0; other < i; ++other)
    if (entries_[other].shadowed && key(bytes, other) == wanted) same.push_back(other);
  same.push_back(i);
  return same;
}

Ptr<Container> Container::child(Bytes bytes, std::uint32_t i) const {
  {
    const std::lock_guard lock(mutex_);
    const auto known = children_.find(i);
    if (known != children_.end()) return known->second;
  }
  const Entry& entry = entries_[i];
  auto made = std::make_shared<const Container>(bytes, json::Extent{entry.value, entry.value + entry.value_size});
  const std::lock_guard lock(mutex_);
  return children_.emplace(i, std::move(made)).first->second;  // another thread's, if it was faster
}

Recipe Container::content(Bytes bytes, std::uint32_t i) const {
  const Entry& entry = entries_[i];
  const Bytes value = bytes.substr(entry.value, entry.value_size);
  if (entry.value_size < kKeptContent) return Recipe::literal(text_of_value(value, entry.shape));
  {
    const std::lock_guard lock(mutex_);
    const auto known = contents_.find(i);
    if (known != contents_.end()) return known->second;
  }
  // As a file in memory: copies of the Recipe share the bytes.
  std::string text = text_of_value(value, entry.shape);
  const std::size_t size = text.size();
  std::string tag = tag_of(text);
  Recipe made = Recipe::extent(memory_file("a value of a document", std::move(text)), 0, size, std::move(tag));
  const std::lock_guard lock(mutex_);
  return contents_.emplace(i, std::move(made)).first->second;
}

Ptr<Container> Container::with_value(std::uint32_t i, std::size_t size, Shape shape, Ptr<Container> child) const {
  std::shared_ptr<Container> made(new Container(*this));
  Entry& changed = made->entries_[i];
  const auto by = static_cast<std::uint32_t>(size) - changed.value_size;  // modulo 2^32, as the additions below
  changed.value_size = static_cast<std::uint32_t>(size);
  changed.shape = shape;
  for (std::size_t later = i + 1; later < made->entries_.size(); ++later) {
    made->entries_[later].key += by;
    made->entries_[later].value += by;
  }
  made->find_shape();
  made->contents_.erase(i);
  made->children_.erase(i);
  if (child) made->children_.emplace(i, std::move(child));
  return made;
}

}  // namespace ckptree
