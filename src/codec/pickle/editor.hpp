#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ckptree/bytes.hpp"
#include "codec/pickle/ir.hpp"

namespace ckptree::pickle {

struct Entry;
struct Item;

/// Makes the next graph from one, which stays as it is. The cost goes with what is changed, not with the size of the
/// graph, whether thousands of changes go through one Editor or each through its own.
///
/// A change belongs to a slot: text that other slots share stays there, and what was defined in an erased entry and is
/// used elsewhere is defined there from now on. Writes only opcodes that torch's weights_only unpickler takes.
class Editor {
 public:
  explicit Editor(const Graph& base) : graph_(base) {}
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  // Nodes. New ones are in no slot until they are put there, and then may be put in several.

  Id none() { return add({Op::none, Kind::none}); }
  Id boolean(bool value) { return add({value ? Op::newtrue : Op::newfalse, Kind::boolean}); }
  Id integer(std::int64_t value);
  /// @throws Error Errc::rejected for what is no integer or has more than 255 bytes
  Id integer(Bytes decimal);
  Id real(double value);
  /// @throws Error Errc::rejected when it is not UTF-8
  Id text(Bytes utf8);
  Id list(const std::vector<Id>& items = {});
  Id tuple(const std::vector<Id>& items);
  Id dict(const std::vector<std::pair<Id, Id>>& entries = {});
  /// The one that the graph has, else a new one; looks at every node.
  /// @throws Error Errc::rejected for a name that a pickle cannot spell: empty, a line break, not UTF-8
  Id global(Bytes module, Bytes name);
  /// `callable(*arguments)`; `arguments` is a tuple.
  Id reduce(Id callable, Id arguments) { return made_of(Op::reduce, Kind::reduce, {callable, arguments}); }
  /// `cls.__new__(cls, *arguments)`.
  Id newobj(Id cls, Id arguments) { return made_of(Op::newobj, Kind::newobj, {cls, arguments}); }

  // Changes.

  /// Puts another node in a slot: a key, a value, an item, an argument, a state, the root.
  void replace(Slot slot, Id node);
  void erase(const Entry& entry);
  void erase(const Item& item);
  /// A new last item of a list, or of an object that is pickled like one.
  void append(Id list, Id item);
  /// A new last entry of a dict, or of an object that is pickled like one; before its state is built. The caller knows
  /// that the key is new.
  void insert(Id dict, Id key, Id value);
  /// The state of an object: instead of the one it has, or its first.
  void set_state(Id object, Id state);
  /// Other names for a class or function, wherever it is used. @throws Error as global()
  void rename_global(Id global, Bytes module, Bytes name);

  /// As edited so far.
  const Graph& graph() const noexcept { return graph_; }
  /// The next graph; the Editor is done.
  Graph finish() &&;

 private:
  Id add(const Node& node);
  Id owned_text(Op op, Kind kind, std::string text);
  Id made_of(Op op, Kind kind, const std::vector<Id>& nodes);
  void define(Id node);
  Slot link(const Id* nodes, std::size_t count);
  void fill(Id node, Op op, const std::vector<Id>& operands);
  void add_step(Id node, Op op, const Id* operands, std::size_t count);

  Graph graph_;
};

}  // namespace ckptree::pickle
