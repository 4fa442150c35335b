#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "ckptree/format.hpp"
#include "ckptree/row.hpp"
#include "formats/earth2studio/next.hpp"
#include "formats/earth2studio/row.hpp"

namespace ckptree::earth2studio {

/// The last catalog.tsv, and the rows that it was made of: the kernel asks for the size before it reads.
struct LastTable {
  std::mutex mutex;  // guards both; nothing else is taken while it is held
  std::shared_ptr<const Rows> rows;
  Recipe content;
};

/// A store as it was read: what the rows of every later state come from.
struct Store {
  Ptr<Source> source;
  Ptr<File> catalog;  // null: there is none
  std::timespec mtime{};
  bool rebuilt = false;
  std::vector<std::string> warnings;
  Names ranks;  // "000000"; of a store with ranks, which has no rows
  std::shared_ptr<LastTable> last_table = std::make_shared<LastTable>();
};

/// One state of a store.
struct State {
  std::shared_ptr<const Store> store;
  ViewOptions options;
  std::shared_ptr<const Rows> rows;
  bool untouched = true;  // no row was dropped or moved
  std::shared_ptr<const Next> next = std::make_shared<const Next>();
  std::vector<std::shared_ptr<const Written>> added;  // new rows, in order

  bool writable() const noexcept { return !options.read_only; }
  bool has_ranks() const noexcept { return !store->ranks.empty(); }
};

using StateRow = ckptree::Row<State>;
using Each = std::function<bool(const std::string&, const Node&)>;

State initial_state(const Ptr<Source>& source, const ViewOptions& options);
/// "rank_000000"
bool is_rank_name(const std::string& name);

// Nodes.
Node file_node(const State& state, std::string text);
Node directory_node(const State& state);
Node link_node(const State& state, std::string target);
/// A file whose content is made by `make`, or fails to be read as that did.
template <class Make>
Node made_node(const State& state, const Make& make);

/// The name that manifests give the run.
std::string name_of(const State& state);
/// The row at the first name of a match; null when there is none of that number.
std::shared_ptr<const StoreRow> row_at(const State& state, const Match& match);

// show_store.cpp
std::optional<Node> show_kind(const State&, const Match&);
std::optional<Node> show_name(const State&, const Match&);
std::optional<Node> show_path(const State&, const Match&);
std::optional<Node> show_catalog(const State&, const Match&);
std::optional<Node> show_rows(const State&, const Match&);
void list_rows(const State&, const Match&, const Each&);
std::optional<Node> show_latest(const State&, const Match&);
std::optional<Node> show_commits(const State&, const Match&);
void list_commits(const State&, const Match&, const Each&);
std::optional<Node> show_commit(const State&, const Match&);
std::optional<Node> show_ranks(const State&, const Match&);
void list_ranks(const State&, const Match&, const Each&);
std::optional<Node> show_rank(const State&, const Match&);

// edit.cpp
/// The row of the catalog that an edited row stands for, under its old commit.
std::shared_ptr<const Entry> edited_entry(const StoreRow& row);

// edit_row.cpp
State edit_metadata(const State&, const Match&, const Op&);
State edit_metadata_value(const State&, const Match&, const Op&);
std::optional<Node> vacant_metadata_value(const State&, const Match&);
State edit_labels(const State&, const Match&, const Op&);
State edit_label_value(const State&, const Match&, const Op&);
std::optional<Node> vacant_label_value(const State&, const Match&);
State edit_states(const State&, const Match&, const Op&);
State edit_commit(const State&, const Match&, const Op&);
State edit_latest(const State&, const Match&, const Op&);

// edit_next.cpp
std::optional<Node> show_next(const State&, const Match&);
void list_next(const State&, const Match&, const Each&);
State edit_next(const State&, const Match&, const Op&);
std::optional<Node> show_next_metadata(const State&, const Match&);
State edit_next_metadata(const State&, const Match&, const Op&);
std::optional<Node> show_next_metadata_value(const State&, const Match&);
void list_next_metadata_values(const State&, const Match&, const Each&);
State edit_next_metadata_value(const State&, const Match&, const Op&);
std::optional<Node> vacant_next_metadata_value(const State&, const Match&);
std::optional<Node> show_next_labels(const State&, const Match&);
State edit_next_labels(const State&, const Match&, const Op&);
std::optional<Node> show_next_label_value(const State&, const Match&);
void list_next_label_values(const State&, const Match&, const Each&);
State edit_next_label_value(const State&, const Match&, const Op&);
std::optional<Node> vacant_next_label_value(const State&, const Match&);
std::optional<Node> show_next_states(const State&, const Match&);
void list_next_states(const State&, const Match&, const Each&);
State edit_next_states(const State&, const Match&, const Op&);
std::optional<Node> vacant_next_states(const State&, const Match&);

// commit.cpp
ChangeSet seal(const State& base, const State& edited, const Stamp& stamp);
Plan plan(const State& base, const Source& source, const ChangeSet& changes, const Medium& medium);

// table.cpp
std::optional<Node> show_table(const State&, const Match&);

// show_row.cpp
std::optional<Node> show_row(const State&, const Match&);
void list_row(const State&, const Match&, const Each&);
std::optional<Node> show_row_file(const State&, const Match&);
std::optional<Node> show_metadata(const State&, const Match&);
std::optional<Node> show_metadata_value(const State&, const Match&);
void list_metadata_values(const State&, const Match&, const Each&);
std::optional<Node> show_labels(const State&, const Match&);
std::optional<Node> show_label_value(const State&, const Match&);
void list_label_values(const State&, const Match&, const Each&);

// show_states.cpp
std::optional<Node> show_states(const State&, const Match&);
void list_states(const State&, const Match&, const Each&);
/// The state shown under a name.
std::optional<std::string> state_id_of(const StoreRow& row, const std::string& name);
/// Lines of states.tsv.
std::string states_table(const StoreRow& row);

}  // namespace ckptree::earth2studio

#include "formats/failing.hpp"

namespace ckptree::earth2studio {

template <class Make>
Node made_node(const State& state, const Make& make) {
  Node node = file_node(state, "");
  try {
    node.content = make();
  } catch (const Error& e) {
    node.content = failing_content(e.code(), e.what());
  }
  return node;
}

}  // namespace ckptree::earth2studio
