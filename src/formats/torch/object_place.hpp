#pragma once

#include <memory>
#include <optional>
#include <string>

#include "formats/torch/object_names.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {

/// What stands at a path below object/.
struct ObjectPlace {
  View view;                                                // of @class: Look::reference, without an object
  pickle::Slot slot = 0;                                    // where it stands
  View parent;                                              // the directory that it is in
  std::shared_ptr<const ObjectNames::Directory> directory;  // its names; null for the top
  const ObjectNames::Named* named = nullptr;                // the one it has; null for the top

  bool is_derived_text() const { return named && !named->child.text.empty(); }
};

/// Nothing where there is nothing, also below a link. @throws Error as Pickled::graph
std::optional<ObjectPlace> object_at(const State& state, const TreePath& names);
/// An entry of a directory; nothing when it was removed.
std::optional<ObjectPlace> entry_at(const State& state, const TreePath& names, const View& parent,
                                    std::shared_ptr<const ObjectNames::Directory> directory,
                                    const ObjectNames::Named& named);
/// Whether it is a directory whose home is elsewhere.
bool is_link(const State& state, const ObjectPlace& place);

/// Where a new entry of a directory goes.
struct Holder {
  enum class Kind { none, dict, list } kind = Kind::none;
  pickle::Id id = pickle::kNone;  // the dict, of entries or of attributes, or the list
};
Holder holder_of(const State& state, const View& directory);

/// The key that a new name in a dict stands for.
struct NewKey {
  enum class Kind { text, none, boolean, integer, real } kind = Kind::text;
  std::string text;
};
/// Nothing when the name is no key's.
std::optional<NewKey> key_of_name(const std::string& name);
/// "x" of "x.npy", the name of an array; nothing for another name.
std::optional<std::string> stem_of_array(const std::string& name);
/// The index of the next item.
std::size_t next_item(const State& state, const ObjectNames::Directory& directory);

/// Why nothing below object/ can be edited; nothing when it can. @throws Error as Pickled::graph
std::optional<Error> why_not_editable(const State& state);

}  // namespace ckptree::torch
