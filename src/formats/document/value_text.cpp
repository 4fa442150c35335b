#include "formats/document/value_text.hpp"

#include "ckptree/error.hpp"
#include "ckptree/utf8.hpp"

namespace ckptree {
namespace {

Bytes slice(Bytes text, json::Extent at) { return text.substr(at.begin, at.size()); }
Bytes trimmed(Bytes text) { return slice(text, json::root(text)); }

/// A text in an error: its first line, and not much of it.
std::string shown(Bytes text) {
  constexpr std::size_t kShown = 40;
  if (text.empty()) return "an empty line";
  std::size_t end = 0;
  while (end < text.size() && end < kShown && static_cast<unsigned char>(text[end]) >= 0x20) {
    const std::size_t size = utf8_length(text.substr(end));
    if (size == 0) break;
    end += size;
  }
  return "'" + std::string(text.substr(0, end)) + (end < text.size() ? "'..." : "'");
}

/// The value in a valid text, told by its first character and, of a list, its items.
Value value_in(Bytes text) {
  const Bytes value = trimmed(text);
  // As the only item of a list: then Walk tells what it is.
  const std::string list = "[" + std::string(value) + "]";
  json::Member member;
  json::Walk(list, {0, list.size()}).next(member);
  return {std::string(value), shape_of(member)};
}

/// A list of scalars with the items of `list` in the spacing of `model`: an edit of one item changes no other byte.
std::string spaced_like(Bytes model, Bytes list) {
  std::string first, between = ", ", last;
  const std::vector<json::Member> old = json::members(model, {0, model.size()});
  if (!old.empty()) {
    first = model.substr(1, old.front().value.begin - 1);
    last = slice(model, {old.back().value.end, model.size() - 1});
    if (old.size() > 1) between = slice(model, {old[0].value.end, old[1].value.begin});
    else if (first.find('\n') != std::string::npos) between = "," + first;
  }
  std::string out = "[";
  std::size_t n = 0;
  json::Walk walk(list, {0, list.size()});
  for (json::Member m; walk.next(m); ++n) {
    // Between two old items whatever stands there, so that uneven spacing stays.
    if (n == 0) out += first;
    else if (n < old.size()) out += slice(model, {old[n - 1].value.end, old[n].value.begin});
    else out += between;
    out += slice(list, m.value);
  }
  if (n == 0 && old.empty()) return std::string(model);
  if (n > 0) out += last;
  return out += "]";
}

/// The value that a text holds, if it is JSON.
std::optional<Value> as_json(Bytes text, const std::string& place) {
  try {
    json::validate(text, place);
  } catch (const Error&) {
    return std::nullopt;
  }
  Value value = value_in(text);
  if (value.shape == Shape::flat_list) value.json = spaced_like("[]", value.json);
  return value;
}

Value quoted(Bytes text, const std::string& place) {
  try {
    return {json::quote(text), Shape::string};
  } catch (const Error& error) {
    throw Error(error.code(), place + ": " + error.what());
  }
}

Value replaced_list(Bytes old, Bytes text, const std::string& place) {
  const Bytes list = trimmed(text);
  if (!list.empty() && list.front() != '[')
    throw Error(Errc::rejected, place + ": expected a list, got " + shown(list));
  json::validate(text, place);
  Value value = value_in(text);
  if (value.shape == Shape::flat_list) value.json = spaced_like(old, value.json);
  return value;
}

}  // namespace

std::optional<std::size_t> index_of(Bytes name) noexcept {
  constexpr std::size_t kDigits = 10;  // more than any document under 4 GiB has items
  if (name.empty() || name.size() > kDigits || (name.size() > 1 && name[0] == '0')) return std::nullopt;
  std::size_t index = 0;
  for (const char c : name) {
    if (c < '0' || c > '9') return std::nullopt;
    index = index * 10 + static_cast<std::size_t>(c - '0');
  }
  return index;
}

const char* type_name(Shape shape) noexcept {
  switch (shape) {
    case Shape::object:
    case Shape::list: return "";
    case Shape::flat_list: return "list";
    case Shape::string: return "string";
    case Shape::number: return "number";
    case Shape::boolean: return "boolean";
    case Shape::null: return "null";
  }
  return "";
}

std::string text_of_value(Bytes value, Shape shape) {
  if (shape == Shape::string && !json::has_lone_surrogate(value)) return json::unescape(value) += '\n';
  if (shape != Shape::flat_list) return std::string(value) += '\n';
  std::string out = "[";
  out.reserve(value.size() + value.size() / 8 + 8);
  json::Walk walk(value, {0, value.size()});
  for (json::Member m; walk.next(m);) out.append(out.size() > 1 ? ",\n" : "\n").append(slice(value, m.value));
  return out += out.size() > 1 ? "\n]\n" : "]\n";
}

Value new_value(Bytes text, const std::string& place) {
  if (text.empty()) throw Error(Errc::incomplete, place + ": expected a value, got an empty text");
  if (text.back() == '\n') text.remove_suffix(1);
  if (auto value = as_json(text, place)) return *std::move(value);
  return quoted(text, place);
}

Value replaced_value(Bytes old, Shape shape, Bytes text, const std::string& place) {
  if (shape == Shape::flat_list) return replaced_list(old, text, place);
  Bytes line = text;
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (shape == Shape::string && !json::has_lone_surrogate(old)) {
    if (json::unescape(old) == line) return {std::string(old), shape};
    return quoted(line, place);
  }
  const char* expected = shape == Shape::number    ? "a number"
                         : shape == Shape::boolean ? "true or false"
                         : shape == Shape::string  ? "a string in double quotes (it holds surrogates no plain text can)"
                                                   : "a value";
  if (text.empty()) throw Error(Errc::incomplete, place + ": expected " + expected + ", got an empty text");
  if (shape == Shape::null) {
    // A list or an object may arrive in several writes.
    const Bytes value = trimmed(text);
    if (!value.empty() && (value.front() == '[' || value.front() == '{')) {
      try {
        json::validate(text, place);
      } catch (const Error& error) {
        if (error.code() == Errc::incomplete) throw;
      }
    }
    return new_value(text, place);
  }
  auto value = as_json(text, place);
  if (!value || value->shape != shape)
    throw Error(Errc::rejected, place + ": expected " + expected + ", got " + shown(line));
  return *std::move(value);
}

}  // namespace ckptree
