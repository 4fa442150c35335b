#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "codec/pickle/frames.hpp"
#include "codec/pickle/limits.hpp"
#include "codec/pickle/pickle.hpp"

namespace ckptree::pickle {
namespace {

/// Writes the nodes depth first, as CPython's Pickler meets the objects.
class Encoder {
 public:
  explicit Encoder(const Graph& graph) : graph_(graph), state_(graph.size(), kUnseen), out_(graph.protocol()) {}

  std::string run() {
    save(graph_.root());
    while (!open_.empty()) go_on();
    return std::move(out_).finish();
  }

 private:
  // A node whose opcodes are being written: the slots left of what it is made of, or of the step that is done to it.
  struct Open {
    Id id;
    Slot at, end;
    std::uint32_t step;  // kNone: it is being made
  };

  // What state_ says of a node, if not its memo id.
  static constexpr std::uint32_t kUnseen = ~std::uint32_t(0), kBegun = kUnseen - 1;

  void save(Id id);
  void go_on();
  void leaf(const Node& node);
  void made(Id id, const Node& node);
  void next_step(std::uint32_t step);

  const Graph& graph_;
  std::vector<std::uint32_t> state_;
  std::vector<Open> open_;
  std::uint32_t memo_size_ = 0;
  Frames out_;
};

bool has_operands(const Node& node) { return has_slots(node.kind) || node.op == Op::stack_global; }

bool begins_with_mark(Op op) {
  return op == Op::tuple || op == Op::frozenset || op == Op::setitems || op == Op::appends || op == Op::additems;
}

void Encoder::save(Id id) {
  out_.object();
  std::uint32_t& state = state_[id];
  if (state == kBegun)
    throw Error(Errc::rejected, graph_.place() + ": an object is part of what it is made of, which is not written");
  if (state != kUnseen) {
    if (state < 256) out_.op(Op::binget).le(state, 1);
    else out_.op(Op::long_binget).le(state, 4);
    return;
  }
  if (open_.size() == kMaxDepth)
    throw Error(Errc::rejected, graph_.place() + ": objects nested more than " + std::to_string(kMaxDepth) + " deep");
  state = kBegun;
  const Node& node = graph_.node(id);
  if (has_operands(node)) {
    if (begins_with_mark(node.op)) out_.op(Op::mark);
    open_.push_back({id, node.first, node.first + node.count, kNone});
  } else {
    leaf(node);
    made(id, node);
    open_.push_back({id, 0, 0, kNone});
    next_step(node.first_step);
  }
}

/// One more slot of the innermost open node, or what ends them.
void Encoder::go_on() {
  Open& open = open_.back();
  if (open.at < open.end) {
    const Id operand = graph_.at(open.at++);
    if (operand != kNone) save(operand);
    return;
  }
  const Node& node = graph_.node(open.id);
  if (open.step == kNone) {
    out_.op(node.op);
    made(open.id, node);
    next_step(node.first_step);
  } else {
    const Step& step = graph_.step(open.step);
    out_.op(step.op);
    next_step(step.next);
  }
}

/// The innermost open node goes on with this step, or the first behind it that has entries left; or it is done.
void Encoder::next_step(std::uint32_t index) {
  Open& open = open_.back();
  for (; index != kNone; index = graph_.step(index).next) {
    const Step& step = graph_.step(index);
    Slot first = step.first;
    const Slot end = step.first + step.count;
    while (first < end && graph_.at(first) == kNone) ++first;
    // CPython ends a dict of 1,000 entries with a batch of none: that one stays.
    if (first == end && step.count != 0) continue;
    if (begins_with_mark(step.op)) out_.op(Op::mark);
    open.at = first;
    open.end = end;
    open.step = index;
    return;
  }
  if (state_[open.id] == kBegun) state_[open.id] = kUnseen;  // without a memo entry it is written anew each time
  open_.pop_back();
}

void Encoder::made(Id id, const Node& node) {
  if (!node.memoised) return;
  const std::uint32_t memo_id = state_[id] = memo_size_++;
  if (graph_.protocol() >= 4) out_.op(Op::memoize);
  else if (memo_id < 256) out_.op(Op::binput).le(memo_id, 1);
  else out_.op(Op::long_binput).le(memo_id, 4);
}

void Encoder::leaf(const Node& node) {
  switch (node.op) {
    case Op::binint1: out_.op(node.op).le(node.first, 1); return;
    case Op::binint2: out_.op(node.op).le(node.first, 2); return;
    case Op::binint: out_.op(node.op).le(node.first, 4); return;
    case Op::binfloat: {  // big-endian
      char bytes[8];
      for (int i = 0; i < 4; ++i) {
        bytes[i] = static_cast<char>(node.count >> (24 - 8 * i) & 0xFF);
        bytes[4 + i] = static_cast<char>(node.first >> (24 - 8 * i) & 0xFF);
      }
      out_.op(node.op).bytes(Bytes(bytes, 8));
      return;
    }
    case Op::long1:
    case Op::short_binstring:
    case Op::short_binbytes:
    case Op::short_binunicode: out_.sized(node.op, 1, graph_.raw_text(node)); return;
    case Op::long4:
    case Op::binstring:
    case Op::binbytes:
    case Op::binunicode: out_.sized(node.op, 4, graph_.raw_text(node)); return;
    case Op::binunicode8:
    case Op::binbytes8:
    case Op::bytearray8: out_.sized(node.op, 8, graph_.raw_text(node)); return;
    case Op::global: out_.op(node.op).bytes(graph_.raw_text(node)).bytes("\n"); return;
    default: out_.op(node.op); return;  // None, True, False, an empty container
  }
}

}  // namespace

std::string encode(const Graph& graph) {
  if (graph.obstacle()) throw Error(Errc::immutable, *graph.obstacle());
  std::string bytes = Encoder(graph).run();
  if (bytes.size() > kMaxPickle)
    throw Error(Errc::rejected, graph.place() + ": " + std::to_string(bytes.size()) + " bytes, at most " +
                                    std::to_string(kMaxPickle) + " are written");
  return bytes;
}

std::optional<std::string> why_not_editable(const Graph& decoded) {
  std::string again;
  try {
    again = encode(decoded);
  } catch (const Error& e) {
    return e.what();
  }
  const Bytes wire = decoded.wire();
  if (again == wire) return std::nullopt;
  const auto differs = std::mismatch(wire.begin(), wire.end(), again.begin(), again.end()).first;
  return decoded.place() + " at byte " + std::to_string(differs - wire.begin()) +
         ": not written as Python's pickle writes it; an edit would change more than was asked for";
}

}  // namespace ckptree::pickle
