#pragma once

#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "ckptree/format.hpp"
#include "ckptree/row.hpp"
#include "formats/document/document.hpp"
#include "formats/failing.hpp"
#include "formats/orbax/item.hpp"
#include "formats/orbax/layout.hpp"
#include "formats/orbax/step_metadata.hpp"

namespace ckptree::orbax {

/// A checkpoint, or a directory of steps, as it was read: what every later state comes from.
struct Stored {
  Ptr<Source> source;
  std::timespec mtime{};  // of the metadata
  StepMetadata metadata;
  Layout layout = Layout::composite;
  bool finished = true;                                      // no part of its path is a temporary
  std::string deletion;                                      // why nothing can be edited now; empty: no deletion pends
  std::map<std::string, std::shared_ptr<const Item>> items;  // of a direct one: one without a name
  std::optional<std::string> chosen;                         // what `pytree` leads to; "" of a direct one
  std::vector<std::string> warnings;
};

/// One state of it: all that changes is custom_metadata.
struct State {
  std::shared_ptr<const Stored> stored;
  ViewOptions options;
  std::shared_ptr<const Document> custom;

  /// Whether custom_metadata can be edited; while a deletion pends it seems so, and the edit is told why not.
  bool writable() const noexcept { return !options.read_only && stored->metadata.editable && stored->finished; }
  bool is_direct() const noexcept { return stored->layout == Layout::direct; }
};

using StateRow = ckptree::Row<State>;
using Each = std::function<bool(const std::string&, const Node&)>;

constexpr const char* kCustomFile = "custom_metadata.json";

/// @throws Error Errc::not_a_checkpoint for what Orbax does not take for one; Errc::invalid for a checkpointable that
///         is not there
/// What there is instead of the checkpointable that was asked for. @throws Error Errc::invalid
[[noreturn]] void refuse_checkpointable(const std::string& wanted, const Names& offered);
State open_checkpoint(const Ptr<Source>& source, const ViewOptions& options);

// Nodes.
Node file_node(const State& state, std::string text);
Node directory_node(const State& state);
Node link_node(const State& state, std::string target);
/// A file whose content is made by `make`, or fails to be read as that did.
template <class Make>
Node made_node(Node node, const Make& make) {
  node.kind = Node::Kind::file;
  try {
    node.content = make();
  } catch (const Error& e) {
    node.content = failing_content(e.code(), e.what());
  } catch (const std::system_error& e) {
    const bool refused = e.code().value() == EACCES || e.code().value() == EPERM;
    node.content = failing_content(refused ? Errc::no_permission : Errc::io, e.what());
  }
  return node;
}

// show_top.cpp
std::optional<Node> show_kind(const State&, const Match&);
std::optional<Node> show_path(const State&, const Match&);
std::optional<Node> show_metadata(const State&, const Match&);
std::optional<Node> show_error(const State&, const Match&);
std::optional<Node> show_init_nsecs(const State&, const Match&);
std::optional<Node> show_init(const State&, const Match&);
std::optional<Node> show_commit_nsecs(const State&, const Match&);
std::optional<Node> show_commit(const State&, const Match&);
std::optional<Node> show_items_table(const State&, const Match&);
std::optional<Node> show_items(const State&, const Match&);
void list_items(const State&, const Match&, const Each&);
std::optional<Node> show_arrays(const State&, const Match&);
std::optional<Node> show_pytree(const State&, const Match&);
void list_pytree(const State&, const Match&, const Each&);
std::optional<Node> show_values(const State&, const Match&);
void list_values(const State&, const Match&, const Each&);
std::optional<Node> show_custom(const State&, const Match&);
std::optional<Node> show_custom_value(const State&, const Match&);
void list_custom_values(const State&, const Match&, const Each&);

// show_item.cpp
/// What is at a path below an item's directory.
std::optional<Node> find_in_item(const State& state, const Item& item, const TreePath& below);
void list_item(const State& state, const Item& item, const TreePath& below, const Each& each);
std::optional<Node> find_in_tree(const State& state, const Item& item, const TreePath& below, bool values);
void list_tree(const State& state, const Item& item, const TreePath& below, bool values, const Each& each);

// edit.cpp
State edit_custom(const State&, const Match&, const Op&);
State edit_custom_value(const State&, const Match&, const Op&);
std::optional<Node> vacant_custom_value(const State&, const Match&);
ChangeSet seal(const State& base, const State& edited, const std::string& file, const Stamp& stamp);
Plan plan(const ChangeSet& changes, const Medium& medium);

}  // namespace ckptree::orbax
