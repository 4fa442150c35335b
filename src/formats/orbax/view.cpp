#include "formats/orbax/view.hpp"

#include <cerrno>
#include <system_error>

#include "formats/stored.hpp"

namespace ckptree::orbax {

View View::of(Bytes valid_text) {
  const json::Extent root = json::root(valid_text);
  return {valid_text, root, json::type_at(valid_text, root)};
}

bool View::is_integer() const noexcept {
  return type == json::Type::number && literal().find_first_of(".eENI") == Bytes::npos;
}

bool View::is_falsy() const {
  switch (type) {
    case json::Type::null: return true;
    case json::Type::boolean: return literal() == "false";
    case json::Type::string: return literal().size() == 2;
    case json::Type::number: return literal().find_first_of("123456789NI") == Bytes::npos;
    case json::Type::object:
    case json::Type::array: return size() == 0;
  }
  return false;
}

std::string View::string() const { return is_string() ? json::unescape(literal()) : std::string(literal()); }

std::uint64_t View::size() const {
  std::uint64_t n = 0;
  json::Walk walk(text, at);
  json::Member m;
  while (walk.next(m)) ++n;
  return n;
}

std::optional<View> View::find(Bytes key) const {
  std::optional<View> found;
  if (!is_object()) return found;
  json::Walk walk(text, at);
  json::Member m;
  while (walk.next(m)) {
    const Bytes literal = text.substr(m.key.begin, m.key.size());
    const bool plain = literal.find('\\') == Bytes::npos;
    if (plain ? literal.substr(1, literal.size() - 2) == key : json::unescape(literal) == key)
      found = View{text, m.value, m.type};
  }
  return found;
}

std::string read_text(const Source& source, const std::string& path, std::uint64_t limit) {
  return damage_of(path, [&] { return whole_file(source.open(path)).text(limit, path); });
}

std::string read_json(const Source& source, const std::string& path) {
  return damage_of(path, [&] {
    std::string text = read_text(source, path, kMaxJson);
    json::validate(text, path);
    return text;
  });
}

void rethrow_as_damage(const std::string& place) {
  try {
    throw;
  } catch (const Error& e) {
    if (e.code() == Errc::stale || e.code() == Errc::io || e.code() == Errc::unsupported) throw;
    const std::string text = e.what();
    throw Error(Errc::corrupt, text.find(place) == std::string::npos ? place + ": " + text : text);
  } catch (const std::system_error& e) {
    const int number = e.code().value();
    if (number == ENOENT || number == ENOTDIR) throw Error(Errc::corrupt, place + ": is missing");
    if (number == EISDIR || number == ELOOP) throw Error(Errc::corrupt, place + ": is no file");
    throw;
  }
}

}  // namespace ckptree::orbax
