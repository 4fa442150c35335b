#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "codec/pickle/decoder.hpp"
#include "codec/pickle/pickle.hpp"

namespace ckptree::pickle {
namespace {

/// Whether it stands for an object of which only Python knows what it can do.
bool is_object(Kind kind) {
  if (kind == Kind::global || kind == Kind::extension || kind == Kind::buffer) return true;
  return has_slots(kind) && kind != Kind::tuple && kind != Kind::frozenset;
}

std::size_t tuple_size(Op op) { return op == Op::tuple1 ? 1 : op == Op::tuple2 ? 2 : op == Op::tuple3 ? 3 : 0; }

/// Whether Python could do that to what such a node makes.
bool takes(Kind kind, Op op) {
  switch (op) {
    case Op::append:
    case Op::appends: return kind == Kind::list || is_object(kind);
    case Op::setitem:
    case Op::setitems: return kind == Kind::dict || is_object(kind);
    case Op::additems: return kind == Kind::set || is_object(kind);
    default: return is_object(kind);
  }
}

}  // namespace

void Decoder::apply(Op op, std::size_t at) {
  if (at <= fence()) fail("needs an object to change, the stack is empty");
  const Id target = stack_[at - 1];
  const std::size_t count = stack_.size() - at;
  add_step(target, op, take(at), count);
}

void Decoder::add_step(Id target, Op op, Slot first, std::size_t count) {
  if (!takes(graph_.kind(target), op)) fail("the object below is of a kind that cannot be changed so");
  if (count % 2 && op == Op::setitems) fail("a key without a value");
  const std::uint32_t step = graph_.steps_.add({op, first, static_cast<std::uint32_t>(count)});
  Node& node = graph_.nodes_.change(target);
  if (node.first_step == kNone) node.first_step = step;
  else graph_.steps_.change(node.last_step).next = step;
  node.last_step = step;
}

void Decoder::step() {
  switch (op_) {
    // Atoms
    case Op::none: return leaf(op_, Kind::none);
    case Op::newtrue:
    case Op::newfalse: return leaf(op_, Kind::boolean);
    case Op::binint1: return number(Kind::integer, in_.le<std::uint8_t>("integer"));
    case Op::binint2: return number(Kind::integer, in_.le<std::uint16_t>("integer"));
    case Op::binint:
      return number(Kind::integer,
                    static_cast<std::uint64_t>(static_cast<std::int32_t>(in_.le<std::uint32_t>("integer"))));
    case Op::long1: return stored(Kind::integer, sized<std::uint8_t>("integer"));
    case Op::long4: {
      const std::uint32_t size = in_.le<std::uint32_t>("length");
      if (size > kMaxLong)
        fail("an integer of " + std::to_string(size) + " bytes, at most " + std::to_string(kMaxLong) + " are read");
      return stored(Kind::integer, in_.take(size, "integer"));
    }
    case Op::binfloat: {
      std::uint64_t bits = 0;
      for (const char c : in_.take(8, "float")) bits = bits << 8 | static_cast<unsigned char>(c);
      return number(Kind::real, bits);
    }
    case Op::binunicode: return stored(Kind::text, utf8(sized<std::uint32_t>("text")));
    case Op::short_binunicode: return stored(Kind::text, utf8(sized<std::uint8_t>("text")));
    case Op::binunicode8: return stored(Kind::text, utf8(sized<std::uint64_t>("text")));
    case Op::binstring: return string(sized<std::uint32_t>("string"));
    case Op::short_binstring: return string(sized<std::uint8_t>("string"));
    case Op::binbytes: return stored(Kind::bytes, sized<std::uint32_t>("bytes"));
    case Op::short_binbytes: return stored(Kind::bytes, sized<std::uint8_t>("bytes"));
    case Op::binbytes8: return stored(Kind::bytes, sized<std::uint64_t>("bytes"));
    case Op::bytearray8: return stored(Kind::bytearray, sized<std::uint64_t>("bytes"));
    case Op::global: return names();

    // Made of what is on the stack
    case Op::stack_global: {
      const std::size_t at = last(2);
      if (graph_.kind(stack_[at]) != Kind::text || graph_.kind(stack_[at + 1]) != Kind::text) fail("needs two texts");
      return made_of(at, op_, Kind::global);
    }
    case Op::empty_tuple:
    case Op::tuple1:
    case Op::tuple2:
    case Op::tuple3: return made_of(last(tuple_size(op_)), op_, Kind::tuple);
    case Op::tuple: return made_of(pop_mark(), op_, Kind::tuple);
    case Op::frozenset: return made_of(pop_mark(), op_, Kind::frozenset);
    case Op::reduce: return made_of(last(2), op_, Kind::reduce);
    case Op::newobj: return made_of(last(2), op_, Kind::newobj);
    case Op::newobj_ex: return made_of(last(3), op_, Kind::newobj_ex);
    case Op::binpersid: return made_of(last(1), op_, Kind::persistent);

    // Containers, filled later
    case Op::empty_list: return leaf(op_, Kind::list);
    case Op::empty_dict: return leaf(op_, Kind::dict);
    case Op::empty_set: return leaf(op_, Kind::set);
    case Op::append:
    case Op::build: return apply(op_, last(1));
    case Op::setitem: return apply(op_, last(2));
    case Op::appends:
    case Op::setitems:
    case Op::additems: return apply(op_, pop_mark());

    // The machine itself
    case Op::mark:
      if (marks_.size() == kMaxStack) fail("more than " + std::to_string(kMaxStack) + " marks");
      return marks_.push_back(static_cast<std::uint32_t>(stack_.size()));
    case Op::binput: return put(in_.le<std::uint8_t>("memo id"));
    case Op::long_binput: return put(in_.le<std::uint32_t>("memo id"));
    case Op::memoize: return put(memo_.size());
    case Op::binget: return get(in_.le<std::uint8_t>("memo id"));
    case Op::long_binget: return get(in_.le<std::uint32_t>("memo id"));
    case Op::frame: {
      const std::uint64_t size = in_.le<std::uint64_t>("length");
      in_.count(size, 1, "bytes of a frame");
      return;
    }
    case Op::proto: {
      const int version = in_.le<std::uint8_t>("protocol");
      if (version > kMaxProtocol)
        fail("protocol " + std::to_string(version) + ", at most " + std::to_string(kMaxProtocol) + " is known");
      if (begin_ == 0) graph_.protocol_ = version;
      else refuse("a PROTO that is not the first opcode is read, but not written");
      return;
    }
    case Op::stop: return;  // run() ends at it

    default: return rare_step();
  }
}

void Decoder::finish() {
  const Id root = pop();
  if (!stack_.empty() || !marks_.empty())
    refuse("left on the stack behind the STOP: " + std::to_string(stack_.size()) + " objects, " +
           std::to_string(marks_.size()) + " marks");
  graph_.wire_size_ = in_.offset();
  const std::size_t rest = wire_->find_first_not_of('\0', graph_.wire_size_);
  if (rest != std::string::npos) {
    begin_ = rest;
    refuse("bytes behind the STOP that are not zero");
  }
  graph_.root_ = graph_.links_.add(root);
  graph_.nodes_.seal();
  graph_.links_.seal();
  graph_.steps_.seal();
  graph_.texts_.seal();
}

Graph decode(std::string pickle, const std::string& place) { return Decoder(std::move(pickle), place).run(); }

}  // namespace ckptree::pickle
