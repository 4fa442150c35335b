#include "codec/pickle/lines.hpp"

#include <charconv>

#include "ckptree/utf8.hpp"
#include "codec/json/scan.hpp"

namespace ckptree::pickle {
namespace {

/// Reads up to `most` digits of a base at `at`, which moves behind them; how many there were.
std::size_t digits(Bytes text, std::size_t& at, std::size_t most, unsigned base, unsigned& value) {
  std::size_t n = 0;
  for (value = 0; n < most && at < text.size(); ++n, ++at) {
    const int digit = json::hex_value(text[at]);
    if (digit < 0 || static_cast<unsigned>(digit) >= base) break;
    value = value * base + static_cast<unsigned>(digit);
  }
  return n;
}

/// What a backslash and this letter stand for in a repr; 0 for letters that stand for more, or nothing.
char plain_escape(char letter) {
  constexpr char letters[] = "\\'\"abfnrtv", bytes[] = "\\'\"\a\b\f\n\r\t\v";
  const std::size_t i = Bytes(letters).find(letter);
  return i == Bytes::npos ? '\0' : bytes[i];
}

}  // namespace

bool read_string_line(Bytes line, std::string& text) {
  if (line.size() < 2 || (line[0] != '\'' && line[0] != '"') || line.back() != line[0]) return false;
  const Bytes inside = line.substr(1, line.size() - 2);
  for (std::size_t at = 0; at < inside.size();) {
    if (inside[at] != '\\') {
      text += inside[at++];
      continue;
    }
    if (++at == inside.size()) return false;
    unsigned byte = 0;
    if (const char plain = plain_escape(inside[at])) {
      byte = static_cast<unsigned char>(plain);
      ++at;
    } else if (inside[at] == 'x') {
      if (digits(inside, ++at, 2, 16, byte) != 2) return false;
    } else if (digits(inside, at, 3, 8, byte) == 0) {
      byte = '\\';  // of an unknown escape Python keeps both characters
    }
    text += static_cast<char>(byte);
  }
  return true;
}

bool read_unicode_line(Bytes line, std::string& text) {
  for (std::size_t at = 0; at < line.size();) {
    const unsigned char byte = static_cast<unsigned char>(line[at++]);
    if (byte != '\\' || at == line.size()) {
      append_utf8(text, byte);
      continue;
    }
    const unsigned char letter = static_cast<unsigned char>(line[at++]);
    if (letter != 'u' && letter != 'U') {  // no escape: both stand for themselves, and a second backslash begins none
      text += '\\';
      append_utf8(text, letter);
      continue;
    }
    const std::size_t width = letter == 'u' ? 4 : 8;
    unsigned point = 0;
    if (digits(line, at, width, 16, point) != width || point > 0x10FFFF) return false;
    append_utf8(text, point);
  }
  return true;
}

bool read_float_line(Bytes line, double& value) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  return error == std::errc() && end == line.data() + line.size();
}

}  // namespace ckptree::pickle
