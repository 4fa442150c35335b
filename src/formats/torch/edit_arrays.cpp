// Edits of arrays/.

#include <algorithm>

#include "ckptree/error.hpp"
#include "formats/torch/array_edit.hpp"

namespace ckptree::torch {
namespace {

bool is_below_arrays(const TreePath& path) { return path.size() >= 2 && path.front() == "arrays"; }

State remove(ArrayEdit edit, const Op& op) {
  const std::size_t i = edit.existing(op.path);
  if (op.kind == Op::Kind::remove && !edit.index()[i].children.empty())
    throw Error(Errc::not_empty, to_string(op.path) + ": not empty");
  edit.remove(i);
  return edit.finish(op, {edit.keys_above(op.path)});
}

/// The directories at `i` and below it, as keys, when that has moved.
std::vector<Keys> moved_directories(const ArrayIndex& index, std::size_t i, const Keys& to) {
  std::vector<Keys> all;
  for (const std::size_t below : index.below(i))
    if (!index[below].is_array) all.push_back(moved_keys(index.keys(below), index.keys(i), to));
  return all;
}

State rename(const State& state, const Op& op) {
  ArrayEdit edit(state);
  const std::string place = to_string(op.to);
  const std::size_t from = edit.existing(op.path);
  const bool is_array = edit.index()[from].is_array;
  Keys to;
  if (const auto there = edit.entry(op.to)) {
    if (*there == from) return state;
    const ArrayIndex::Entry& entry = edit.index()[*there];
    if (is_array && !entry.is_array) throw Error(Errc::is_directory, place + ": is a directory");
    if (!is_array && entry.is_array) throw Error(Errc::not_directory, place + ": is not a directory");
    if (!entry.children.empty()) throw Error(Errc::not_empty, place + ": not empty");
    to = edit.index().keys(*there);
    edit.remove(*there);
  } else {
    to = edit.new_keys(op.to, is_array);
  }
  edit.move(from, to);
  std::vector<Keys> directories = moved_directories(edit.index(), from, to);
  directories.push_back(edit.keys_above(op.path));
  directories.push_back(edit.keys_above(op.to));
  return edit.finish(op, directories);
}

/// Three moves by way of a key that nobody has.
State exchange(const State& state, const Op& op) {
  const ArrayEdit before(state);
  const ArrayIndex& index = before.index();
  const std::size_t one = before.existing(op.path), two = before.existing(op.to);
  if (one == two) return state;
  const bool arrays = index[one].is_array;
  if (arrays != index[two].is_array)
    throw Error(Errc::rejected,
                to_string(op.path) + ": an array and a directory cannot be exchanged, for their names differ");
  const Keys first = index.keys(one), second = index.keys(two);
  Keys between = first;
  TreePath between_path = op.path;
  const auto is_taken = [&](const std::string& name) {
    return index.child(index[one].parent, name) != ArrayIndex::kTop;
  };
  do between.back() += "+";
  while (is_taken(array_file_name(between.back()).text) || is_taken(array_directory_name(between.back()).text));
  between_path.back() = (arrays ? array_file_name(between.back()) : array_directory_name(between.back())).text;

  const auto step = [&](const State& now, const TreePath& from, const Keys& to, const std::vector<Keys>& directories) {
    ArrayEdit edit(now);
    edit.move(edit.existing(from), to);
    return edit.finish(op, directories);
  };
  std::vector<Keys> directories = moved_directories(index, one, second);
  for (Keys& keys : moved_directories(index, two, first)) directories.push_back(std::move(keys));
  const State halfway = step(step(state, op.path, between, {}), op.to, first, {});
  return step(halfway, between_path, second, directories);
}

bool is_inside(const TreePath& outer, const TreePath& inner) {
  return inner.size() > outer.size() && std::equal(outer.begin(), outer.end(), inner.begin());
}

}  // namespace

State edit_arrays(const State& state, const Match& match, const Op& op) {
  refuse_if_not_editable(state, op);
  const std::string place = to_string(op.path);
  if (match.names.empty()) throw Error(Errc::immutable, place + ": always there");
  if (!op.to.empty()) {
    if (!is_below_arrays(op.to)) throw Error(Errc::immutable, place + ": an array can only be moved within arrays/");
    const bool swaps = op.kind == Op::Kind::exchange;
    if (is_inside(op.path, op.to) || (swaps && is_inside(op.to, op.path)))
      throw Error(Errc::invalid, place + ": cannot be moved below itself");
  }
  ArrayEdit edit(state);
  switch (op.kind) {
    case Op::Kind::write: edit.write(op); return edit.finish(op, {edit.keys_above(op.path)});
    case Op::Kind::make_dir: {
      edit.make_dir(op.path);
      return edit.finish(op, {edit.new_keys(op.path, false)});
    }
    case Op::Kind::remove:
    case Op::Kind::remove_tree: return remove(std::move(edit), op);
    case Op::Kind::rename: return rename(state, op);
    case Op::Kind::exchange: return exchange(state, op);
  }
  return state;
}

}  // namespace ckptree::torch
