#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ckptree/bytes.hpp"
#include "codec/pickle/opcodes.hpp"
#include "codec/pickle/pool.hpp"

/// What a pickle would make, as data: nodes, never objects. Nothing is imported and nothing is called.
namespace ckptree::pickle {

/// A node of one Graph, and of all that are edited from it.
using Id = std::uint32_t;
/// A place where a node stands: an item of a list, a key, a value, an argument. One node may stand in many.
/// Nodes and slots keep their numbers in every graph that is edited from the first.
using Slot = std::uint32_t;
/// No node; in a slot: erased.
constexpr Id kNone = ~Id(0);

enum class Kind : std::uint8_t {
  none,
  boolean,
  integer,
  real,
  text,  // str
  bytes,
  bytearray,
  list,        // see Items
  tuple,       // slots: its items
  dict,        // see Entries
  set,         // see Items
  frozenset,   // slots: its items
  global,      // a class or function, by name
  reduce,      // slots: callable, arguments. Protocol 0 and 1 spell it INST and OBJ as well
  newobj,      // slots: class, arguments
  newobj_ex,   // slots: class, arguments, keyword arguments
  persistent,  // slots: what the program that wrote it calls the object, e.g. torch's ('storage', ...)
  extension,   // a number of copyreg's registry
  buffer,      // bytes that are kept outside the pickle
};

/// One object, as the opcode that made it. 20 bytes: a checkpoint of 100,000 tensors has millions.
struct Node {
  Op op = Op::none;
  Kind kind = Kind::none;
  bool memoised = false;  // followed by a PUT
  bool owned = false;     // text is in Graph::texts, not in the pickle
  /// Where the text or the slots begin, and how many. An int of up to 32 bits, a float, an extension: its 64 bits, low
  /// half first.
  std::uint32_t first = 0, count = 0;
  /// What is done to it once it is made, in order: the first and the last.
  std::uint32_t first_step = kNone, last_step = kNone;
};

/// An opcode that changes an object that was made before: SETITEM(S), APPEND(S), ADDITEMS, BUILD.
struct Step {
  Op op;
  Slot first;           // its operands: keys and values in turn, items, or one state
  std::uint32_t count;  // slots, those of erased entries as well; may be 0
  std::uint32_t next = kNone;
};

/// Names of a GLOBAL, as on the wire.
struct Global {
  Bytes module, name;
};

/// Whether nodes of the kind stand on other nodes by place, from the start.
constexpr bool has_slots(Kind kind) noexcept {
  switch (kind) {
    case Kind::tuple:
    case Kind::frozenset:
    case Kind::reduce:
    case Kind::newobj:
    case Kind::newobj_ex:
    case Kind::persistent: return true;
    default: return false;
  }
}

class Decoder;
class Editor;

/// A pickle, decoded: immutable, cheap to copy, safe to read from several threads. Views of text live as long as any
/// copy of the graph, or any graph edited from it.
class Graph {
 public:
  Id root() const { return at(root_); }
  Slot root_slot() const noexcept { return root_; }
  Id at(Slot slot) const { return links_[slot]; }

  Kind kind(Id id) const { return node(id).kind; }
  /// Of text, bytes, bytearray. Text is UTF-8, or WTF-8 where Python had a lone surrogate.
  Bytes text(Id id) const;
  bool is_text(Id id, Bytes text) const { return kind(id) == Kind::text && this->text(id) == text; }
  /// Of an integer of up to 64 bits, or an extension's number; nothing for longer ones and for other kinds.
  std::optional<std::int64_t> integer(Id id) const;
  /// Of an integer of any size, in decimal. @throws Error Errc::too_large past kMaxDigits
  std::string decimal(Id id) const;
  bool boolean(Id id) const { return node(id).op == Op::newtrue; }  // whether it is True
  double real(Id id) const;                                         // of a real only
  /// Names on the wire.
  Global global(Id id) const;
  /// Names that Python 3 looks up: other ones than on the wire only where protocols 0 to 2 have those of Python 2.
  Global known_as(Id id) const;
  /// Whether it is that class or function, by the name Python 3 looks up.
  bool is_global(Id id, Bytes module, Bytes name) const;

  /// What a tuple, frozenset, call or persistent id is made of, by place: see Kind. 0 for other kinds.
  std::size_t count(Id id) const { return has_slots(kind(id)) ? node(id).count : 0; }
  Slot slot(Id id, std::size_t i) const { return node(id).first + static_cast<Slot>(i); }
  Id child(Id id, std::size_t i) const { return at(slot(id, i)); }

  /// Where the state stands that BUILD gives the object, the last of several; kNone when there is none.
  Slot state_slot(Id id) const;
  Id state(Id id) const;

  /// Nodes ever made, shared ones once. Ids are below it.
  std::size_t size() const noexcept { return nodes_.size(); }
  /// Of the pickle, 0 to 5.
  int protocol() const noexcept { return protocol_; }
  /// The decoded pickle, with its STOP; what follows in the input is padding or not editable.
  Bytes wire() const { return Bytes(*wire_).substr(0, wire_size_); }
  /// Why it can only be shown: what it has that encode() does not write. @see why_not_editable
  const std::optional<std::string>& obstacle() const noexcept { return obstacle_; }
  /// As given to decode().
  const std::string& place() const noexcept { return place_; }

  // For the encoder and the walks.
  const Node& node(Id id) const { return nodes_[id]; }
  const Step& step(std::uint32_t index) const { return steps_[index]; }
  /// Text of a node, or of a GLOBAL: "module\nname".
  Bytes raw_text(const Node& node) const {
    return node.owned ? Bytes(*texts_[node.first]) : Bytes(*wire_).substr(node.first, node.count);
  }

 private:
  friend class Decoder;
  friend class Editor;

  std::shared_ptr<const std::string> wire_;
  std::string place_;
  Pool<Node> nodes_;
  Pool<Id> links_;
  Pool<Step> steps_;
  Pool<std::shared_ptr<const std::string>> texts_;
  Slot root_ = 0;
  int protocol_ = 0;
  std::size_t wire_size_ = 0;
  std::optional<std::string> obstacle_;
};

}  // namespace ckptree::pickle
