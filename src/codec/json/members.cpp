#include <algorithm>

#include "codec/json/json.hpp"
#include "codec/json/scan.hpp"

namespace ckptree::json {
namespace {

/// Where the container that begins at `at` ends. @param nested  set when there is another one in it
std::size_t after_container(Bytes text, std::size_t at, bool& nested) noexcept {
  std::size_t depth = 0;
  while (at < text.size()) {
    switch (text[at]) {
      case '"': at = after_string(text, at); continue;
      case '{':
      case '[': nested |= ++depth > 1; break;
      case '}':
      case ']':
        if (--depth == 0) return at + 1;
        break;
    }
    ++at;
  }
  return text.size();
}

std::size_t after_word(Bytes text, std::size_t at) noexcept {
  while (at < text.size() && !is_space(text[at]) && text[at] != ',' && text[at] != ']' && text[at] != '}') ++at;
  return at;
}

std::size_t begin_of(const Member& member) { return member.key.size() ? member.key.begin : member.value.begin; }

/// The last entries of a container.
struct Tail {
  std::size_t count = 0;
  Member last, previous;
};

Tail tail_of(Bytes text, Extent container) {
  Tail tail;
  Walk walk(text, container);
  for (Member m; walk.next(m); ++tail.count) {
    tail.previous = tail.last;
    tail.last = m;
  }
  return tail;
}

/// The white space and signs of a container that a new entry goes by.
struct Spacing {
  std::string before;          // the entry
  std::string between = ": ";  // its key and its value
  std::string after;           // the entry, when it is the only one
};

/// The white space that the line of `at` begins with.
Bytes indent_of_line(Bytes text, std::size_t at) {
  const std::size_t line = text.substr(0, at).find_last_of('\n') + 1;
  std::size_t end = line;
  while (end < at && (text[end] == ' ' || text[end] == '\t')) ++end;
  return text.substr(line, end - line);
}

Bytes between_key_and_value(Bytes text, const Member& m) { return text.substr(m.key.end, m.value.begin - m.key.end); }

/// An empty container looks to the first entry of the document, which tells the indent of a level.
Spacing spacing_in_empty(Bytes text, Extent container) {
  Spacing spacing;
  const Extent top = root(text);
  Member guide;
  if (!Walk(text, top).next(guide)) return spacing;
  if (guide.key.size()) spacing.between = between_key_and_value(text, guide);
  const Bytes lead = text.substr(top.begin + 1, begin_of(guide) - top.begin - 1);
  const std::size_t line = lead.find_last_of('\n');
  if (line == Bytes::npos) return spacing;
  spacing.after = "\n" + std::string(indent_of_line(text, container.begin));
  spacing.before = spacing.after + std::string(lead.substr(line + 1));
  return spacing;
}

Spacing spacing_after(Bytes text, Extent container, const Tail& tail) {
  Spacing spacing;
  const Member& last = tail.last;
  if (last.key.size()) spacing.between = between_key_and_value(text, last);
  if (tail.count > 1) {
    spacing.before = text.substr(tail.previous.value.end, begin_of(last) - tail.previous.value.end);
    return spacing;
  }
  const Bytes lead = text.substr(container.begin + 1, begin_of(last) - container.begin - 1);
  const bool compact = last.key.size() && spacing.between == ":";
  spacing.before = "," + std::string(lead.empty() && !compact ? " " : lead);
  return spacing;
}

}  // namespace

bool Walk::next(Member& member) noexcept {
  at_ = after_space(text_, at_);
  if (at_ < text_.size() && text_[at_] == ',') at_ = after_space(text_, at_ + 1);
  if (at_ >= text_.size() || text_[at_] == '}' || text_[at_] == ']') return false;
  member.key = {at_, at_};
  if (object_) {
    member.key.end = after_string(text_, at_);
    at_ = after_space(text_, member.key.end);
    at_ = after_space(text_, std::min(at_ + 1, text_.size()));  // past the colon
  }
  member.value.begin = at_;
  member.nested = false;
  member.type = type_at(text_, {at_, text_.size()});
  switch (member.type) {
    case Type::object:
    case Type::array: at_ = after_container(text_, at_, member.nested); break;
    case Type::string: at_ = after_string(text_, at_); break;
    default: at_ = after_word(text_, at_);
  }
  member.value.end = at_;
  return true;
}

Walk::Walk(Bytes text, Extent container) noexcept : text_(text.substr(0, container.end)), at_(container.end) {
  if (container.size() == 0) return;
  object_ = text[container.begin] == '{';
  if (object_ || text[container.begin] == '[') at_ = container.begin + 1;
}

Extent root(Bytes text) {
  Extent all{after_space(text, 0), text.size()};
  while (all.end > all.begin && is_space(text[all.end - 1])) --all.end;
  return all;
}

Type type_at(Bytes text, Extent value) {
  switch (value.begin < text.size() ? text[value.begin] : '\0') {
    case '{': return Type::object;
    case '[': return Type::array;
    case '"': return Type::string;
    case 't':
    case 'f': return Type::boolean;
    case 'n': return Type::null;
    default: return Type::number;  // NaN and Infinity too
  }
}

std::vector<Member> members(Bytes text, Extent container) {
  std::vector<Member> all;
  Walk walk(text, container);
  for (Member m; walk.next(m);) all.push_back(m);
  return all;
}

std::optional<Extent> locate(Bytes text, const std::vector<std::string>& path) {
  Extent at = root(text);
  for (const std::string& name : path) {
    const bool object = type_at(text, at) == Type::object;
    Walk walk(text, at);
    std::optional<Extent> found;
    std::size_t index = 0;
    for (Member m; walk.next(m); ++index)
      if (object ? unescape(text.substr(m.key.begin, m.key.size())) == name : std::to_string(index) == name)
        found = m.value;
    if (!found) return std::nullopt;
    at = *found;
  }
  return at;
}

std::string splice(Bytes text, Extent at, Bytes replacement) {
  std::string result;
  result.reserve(text.size() - at.size() + replacement.size());
  result.append(text.substr(0, at.begin)).append(replacement).append(text.substr(at.end));
  return result;
}

std::string append(Bytes text, Extent container, Bytes key, Bytes value) {
  const Tail tail = tail_of(text, container);
  const Spacing spacing = tail.count ? spacing_after(text, container, tail) : spacing_in_empty(text, container);
  std::string entry = spacing.before;
  if (type_at(text, container) == Type::object) entry.append(key).append(spacing.between);
  entry.append(value).append(spacing.after);
  // The only entry of an empty container replaces the white space in it.
  const std::size_t end = tail.last.value.end;
  return splice(text, tail.count ? Extent{end, end} : Extent{container.begin + 1, container.end - 1}, entry);
}

std::string remove(Bytes text, Extent container, std::size_t index) {
  Walk walk(text, container);
  Member gone, previous, next;
  for (std::size_t i = 0; i <= index; ++i) {
    previous = gone;
    walk.next(gone);
  }
  // The first keeps the white space before it for the next one, the last keeps what follows it.
  if (walk.next(next)) return splice(text, {begin_of(gone), begin_of(next)}, "");
  if (index > 0) return splice(text, {previous.value.end, gone.value.end}, "");
  return splice(text, {container.begin + 1, container.end - 1}, "");
}

}  // namespace ckptree::json
