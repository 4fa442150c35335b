#include "codec/python/repr.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdio>

namespace ckptree::python {
namespace {

template <class Real>
std::string shortest(Real value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char text[32];
  // The digits that read back the same, and an exponent, which says where the point goes.
  const char* const end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  std::string digits;
  const char* at = text;
  const std::string sign = *at == '-' ? "-" : "";
  at += sign.size();
  for (; at != end && *at != 'e'; ++at)
    if (*at != '.') digits += *at;
  const std::string power(at + 1, end);
  int exponent = 0;
  std::from_chars(power.data() + (power.front() == '+'), power.data() + power.size(), exponent);
  if (exponent < -4 || exponent >= 16) {
    const std::string fraction = digits.size() > 1 ? "." + digits.substr(1) : "";
    return sign + digits.front() + fraction + "e" + power;
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

template <class Real>
std::string in_json(Real value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return shortest(value);
}

/// @param escapes  whether this byte, which has no letter of its own, is written as \x..
template <class Escapes>
std::string in_quotes(Bytes text, Escapes escapes) {
  const bool has_single = text.find('\'') != Bytes::npos, has_double = text.find('"') != Bytes::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const std::size_t named = Bytes("\t\n\r").find(c);
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (named != Bytes::npos) {
      out += '\\';
      out += "tnr"[named];
    } else if (escapes(byte)) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  out += quote;
  return out;
}

bool is_control(unsigned char byte) { return byte < 0x20 || byte == 0x7f; }

}  // namespace

std::string repr(double value) { return shortest(value); }
std::string repr(float value) { return shortest(value); }

std::string json_number(double value) { return in_json(value); }
std::string json_number(float value) { return in_json(value); }

std::string quoted(Bytes text) { return in_quotes(text, is_control); }

std::string quoted_bytes(Bytes bytes) {
  return in_quotes(bytes, [](unsigned char byte) { return is_control(byte) || byte >= 0x80; });
}

}  // namespace ckptree::python
