#pragma once

#include <cstdint>
#include <cstring>

#include "ckptree/bytes.hpp"

/// What validate.cpp and members.cpp share: the characters of JSON, and a fast way over the inside of a string.
namespace ckptree::json {

inline bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
inline bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
inline bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20; }

/// Where the white space that begins at `at` ends.
inline std::size_t after_space(Bytes text, std::size_t at) noexcept {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

/// The first quote, backslash or control character at or after `at`, or the end of the text.
inline std::size_t after_plain(Bytes text, std::size_t at) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
  const auto has_zero = [](std::uint64_t v) { return (v - ones) & ~v & tops; };
  while (text.size() - at >= 8) {  // eight bytes at once; a false alarm only means a look at each of them
    std::uint64_t v;
    std::memcpy(&v, text.data() + at, 8);
    if (has_zero(v ^ ones * '"') | has_zero(v ^ ones * '\\') | ((v - ones * 0x20) & ~v & tops)) break;
    at += 8;
  }
  while (at < text.size() && text[at] != '"' && text[at] != '\\' && !is_control(text[at])) ++at;
  return at;
}

/// Where the string literal that begins at `at` ends, in a valid text; never past the end of any text.
inline std::size_t after_string(Bytes text, std::size_t at) noexcept {
  for (++at; (at = after_plain(text, at)) < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\' && ++at == text.size()) break;
  }
  return text.size();
}

/// The value of a hexadecimal digit, or -1.
inline int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  const char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

}  // namespace ckptree::json
