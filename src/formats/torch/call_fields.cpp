#include "formats/torch/call_fields.hpp"

#include <optional>

#include "ckptree/error.hpp"

namespace ckptree::torch {

using pickle::Global;
using pickle::Graph;
using pickle::Id;
using pickle::Kind;
using pickle::kNone;

namespace {

const char* kind_name(const Graph& graph, Id id) {
  if (id == kNone) return "nothing";
  switch (graph.kind(id)) {
    case Kind::none: return "None";
    case Kind::boolean: return "a bool";
    case Kind::integer: return "an int";
    case Kind::real: return "a float";
    case Kind::text: return "a str";
    case Kind::bytes:
    case Kind::bytearray: return "bytes";
    case Kind::list: return "a list";
    case Kind::tuple: return "a tuple";
    case Kind::dict: return "a dict";
    case Kind::set:
    case Kind::frozenset: return "a set";
    case Kind::global: return "a class or function";
    case Kind::persistent: return "a storage";
    default: return "an object";
  }
}

}  // namespace

void fail(const std::string& sentence) { throw Error(Errc::corrupt, sentence); }

bool is(const Graph& graph, Id id, Kind kind) { return id != kNone && graph.kind(id) == kind; }

void expected(const Graph& graph, const char* what, const char* expected, Id found) {
  fail(std::string(what) + ": expected " + expected + ", got " + kind_name(graph, found));
}

std::int64_t signed_at(const Graph& graph, Id id, const char* what) {
  const auto value = is(graph, id, Kind::integer) ? graph.integer(id) : std::nullopt;
  if (!value) expected(graph, what, "an int of 64 bits", id);
  return *value;
}

std::uint64_t count_at(const Graph& graph, Id id, const char* what) {
  const std::int64_t value = signed_at(graph, id, what);
  if (value < 0) fail(std::string(what) + ": is " + std::to_string(value) + ", expected 0 or more");
  return static_cast<std::uint64_t>(value);
}

bool boolean_at(const Graph& graph, Id id, const char* what) {
  if (!is(graph, id, Kind::boolean)) expected(graph, what, "a bool", id);
  return graph.boolean(id);
}

Id only_argument(const Graph& graph, Id id, const char* module, const char* name) {
  if (!is(graph, id, Kind::reduce) || !is(graph, graph.child(id, 0), Kind::global)) return kNone;
  const Global function = graph.global(graph.child(id, 0));
  const Id arguments = graph.child(id, 1);
  const bool one = is(graph, arguments, Kind::tuple) && graph.count(arguments) == 1;
  return one && function.module == module && function.name == name ? graph.child(arguments, 0) : kNone;
}

std::vector<std::uint64_t> counts_at(const Graph& graph, Id id, const char* what) {
  const Id inner = id == kNone ? kNone : only_argument(graph, id, "torch", "Size");
  if (inner != kNone) id = inner;
  if (!is(graph, id, Kind::tuple)) expected(graph, what, "a tuple", id);
  const std::size_t n = graph.count(id);
  if (n > kMaxDimensions)
    fail(std::string(what) + ": has " + std::to_string(n) + " dimensions, at most " + std::to_string(kMaxDimensions) +
         " are possible");
  std::vector<std::uint64_t> counts(n);
  for (std::size_t i = 0; i < n; ++i) counts[i] = count_at(graph, graph.child(id, i), what);
  return counts;
}

}  // namespace ckptree::torch
