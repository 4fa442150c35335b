#include <optional>
#include <vector>

#include <simdjson.h>

#include "ckptree/error.hpp"
#include "ckptree/utf8.hpp"
#include "codec/json/json.hpp"
#include "codec/json/scan.hpp"

namespace ckptree::json {
namespace {

constexpr Bytes kWords[] = {"true", "false", "null", "NaN", "Infinity", "-Infinity"};

/// What is wrong with a text, and where.
struct Fault {
  std::size_t at;
  Errc code;
  std::string expected, got;
};

/// What a user sees at `at`.
std::string shown_at(Bytes text, std::size_t at) {
  if (at >= text.size()) return "the end of the text";
  const char c = text[at];
  if (c == '\n' || c == '\r') return "the end of the line";
  if (is_control(c) || c == 0x7f) {
    constexpr char digits[] = "0123456789ABCDEF";
    return std::string("control character U+00") + digits[c >> 4] + digits[c & 15];
  }
  const std::size_t size = utf8_length(text.substr(at));
  return size ? "'" + std::string(text.substr(at, size)) + "'" : "bytes that are not UTF-8";
}

bool is_word_character(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

/// The grammar, with a stack of its own. Decides what simdjson refuses, and finds the place of an error.
class Scanner {
 public:
  explicit Scanner(Bytes text) : text_(text) {}

  std::optional<Fault> run() {
    try {
      document();
    } catch (Fault& fault) {
      return std::move(fault);
    }
    return std::nullopt;
  }

 private:
  bool at_end() const { return at_ == text_.size(); }
  bool is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char c) {
    if (!is(c)) return false;
    ++at_;
    return true;
  }
  void space() { at_ = after_space(text_, at_); }

  [[noreturn]] void fail(std::string expected) const { fail(std::move(expected), shown_at(text_, at_)); }
  [[noreturn]] void fail(std::string expected, std::string got) const {
    throw Fault{at_, at_end() ? Errc::incomplete : Errc::rejected, std::move(expected), std::move(got)};
  }

  void document() {
    for (;;) {
      space();
      if (opens_container()) continue;
      do {
        space();
        if (open_.empty()) {
          if (!at_end()) fail("the end of the text");
          return;
        }
      } while (closes_container());
      if (!take(',')) fail(open_.back() == '{' ? "',' or '}'" : "',' or ']'");
      if (open_.back() == '{') {
        space();
        key("a key in double quotes");
      }
    }
  }

  /// Reads a value, or the beginning of a container: then its first value comes next.
  bool opens_container() {
    const bool object = is('{');
    if (!object && !is('[')) {
      scalar();
      return false;
    }
    if (open_.size() == kMaxDepth)
      throw Fault{at_, Errc::rejected, "at most " + std::to_string(kMaxDepth) + " levels of nesting", "one more"};
    open_.push_back(text_[at_++]);
    space();
    if (closes_container()) return false;
    if (object) key("'\"' or '}'");
    return true;
  }

  bool closes_container() {
    if (!take(open_.back() == '{' ? '}' : ']')) return false;
    open_.pop_back();
    return true;
  }

  void key(const char* expected) {
    if (!is('"')) fail(expected);
    string();
    space();
    if (!take(':')) fail("':'");
  }

  void scalar() {
    if (is('"')) return string();
    const Bytes rest = text_.substr(at_);
    if (!rest.empty() && (is_digit(rest[0]) || (rest[0] == '-' && rest.substr(1, 1) != "I"))) return number();
    for (const Bytes word : kWords) {
      if (rest.substr(0, word.size()) == word) {
        at_ += word.size();
        return;
      }
      if (rest.size() > 1 && word.substr(0, rest.size()) == rest) {
        at_ = text_.size();
        fail("'" + std::string(word) + "'");
      }
    }
    std::size_t end = 0;
    while (end < rest.size() && end < 20 && is_word_character(rest[end])) ++end;
    if (end > 1) fail("a value", "'" + std::string(rest.substr(0, end)) + "'");
    fail("a value");
  }

  void digits() {
    if (at_end() || !is_digit(text_[at_])) fail("a digit");
    while (!at_end() && is_digit(text_[at_])) ++at_;
  }

  void number() {
    take('-');
    if (!take('0')) digits();
    if (take('.')) digits();
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      digits();
    }
  }

  void string() {
    ++at_;
    for (;;) {
      at_ = after_plain(text_, at_);
      if (take('"')) return;
      if (!take('\\')) fail(at_end() ? "'\"'" : "'\"' or an escape such as '\\n'");
      escape();
    }
  }

  void escape() {
    if (take('u')) {
      for (int i = 0; i < 4; ++i, ++at_)
        if (at_end() || hex_value(text_[at_]) < 0) fail("four hexadecimal digits after '\\u'");
    } else if (!at_end() && Bytes("\"\\/bfnrt").find(text_[at_]) != Bytes::npos) {
      ++at_;
    } else {
      fail("one of \" \\ / b f n r t u after '\\'");
    }
  }

  Bytes text_;
  std::size_t at_ = 0;
  std::vector<char> open_;  // the '{' and '[' we are in
};

/// The first byte that is not UTF-8.
std::optional<std::size_t> not_utf8(Bytes text) {
  if (simdjson::validate_utf8(text.data(), text.size())) return std::nullopt;
  for (std::size_t at = 0, size = 0; at < text.size(); at += size)
    if (!(size = utf8_length(text.substr(at)))) return at;
  return std::nullopt;
}

/// Whether `at` begins a sequence that only the end of the text breaks off.
bool breaks_off(Bytes text, std::size_t at) {
  std::string rest(text.substr(at));
  if (rest.size() > 3) return false;
  // The smallest and the largest continuation: between them they complete whatever can be completed.
  for (const char next : {'\x80', '\xbf'}) {
    std::string tried = rest;
    while (tried.size() < 4) {
      tried += next;
      if (utf8_length(tried) == tried.size()) return true;
    }
  }
  return false;
}

std::optional<Fault> fault_of(Bytes text) {
  if (text.substr(0, 3) == "\xef\xbb\xbf")
    return Fault{0, Errc::rejected, "JSON without a byte order mark", "one at the beginning"};
  auto fault = Scanner(text).run();
  const auto bad = not_utf8(text);
  if (!bad || (fault && fault->at < *bad)) return fault;
  constexpr char digits[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(text[*bad]);
  const bool incomplete = fault && fault->code == Errc::incomplete && breaks_off(text, *bad);
  return Fault{*bad, incomplete ? Errc::incomplete : Errc::rejected, "UTF-8",
               incomplete ? "half a character at the end of the text"
                          : std::string("the byte 0x") + digits[byte >> 4] + digits[byte & 15]};
}

/// Whether simdjson vouches for the text. It refuses some of what Python accepts (NaN, integers over 64 bits, lone
/// surrogates), and accepts nothing that Python refuses, but for the byte order mark that its newer versions skip.
bool quick(Bytes text) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") return false;
  // Kept between calls: its tables cost more than a small parse. They are about 15 bytes for each byte of text.
  constexpr std::size_t kKeep = 1 << 20;
  thread_local simdjson::dom::parser kept;
  simdjson::dom::parser once;
  simdjson::dom::parser& parser = text.size() <= kKeep ? kept : once;
  // It counts the document as a level, but not an empty container: at this limit it accepts no text that is too deep.
  if (parser.max_depth() != kMaxDepth || parser.capacity() < text.size())
    if (parser.allocate(text.size(), kMaxDepth)) return false;
  return parser.parse(text.data(), text.size()).error() == simdjson::SUCCESS;
}

}  // namespace

void validate(Bytes text, const std::string& place) {
  if (quick(text)) return;
  const auto fault = fault_of(text);
  if (!fault) return;
  std::size_t line = 1, column = 1;
  for (std::size_t i = 0; i < fault->at; ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else if ((text[i] & 0xc0) != 0x80) {
      ++column;
    }
  }
  throw Error(fault->code, place + ":" + std::to_string(line) + ":" + std::to_string(column) + ": expected " +
                               fault->expected + ", got " + fault->got);
}

}  // namespace ckptree::json
