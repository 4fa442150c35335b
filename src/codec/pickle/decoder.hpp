#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ckptree/cursor.hpp"
#include "ckptree/error.hpp"
#include "ckptree/utf8.hpp"
#include "codec/pickle/ir.hpp"
#include "codec/pickle/limits.hpp"
#include "codec/pickle/memo.hpp"

namespace ckptree::pickle {

/// The machine of CPython's Unpickler, with nodes for objects. One opcode a step, no recursion.
class Decoder {
 public:
  Decoder(std::string pickle, const std::string& place)
      : wire_(std::make_shared<const std::string>(std::move(pickle))), place_(place), in_(*wire_, place) {
    if (wire_->size() > kMaxPickle)
      throw Error(Errc::corrupt, place + ": a pickle of " + std::to_string(wire_->size()) + " bytes, at most " +
                                     std::to_string(kMaxPickle) + " are read");
    graph_.wire_ = wire_;
    graph_.place_ = place;
  }

  Graph run() {
    for (std::size_t ops = 0;; ++ops) {
      begin_ = in_.offset();
      op_ = Op{in_.le<std::uint8_t>("opcode")};
      if (ops == kMaxOps) fail("more than " + std::to_string(kMaxOps) + " opcodes");
      if (op_ == Op::stop) break;
      step();
    }
    finish();
    return std::move(graph_);
  }

 private:
  void step();
  void rare_step();
  void finish();

  // Fields
  template <class T>
  Bytes sized(const char* field) {
    return in_.take(in_.le<T>("length"), field);
  }
  Bytes line(const char* field, std::size_t most = kMaxPickle) {
    const Bytes rest = Bytes(*wire_).substr(in_.offset());
    const std::size_t end = rest.substr(0, most + 1).find('\n');
    if (end == Bytes::npos)
      fail(std::string(field) + (rest.size() > most ? " is a line of more than " + std::to_string(most) + " bytes"
                                                    : " is a line without an end"));
    const Bytes text = in_.take(end, field);
    in_.skip(1, field);
    return text;
  }
  Bytes utf8(Bytes text) {
    if (!is_wtf8(text)) fail("text that is not UTF-8");
    return text;
  }

  // The stack
  Id pop() {
    if (stack_.size() <= fence()) fail("needs an object, the stack is empty");
    const Id id = stack_.back();
    stack_.pop_back();
    return id;
  }
  Id top() {
    const Id id = pop();
    stack_.push_back(id);
    return id;
  }
  std::size_t fence() const { return marks_.empty() ? 0 : marks_.back(); }
  std::size_t pop_mark() {
    if (marks_.empty()) fail("needs a mark, there is none");
    const std::size_t at = marks_.back();
    marks_.pop_back();
    return at;
  }
  void push(Id id) {
    if (stack_.size() == kMaxStack) fail("more than " + std::to_string(kMaxStack) + " objects on the stack");
    stack_.push_back(id);
  }
  /// Takes everything from `at` off the stack into slots.
  Slot take(std::size_t at) {
    const Slot first = static_cast<Slot>(graph_.links_.size());
    for (std::size_t i = at; i < stack_.size(); ++i) graph_.links_.add(stack_[i]);
    stack_.resize(at);
    return first;
  }
  /// Where the last `count` objects begin.
  std::size_t last(std::size_t count) {
    if (stack_.size() - fence() < count)
      fail("objects needed: " + std::to_string(count) + ", on the stack: " + std::to_string(stack_.size() - fence()));
    return stack_.size() - count;
  }

  // Nodes
  Id add(Node node) { return graph_.nodes_.add(node); }
  void leaf(Op op, Kind kind) { push(add({op, kind})); }
  void number(Kind kind, std::uint64_t bits) { number(op_, kind, bits); }
  void number(Op op, Kind kind, std::uint64_t bits) {
    Node node{op, kind};
    node.first = static_cast<std::uint32_t>(bits);
    node.count = static_cast<std::uint32_t>(bits >> 32);
    push(add(node));
  }
  void stored(Kind kind, Bytes bytes) { stored(op_, kind, bytes); }
  void stored(Op op, Kind kind, Bytes bytes) {
    Node node{op, kind};
    node.first = static_cast<std::uint32_t>(bytes.data() - wire_->data());
    node.count = static_cast<std::uint32_t>(bytes.size());
    push(add(node));
  }
  void owned_text(Op op, Kind kind, std::string text) {
    Node node{op, kind};
    node.owned = true;
    node.first = graph_.texts_.add(std::make_shared<const std::string>(std::move(text)));
    push(add(node));
  }
  /// A node that stands on the objects from `at` to the top.
  void made_of(std::size_t at, Op op, Kind kind) {
    Node node{op, kind};
    node.count = static_cast<std::uint32_t>(stack_.size() - at);
    node.first = take(at);
    push(add(node));
  }
  /// Something done to the object below the operands, which begin at `at`.
  void apply(Op op, std::size_t at);
  void add_step(Id target, Op op, Slot first, std::size_t count);

  void names() {
    const Bytes module = utf8(line("module", kMaxName)), name = utf8(line("name", kMaxName));
    stored(Op::global, Kind::global, Bytes(module.data(), module.size() + 1 + name.size()));
  }
  /// Of Python 2, which had no other strings: text where it can be.
  void string(Bytes bytes) { stored(is_wtf8(bytes) ? Kind::text : Kind::bytes, bytes); }
  /// A list or dict of protocol 0 with its items, as the opcodes that make and fill it today.
  void container(Op empty, Kind kind, Op fill);
  void integer_line(Bytes text);
  std::uint64_t memo_line();
  void put(std::uint64_t id) {
    graph_.nodes_.change(top()).memoised = true;
    if (!memo_.put(id, top())) fail("more than " + std::to_string(kMaxOddMemo) + " memo ids that do not count up");
  }
  void get(std::uint64_t id) {
    const Id node = memo_.get(id);
    if (node == kNone) fail("memo entry " + std::to_string(id) + " is not defined");
    push(node);
  }

  /// The pickle can be shown, not edited; the first reason is kept.
  void refuse(const std::string& why) {
    if (!graph_.obstacle_) graph_.obstacle_ = place_ + " at byte " + std::to_string(begin_) + ": " + why;
  }
  void refuse() {
    if (!graph_.obstacle_) refuse(std::string(name_of(op_)) + " is read, but not written");
  }
  [[noreturn]] void fail(const std::string& text) const {
    const char* name = name_of(op_);
    throw Error(Errc::corrupt, place_ + " at byte " + std::to_string(begin_) + ": " +
                                   (name ? std::string(name) + ": " : std::string()) + text);
  }

  const std::shared_ptr<const std::string> wire_;
  const std::string place_;
  Cursor in_;
  std::uint64_t begin_ = 0;  // of the opcode
  Op op_ = Op::stop;
  std::vector<Id> stack_;
  std::vector<std::uint32_t> marks_;  // heights of the stack
  Memo memo_;
  Graph graph_;
};

}  // namespace ckptree::pickle
