#include <algorithm>

#include "ckptree/error.hpp"
#include "ckptree/utf8.hpp"
#include "codec/json/json.hpp"
#include "codec/json/scan.hpp"

namespace ckptree::json {
namespace {

bool is_high(unsigned unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_low(unsigned unit) { return unit >= 0xdc00 && unit < 0xe000; }

void put_escape(std::string& out, unsigned unit) {
  constexpr char digits[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += digits[unit >> shift & 15];
}

/// The code unit of the escape `\uXXXX` at `at`, or 0x10000 when none is there.
unsigned unit_at(Bytes text, std::size_t at) {
  constexpr unsigned none = 0x10000;
  if (at > text.size() || text.size() - at < 6 || text[at] != '\\' || text[at + 1] != 'u') return none;
  unsigned unit = 0;
  for (std::size_t i = at + 2; i < at + 6; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0) return none;
    unit = unit * 16 + static_cast<unsigned>(digit);
  }
  return unit;
}

/// Calls `plain` with each run of characters that stand for themselves, `escaped` with each escaped code point.
template <class Plain, class Escaped>
void read_literal(Bytes literal, Plain plain, Escaped escaped) {
  Bytes inside = literal.substr(1, literal.size() - 2);
  std::size_t at = 0;
  while (at < inside.size()) {
    const std::size_t end = std::min(inside.find('\\', at), inside.size());
    plain(inside.substr(at, end - at));
    if (end + 1 >= inside.size()) return;
    const unsigned unit = unit_at(inside, end);
    at = end + 2;
    if (unit < 0x10000) {
      at = end + 6;
      const unsigned low = is_high(unit) ? unit_at(inside, at) : 0;
      if (is_low(low)) {
        escaped(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
        at += 6;
      } else {
        escaped(unit);
      }
    } else {
      constexpr Bytes names = "bfnrt", meanings = "\b\f\n\r\t";
      const char c = inside[end + 1];
      const std::size_t which = names.find(c);
      escaped(static_cast<unsigned char>(which == Bytes::npos ? c : meanings[which]));
    }
  }
}

}  // namespace

std::string unescape(Bytes literal) {
  std::string out;
  out.reserve(literal.size());
  read_literal(
      literal, [&](Bytes run) { out.append(run); }, [&](unsigned point) { append_utf8(out, point); });
  return out;
}

bool has_lone_surrogate(Bytes literal) {
  bool found = false;
  read_literal(
      literal, [](Bytes) {}, [&](unsigned point) { found |= is_high(point) || is_low(point); });
  return found;
}

std::string quote(Bytes text) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  bool after_high = false;  // a low surrogate here would make a pair with it, which has another spelling in UTF-8
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    std::size_t size = utf8_length(text.substr(at));
    bool high = false;
    unsigned point = byte(0);
    if (size == 0 && text.size() - at >= 3 && point == 0xed && byte(1) >= 0xa0 && byte(1) <= 0xbf &&
        (byte(2) & 0xc0) == 0x80) {
      size = 3;
      high = byte(1) < 0xb0;
      if (!high && after_high) size = 0;
    }
    if (size == 0) throw Error(Errc::rejected, "byte " + std::to_string(at) + " of the text: expected UTF-8");
    if (size > 1) point &= 0x7fu >> size;
    for (std::size_t i = 1; i < size; ++i) point = point << 6 | (byte(i) & 0x3f);
    constexpr Bytes special = "\"\\\b\f\n\r\t", names = "\"\\bfnrt";
    const std::size_t which = point < 0x80 ? special.find(static_cast<char>(point)) : Bytes::npos;
    if (which != Bytes::npos) {
      out += '\\';
      out += names[which];
    } else if (point >= 0x20 && point < 0x7f) {
      out += static_cast<char>(point);
    } else if (point < 0x10000) {
      put_escape(out, point);
    } else {
      put_escape(out, 0xd800 + ((point - 0x10000) >> 10));
      put_escape(out, 0xdc00 + ((point - 0x10000) & 0x3ff));
    }
    after_high = high;
    at += size;
  }
  return out += '"';
}

}  // namespace ckptree::json
