#include "formats/torch/literal.hpp"

#include <charconv>
#include <cmath>

#include "ckptree/error.hpp"
#include "ckptree/recipe.hpp"
#include "codec/json/json.hpp"
#include "codec/python/repr.hpp"
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
      out += std::isfinite(value) ? python::repr(value) : "<" + python::repr(value) + ">";
      return;
    }
    case Kind::text: out += python::quoted(graph.text(id).substr(0, kMaxLiteral)); return;
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
    out += 'b' + python::quoted_bytes(Bytes(text_of(graph, *bytes)).substr(0, kMaxLiteral));
    return;
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

}  // namespace

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
    case Kind::real: return python::json_number(graph.real(id));
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
