#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/torch/state.hpp"

namespace ckptree::torch {

/// The keys of an entry at or below `from` when that has moved.
Keys moved_keys(const Keys& keys, const Keys& from, const Keys& to);

/// One edit of arrays/: a state on its way to the next. The member of an array and its entry in the index change in one
/// step. Paths begin with "arrays"; keys are those of the index.
class ArrayEdit {
 public:
  /// @throws Error as Metadata::index
  explicit ArrayEdit(const State& state);

  const ArrayIndex& index() const { return *index_; }
  /// The entry at a path; nothing when there is none.
  std::optional<std::size_t> entry(const TreePath& path) const;
  /// @throws Error Errc::not_found
  std::size_t existing(const TreePath& path) const;
  /// The directory that a path is in. @throws Error Errc::not_found, Errc::not_directory
  std::size_t above(const TreePath& path) const;
  Keys keys_above(const TreePath& path) const { return index().keys(above(path)); }
  /// The keys of a new array, or of a new directory, at a path where nothing is.
  /// @throws Error as above; Errc::rejected for a name that none has; Errc::exists when the other kind has that key
  Keys new_keys(const TreePath& path, bool is_array) const;

  void write(const Op& op);
  void make_dir(const TreePath& path);
  void remove(std::size_t i);
  /// Moves an entry, with all that is below it, to other keys, where nothing is.
  void move(std::size_t i, const Keys& to);

  /// The state after it. @param directories  that the edit made or changed, as keys
  /// @throws Error Errc::rejected when one of them would be no directory to anemoi
  State finish(const Op& op, const std::vector<Keys>& directories);

 private:
  bool is_own(const std::string& member) const;
  void release(const std::string& member);
  void drop(const std::string& member);
  std::optional<Content> content_of(const std::string& member) const;
  std::string folder() const;
  bool is_free(const std::string& member) const;
  std::string free_member(const Keys& keys) const;

  State state_;
  IndexText text_;
  const Ptr<ArrayIndex> index_;              // before the edit
  std::map<std::string, std::size_t> used_;  // members, and how many entries lead to each, with the edit
};

}  // namespace ckptree::torch
