#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ckptree/error.hpp"
#include "ckptree/source.hpp"
#include "codec/json/json.hpp"

namespace ckptree::orbax {

/// A value in a valid JSON text that somebody else keeps alive. Documents of Orbax are as large as their trees: nothing
/// is made of them but what is asked for.
struct View {
  Bytes text;
  json::Extent at;
  json::Type type = json::Type::null;

  static View of(Bytes valid_text);

  bool is_object() const noexcept { return type == json::Type::object; }
  bool is_list() const noexcept { return type == json::Type::array; }
  bool is_null() const noexcept { return type == json::Type::null; }
  bool is_string() const noexcept { return type == json::Type::string; }
  /// A number that Python reads as an int.
  bool is_integer() const noexcept;
  /// What Python takes for false: null, false, 0, "", [], {}.
  bool is_falsy() const;
  bool is_true() const noexcept { return literal() == "true"; }
  Bytes literal() const noexcept { return text.substr(at.begin, at.size()); }
  /// Of a string what it stands for; of others their literal.
  std::string string() const;
  std::uint64_t size() const;

  /// The member of that key, of equal keys the last; nothing when there is none, or this is no object.
  std::optional<View> find(Bytes key) const;
  /// Every entry. @param each  gets the key (empty in a list) and the value
  template <class Each>
  void each(const Each& each) const {
    json::Walk walk(text, at);
    json::Member m;
    while (walk.next(m))
      each(is_object() ? json::unescape(text.substr(m.key.begin, m.key.size())) : std::string(),
           View{text, m.value, m.type});
  }
};

/// What a file of JSON is limited to. A tree has some 340 bytes a leaf: 200,000 leaves, ten times the largest we know.
constexpr std::uint64_t kMaxJson = std::uint64_t{64} << 20;

/// A stored file, checked to be JSON. @throws Error Errc::corrupt when it is missing, too large or no JSON
std::string read_json(const Source& source, const std::string& path);
/// A stored file. @throws Error Errc::corrupt when it is missing or over the limit
std::string read_text(const Source& source, const std::string& path, std::uint64_t limit);

/// Runs `body`; that a file is missing, or is none, is damage of what names it.
template <class Body>
auto damage_of(const std::string& place, const Body& body) -> decltype(body());

[[noreturn]] void rethrow_as_damage(const std::string& place);

template <class Body>
auto damage_of(const std::string& place, const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (...) {
    rethrow_as_damage(place);
  }
}

}  // namespace ckptree::orbax
