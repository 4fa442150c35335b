#include "codec/pickle/editor.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ckptree/error.hpp"
#include "ckptree/utf8.hpp"
#include "codec/pickle/pickle.hpp"

namespace ckptree::pickle {
namespace {

// What LONG1 holds; LONG4 is not for weights_only.
constexpr std::size_t kMaxWrittenInteger = 255;
// CPython's Pickler writes so many items of a list or entries of a dict with one opcode.
constexpr std::size_t kBatch = 1000;

/// Whether to define it once and refer to it from then on, as Python does. Atoms and persistent ids it writes again.
bool is_memoised(const Node& node) {
  switch (node.kind) {
    case Kind::none:
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
    case Kind::persistent: return false;
    default: return node.op != Op::empty_tuple;
  }
}

std::string global_text(Bytes module, Bytes name) {
  for (const Bytes text : {module, name})
    if (text.empty() || text.find('\n') != Bytes::npos || !is_wtf8(text))
      throw Error(Errc::rejected, "expected the name of a module, class or function: UTF-8 without a line break");
  return std::string(module).append("\n").append(name);
}

}  // namespace

Id Editor::add(const Node& node) {
  const Id id = graph_.nodes_.add(node);
  if (is_memoised(node)) graph_.nodes_.change(id).memoised = true;
  return id;
}

Id Editor::owned_text(Op op, Kind kind, std::string text) {
  Node node{op, kind};
  node.owned = true;
  node.count = static_cast<std::uint32_t>(text.size());
  node.first = graph_.texts_.add(std::make_shared<const std::string>(std::move(text)));
  return add(node);
}

Id Editor::integer(std::int64_t value) {
  using Narrow = std::numeric_limits<std::int32_t>;
  if (value < Narrow::min() || value > Narrow::max())
    return owned_text(Op::long1, Kind::integer, twos_complement_of(std::to_string(value)));
  Node node{value < 0 || value > 65535 ? Op::binint : value > 255 ? Op::binint2 : Op::binint1, Kind::integer};
  node.first = static_cast<std::uint32_t>(value);
  node.count = value < 0 ? ~std::uint32_t(0) : 0;
  return add(node);
}

Id Editor::integer(Bytes decimal) {
  std::string bytes = twos_complement_of(decimal);
  if (bytes.size() <= sizeof(std::int32_t)) {
    std::int64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value |= std::int64_t(static_cast<unsigned char>(bytes[i])) << (8 * i);
    if (!bytes.empty() && (bytes.back() & 0x80)) value -= std::int64_t(1) << (8 * bytes.size());
    return integer(value);
  }
  if (bytes.size() > kMaxWrittenInteger)
    throw Error(Errc::rejected, "an integer of " + std::to_string(bytes.size()) + " bytes, at most " +
                                    std::to_string(kMaxWrittenInteger) + " are written");
  return owned_text(Op::long1, Kind::integer, std::move(bytes));
}

Id Editor::real(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  Node node{Op::binfloat, Kind::real};
  node.first = static_cast<std::uint32_t>(bits);
  node.count = static_cast<std::uint32_t>(bits >> 32);
  return add(node);
}

Id Editor::text(Bytes utf8) {
  if (!is_wtf8(utf8)) throw Error(Errc::rejected, "expected text in UTF-8");
  const bool is_short = graph_.protocol() >= 4 && utf8.size() < 256;
  return owned_text(is_short ? Op::short_binunicode : Op::binunicode, Kind::text, std::string(utf8));
}

Id Editor::list(const std::vector<Id>& items) {
  const Id node = add({Op::empty_list, Kind::list});
  if (items.size() == 1) append(node, items[0]);
  else fill(node, Op::appends, items);
  return node;
}

Id Editor::dict(const std::vector<std::pair<Id, Id>>& entries) {
  const Id node = add({Op::empty_dict, Kind::dict});
  if (entries.size() == 1) {
    insert(node, entries[0].first, entries[0].second);
    return node;
  }
  std::vector<Id> operands;
  for (const auto& [key, value] : entries) operands.insert(operands.end(), {key, value});
  fill(node, Op::setitems, operands);
  return node;
}

Id Editor::tuple(const std::vector<Id>& items) {
  constexpr Op ops[] = {Op::empty_tuple, Op::tuple1, Op::tuple2, Op::tuple3};
  return made_of(items.size() < 4 ? ops[items.size()] : Op::tuple, Kind::tuple, items);
}

Id Editor::made_of(Op op, Kind kind, const std::vector<Id>& nodes) {
  Node node{op, kind};
  node.first = link(nodes.data(), nodes.size());
  node.count = static_cast<std::uint32_t>(nodes.size());
  return add(node);
}

Id Editor::global(Bytes module, Bytes name) {
  for (Id id = 0; id < graph_.size(); ++id)
    if (graph_.is_global(id, module, name)) return id;
  return owned_text(Op::global, Kind::global, global_text(module, name));
}

void Editor::replace(Slot slot, Id node) {
  define(node);
  graph_.links_.change(slot) = node;
}

void Editor::erase(const Entry& entry) {
  graph_.links_.change(entry.key_slot()) = kNone;
  graph_.links_.change(entry.value_slot()) = kNone;
}

void Editor::erase(const Item& item) { graph_.links_.change(item.at) = kNone; }

void Editor::append(Id list, Id item) { add_step(list, Op::append, &item, 1); }

void Editor::insert(Id dict, Id key, Id value) {
  const Id entry[] = {key, value};
  add_step(dict, Op::setitem, entry, 2);
}

void Editor::set_state(Id object, Id state) {
  const Slot slot = graph_.state_slot(object);
  if (slot == kNone) add_step(object, Op::build, &state, 1);
  else replace(slot, state);
}

void Editor::rename_global(Id global, Bytes module, Bytes name) {
  auto text = std::make_shared<const std::string>(global_text(module, name));
  Node& node = graph_.nodes_.change(global);
  node.op = Op::global;
  node.owned = true;
  node.count = static_cast<std::uint32_t>(text->size());
  node.first = graph_.texts_.add(std::move(text));
}

Graph Editor::finish() && {
  graph_.nodes_.seal();
  graph_.links_.seal();
  graph_.steps_.seal();
  graph_.texts_.seal();
  return std::move(graph_);
}

/// Sees to it that a node can stand in more than one slot.
void Editor::define(Id id) {
  const Node& node = graph_.node(id);
  if (!node.memoised && is_memoised(node)) graph_.nodes_.change(id).memoised = true;
}

Slot Editor::link(const Id* nodes, std::size_t count) {
  const Slot first = static_cast<Slot>(graph_.links_.size());
  for (std::size_t i = 0; i < count; ++i) {
    define(nodes[i]);
    graph_.links_.add(nodes[i]);
  }
  return first;
}

void Editor::fill(Id node, Op op, const std::vector<Id>& operands) {
  const std::size_t width = op == Op::setitems ? 2 * kBatch : kBatch;
  for (std::size_t at = 0; at < operands.size(); at += width)
    add_step(node, op, operands.data() + at, std::min(width, operands.size() - at));
}

void Editor::add_step(Id id, Op op, const Id* operands, std::size_t count) {
  const Step step{op, link(operands, count), static_cast<std::uint32_t>(count)};
  const std::uint32_t last = graph_.node(id).last_step;
  // An object gets its state last, as from Python: the new step takes the place of BUILD, which moves behind it.
  const bool before_state = last != kNone && op != Op::build && graph_.step(last).op == Op::build;
  const std::uint32_t added = graph_.steps_.add(before_state ? graph_.step(last) : step);
  if (before_state) graph_.steps_.change(last) = step;
  if (last != kNone) graph_.steps_.change(last).next = added;
  Node& node = graph_.nodes_.change(id);
  if (last == kNone) node.first_step = added;
  node.last_step = added;
}

}  // namespace ckptree::pickle
