#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ckptree/name.hpp"
#include "codec/pickle/pickle.hpp"

/// How objects of a pickle are shown as files and directories (tree.md section 2, `object/`). Pure functions over the
/// graph; nothing here knows where an object stands.
namespace ckptree::torch {

enum class Look : std::uint8_t {
  scalar,     // a file: None, bool, int, float, str, complex, a NumPy scalar
  bytes,      // a file: the bytes
  list,       // a file: a list, tuple or set of scalars, as JSON
  directory,  // a dict, a list with containers in it, an object with its attributes
  array,      // NAME.npy: a NumPy array
  tensor,     // a link into tensors/
  storage,    // a file that says which: a storage of torch without a tensor around it
  reference,  // a file with its dotted name: a class or function
};

/// An object as it is shown. What only wraps a value (a node of OmegaConf, a Namespace, `set(list)`) is looked through:
/// `slot` is then where the value itself stands.
struct View {
  Look look = Look::scalar;
  pickle::Slot slot = 0;
  pickle::Id id = pickle::kNone;  // what stands there
  bool typed = false;  // in an object of OmegaConf, which wraps each value: scalars can be changed, not added
};

/// Whether a list, by Id, is shown as a file; found once for each, so that one that is used a million times costs no
/// more, and one that lost its containers stays the directory it was.
enum class ListLook : std::uint8_t { unknown, file, directory };
using ListLooks = std::vector<ListLook>;

/// @param known  of the lists that are in it; may be null
View view_at(const pickle::Graph& graph, pickle::Slot slot, const ListLooks* known = nullptr);

/// A call of one of the functions that torch pickles tensors as. Those in its arguments are parts of it.
bool is_tensor(const pickle::Graph& graph, pickle::Id id);

/// Whether new entries can be told by a key: a dict, or an object that is pickled like one.
bool is_dict(const pickle::Graph& graph, const View& directory);
/// A list, tuple or set. Only the items of a list come and go.
bool is_list(const pickle::Graph& graph, const View& view);

/// What makes an entry of a directory, so that it can be taken out again.
enum class Part : std::uint8_t { entry, item, attribute, derived };

struct Child {
  // A string stays in the graph: many directories may have a long one in common, of which a pickle has one.
  pickle::Id key = pickle::kNone;  // "epoch"; kNone: it is no string
  std::string literal;             // then: of a list its index, of another key its literal, "@class"
  pickle::Slot slot = 0;           // where the value stands
  pickle::Slot at = 0;             // of an entry or attribute: Entry::at; of an item: Item::at
  Part part = Part::entry;
  bool fixed = false;  // a part of how the object is made: it goes with the object, not before
  bool hides = false;  // an earlier one of the same key
  std::string text;    // of @class: the content of the file; it stands in no slot

  bool is_literal() const { return key == pickle::kNone; }
  /// The key as text; a view of the graph, or of this.
  Bytes key_text(const pickle::Graph& graph) const { return is_literal() ? Bytes(literal) : graph.text(key); }
};

/// What is in a directory, in order: attributes, entries, items, then @class, @args, @state. Of a key that comes twice
/// only the last, as Python reads it. Stops when `each` answers false.
void children(const pickle::Graph& graph, const View& directory, const std::function<bool(Child&&)>& each);

/// The name of a key below object/: a string that reads like a literal has its first character encoded, an array gets
/// ".npy". @param literal  the key is no string
FileName name_of(const std::string& key, bool literal, Look look);

/// The dict that holds the attributes of an object; kNone when it is none, or has no such dict.
pickle::Id attributes_of(const pickle::Graph& graph, pickle::Id object);
/// "torch.nn.modules.linear.Linear" of a class or function; empty for anything else.
std::string dotted_name(const pickle::Graph& graph, pickle::Id id);

}  // namespace ckptree::torch
