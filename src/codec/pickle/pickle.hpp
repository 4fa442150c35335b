#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "ckptree/bytes.hpp"
#include "codec/pickle/editor.hpp"
#include "codec/pickle/ir.hpp"

/// Python pickles, protocols 0 to 5, read and edited without running them.
///
///     const Graph graph = pickle::decode(std::move(bytes), "model.pt: data.pkl");
///     Entries entries(graph, graph.root());                 // {}, OrderedDict, any object with items
///     for (Entry e; entries.next(e);)
///       if (graph.is_text(e.key, "epoch")) std::cout << graph.decimal(e.value);
///
///     Editor edit(graph);                                   // graph itself never changes
///     if (const auto e = pickle::find(graph, graph.root(), "epoch")) edit.replace(e->value_slot(), edit.integer(7));
///     const Graph next = std::move(edit).finish();          // can be read and edited like the first
///
///     if (const auto why = pickle::why_not_editable(graph)) throw Error(Errc::immutable, *why);
///     write(pickle::encode(next));
namespace ckptree::pickle {

/// Reads one pickle. Zeros behind its STOP are padding.
/// @param place  named in every error: "PLACE at byte N: ..."
/// @throws Error Errc::corrupt for what Python would not load, and for sizes past the limits in decode.cpp
Graph decode(std::string pickle, const std::string& place);

/// Writes a pickle, iteratively. A node that is used several times is defined where it is met first; memo ids count up.
/// An untouched graph gives the bytes it was decoded from when why_not_editable() says nothing.
/// @throws Error Errc::immutable when the graph has an obstacle(); Errc::rejected for an edit that made an object part
///         of its own making (a tuple in itself), and for what is past the limits
std::string encode(const Graph& graph);

/// What keeps a decoded graph from being edited, if anything: an obstacle(), or that encoding it does not give the
/// bytes it came from, so that an edit would change more than was asked for. As costly as encode().
std::optional<std::string> why_not_editable(const Graph& decoded);

/// One entry of a dict: a key and, in the slot behind it, a value.
struct Entry {
  Id key = kNone, value = kNone;
  Slot at = 0;
  Slot key_slot() const noexcept { return at; }
  Slot value_slot() const noexcept { return at + 1; }
};

/// Walks the entries of a dict, or of any object that SETITEMS is applied to (OrderedDict), in order. A key that comes
/// twice is seen twice; Python keeps the last value.
class Entries {
 public:
  Entries(const Graph& graph, Id dict) : graph_(graph), step_(graph.node(dict).first_step) {}
  /// Sets `entry` to the next; false when there is none.
  bool next(Entry& entry);

 private:
  const Graph& graph_;  // the caller's
  std::uint32_t step_, in_step_ = 0;
};

/// One item of a list or set.
struct Item {
  Id value = kNone;
  Slot at = 0;
};

/// Walks the items of a list or set, or of any object that APPENDS or ADDITEMS is applied to.
class Items {
 public:
  Items(const Graph& graph, Id list) : graph_(graph), step_(graph.node(list).first_step) {}
  bool next(Item& item);

 private:
  const Graph& graph_;  // the caller's
  std::uint32_t step_, in_step_ = 0;
};

/// The entry with this text as its key; of several the last, as Python does. One pass over the entries.
std::optional<Entry> find(const Graph& graph, Id dict, Bytes key);

/// The name Python 3 loads for one that protocol 0 to 2 wrote for Python 2: ("__builtin__", "xrange") is
/// ("builtins", "range"). Others are returned as they are. @see CPython's Lib/_compat_pickle.py
Global python3_name(const Global& wire);

/// Longest integer shown and taken in decimal: the limit of Python's own int(str), there against quadratic time, too.
constexpr std::size_t kMaxDigits = 4300;

/// Decimal text of a little-endian two's complement number, and back (shortest).
/// @throws Error Errc::too_large for more than kMaxDigits; Errc::rejected for what is no integer
std::string decimal_of(Bytes twos_complement);
std::string twos_complement_of(Bytes decimal);

}  // namespace ckptree::pickle
