#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "codec/pickle/pickle.hpp"

namespace ckptree::pickle {
namespace {

std::uint64_t bits_of(const Node& node) { return std::uint64_t(node.count) << 32 | node.first; }

/// Moves (step, in_step) to the next live operand of a step that `takes` accepts; false at the end.
template <class Takes>
bool advance(const Graph& graph, std::uint32_t& step, std::uint32_t& in_step, std::uint32_t width, Takes takes,
             Slot& found) {
  while (step != kNone) {
    const Step& s = graph.step(step);
    while (takes(s.op) && in_step < s.count) {
      found = s.first + in_step;
      in_step += width;
      if (graph.at(found) != kNone) return true;
    }
    step = s.next;
    in_step = 0;
  }
  return false;
}

}  // namespace

Bytes Graph::text(Id id) const {
  const Node& n = node(id);
  const bool has_text = n.kind == Kind::text || n.kind == Kind::bytes || n.kind == Kind::bytearray;
  return has_text ? raw_text(n) : Bytes();
}

std::optional<std::int64_t> Graph::integer(Id id) const {
  const Node& n = node(id);
  if (n.kind != Kind::integer && n.kind != Kind::extension) return std::nullopt;
  if (n.op != Op::long1 && n.op != Op::long4) return static_cast<std::int64_t>(bits_of(n));
  const Bytes bytes = raw_text(n);
  if (bytes.size() > 8) return std::nullopt;
  std::uint64_t value = !bytes.empty() && (bytes.back() & 0x80) ? ~std::uint64_t(0) : 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return static_cast<std::int64_t>(value);
}

std::string Graph::decimal(Id id) const {
  if (const auto value = integer(id)) return std::to_string(*value);
  return decimal_of(raw_text(node(id)));
}

double Graph::real(Id id) const {
  const std::uint64_t bits = bits_of(node(id));
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

Global Graph::global(Id id) const {
  const Node& n = node(id);
  if (n.op == Op::stack_global) return {text(at(n.first)), text(at(n.first + 1))};
  const Bytes both = raw_text(n);
  const std::size_t line = both.find('\n');
  return {both.substr(0, line), both.substr(line + 1)};
}

Global Graph::known_as(Id id) const {
  const Global wire = global(id);
  return protocol_ < 3 ? python3_name(wire) : wire;
}

bool Graph::is_global(Id id, Bytes module, Bytes name) const {
  if (kind(id) != Kind::global) return false;
  const Global known = known_as(id);
  return known.module == module && known.name == name;
}

Slot Graph::state_slot(Id id) const {
  Slot found = kNone;
  for (std::uint32_t s = node(id).first_step; s != kNone; s = step(s).next)
    if (step(s).op == Op::build) found = step(s).first;
  return found;
}

Id Graph::state(Id id) const {
  const Slot slot = state_slot(id);
  return slot == kNone ? kNone : at(slot);
}

bool Entries::next(Entry& entry) {
  const auto sets = [](Op op) { return op == Op::setitem || op == Op::setitems; };
  if (!advance(graph_, step_, in_step_, 2, sets, entry.at)) return false;
  entry.key = graph_.at(entry.key_slot());
  entry.value = graph_.at(entry.value_slot());
  return true;
}

bool Items::next(Item& item) {
  const auto adds = [](Op op) { return op == Op::append || op == Op::appends || op == Op::additems; };
  if (!advance(graph_, step_, in_step_, 1, adds, item.at)) return false;
  item.value = graph_.at(item.at);
  return true;
}

std::optional<Entry> find(const Graph& graph, Id dict, Bytes key) {
  std::optional<Entry> found;
  Entries entries(graph, dict);
  for (Entry e; entries.next(e);)
    if (graph.is_text(e.key, key)) found = e;
  return found;
}

}  // namespace ckptree::pickle
