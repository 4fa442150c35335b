#include "formats/torch/literal.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "ckptree/error.hpp"
#include "ckptree/recipe.hpp"
#include "codec/json/json.hpp"
#include "formats/torch/numpy_view.hpp"
#include "formats/torch/object_view.hpp"

namespace ckptree::torch {
namespace {

using pickle::Graph;
using pickle::Id;
using pickle::Kind;

// Keys are numbers, or tuples of a few. Tuples in tuples are spelled as often as they are used, however few bytes the
// pickle has for them.
constexpr std::size_t kMaxLiteral = 120;
constexpr int kMaxLiteralDepth = 4;

/// As Python's repr of a str, or of bytes behind its b.
void put_quoted(std::string& out, Bytes text, bool bytes) {
  const bool has_single = text.find('\'') != Bytes::npos, has_double = text.find('"') != Bytes::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out += quote;
  for (const char c : text.substr(0, kMaxLiteral)) {
    const auto byte = static_cast<unsigned char>(c);
    const std::size_t named = Bytes("\t\n\r").find(c);
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (named != Bytes::npos) {
      out += '\\';
      out += "tnr"[named];
    } else if (byte < 0x20 || byte == 0x7f || (bytes && byte >= 0x80)) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  out += quote;
}

void put(std::string& out, const Graph& graph, Id id, int depth) {
  if (out.size() > kMaxLiteral) return;
  switch (graph.kind(id)) {
    case Kind::none: out += "None"; return;
    case Kind::boolean: out += graph.boolean(id) ? "True" : "False"; return;
    case Kind::integer:
      // A long one is no key that anybody looks for; its digits are quadratic work.
      out += graph.integer(id) ? graph.decimal(id) : std::string("<int>");
      return;
    case Kind::real: {
      const double value = graph.real(id);
      out += std::isfinite(value) ? repr_of(value) : "<" + repr_of(value) + ">";
      return;
    }
    case Kind::text: put_quoted(out, graph.text(id), false); return;
    case Kind::tuple: {
      if (depth == kMaxLiteralDepth) break;
      out += '(';
      const std::size_t count = graph.count(id);
      for (std::size_t i = 0; i < count && out.size() <= kMaxLiteral; ++i) {
        if (i > 0) out += ", ";
        put(out, graph, graph.child(id, i), depth + 1);
      }
      out += count == 1 ? ",)" : ")";
      return;
    }
    default: break;
  }
  if (const auto bytes = bytes_of(graph, id)) {
    out += 'b';
    return put_quoted(out, text_of(graph, *bytes), true);
  }
  const std::string name = dotted_name(graph, id);
  out += "<" + (name.empty() ? "object" : name) + ">";
}

bool reads_like_number(Bytes text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  double value;
  const char* const end = text.data() + text.size();
  return std::from_chars(text.data(), end, value).ptr == end;
}

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

}  // namespace

std::string repr_of(double value) { return shortest(value); }
std::string repr_of(float value) { return shortest(value); }

std::string repr_of_complex(const std::string& real, const std::string& imaginary) {
  // Python writes the parts without ".0", and no real part when it is 0.
  const auto part = [](const std::string& text) {
    const bool whole = text.size() > 2 && text.compare(text.size() - 2, 2, ".0") == 0;
    return whole ? text.substr(0, text.size() - 2) : text;
  };
  if (real == "0.0") return part(imaginary) + "j";
  return "(" + part(real) + (imaginary.front() == '-' ? "" : "+") + part(imaginary) + "j)";
}

std::string json_of(const Graph& graph, Id id) {
  switch (graph.kind(id)) {
    case Kind::none: return "null";
    case Kind::boolean: return graph.boolean(id) ? "true" : "false";
    case Kind::integer: return graph.decimal(id);
    case Kind::real: {
      const double value = graph.real(id);
      if (std::isnan(value)) return "NaN";
      if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
      return repr_of(value);
    }
    case Kind::text: return json::quote(graph.text(id));
    default: return {};
  }
}

std::string literal_of(const Graph& graph, Id id) {
  std::string out;
  put(out, graph, id, 0);
  if (out.size() <= kMaxLiteral) return out;
  return "<" + tag_of(out) + ">";
}

bool reads_like_literal(Bytes text) {
  if (text == "None" || text == "True" || text == "False") return true;
  if (text.size() < 2) return reads_like_number(text);
  const char first = text.front(), last = text.back();
  if ((first == '(' && last == ')') || (first == '<' && last == '>')) return true;
  if (text.size() > 2 && first == 'b' && text[1] == last && (last == '\'' || last == '"')) return true;
  return reads_like_number(text);
}

}  // namespace ckptree::torch
