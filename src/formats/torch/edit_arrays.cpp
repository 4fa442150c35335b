// Edits of arrays/: the member of an array and its entry in the metadata change in one step.

#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "codec/npy/npy.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {
namespace {

constexpr Bytes kSuffix = ".numpy";
// Longer names are cut by some of the tools that unpack zips.
constexpr std::size_t kMaxPart = 200;

bool ends_with(Bytes text, Bytes end) { return text.size() >= end.size() && text.substr(text.size() - end.size()) == end; }

bool is_plain(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; }

/// A key as part of a member's name: itself, as anemoi writes it, where that is a good file name.
std::string part_of(const std::string& key) {
  const bool good = !key.empty() && key.size() <= kMaxPart && key != "." && key != ".." &&
                    key.find_first_of("/\\") == std::string::npos && std::all_of(key.begin(), key.end(), is_plain);
  if (good && file_name_of(key).text.find("%ED") == std::string::npos) return key;
  std::string text = file_name_of(key).text.substr(0, kMaxPart);
  std::replace(text.begin(), text.end(), '\\', '_');
  return text;
}

/// One edit: a state on its way to the next.
class Edit {
 public:
  explicit Edit(const State& state)
      : state_(state), text_(state.metadata->document()->text()), index_(state.metadata->index()), used_(index_->references()) {}

  /// The entry at a path of the tree (with "arrays" in front); nothing when there is none.
  std::optional<std::size_t> entry(const TreePath& path) const {
    std::size_t at = ArrayIndex::kTop;
    for (std::size_t i = 1; i < path.size(); ++i) {
      at = index_->child(at, path[i]);
      if (at == ArrayIndex::kTop) return std::nullopt;
    }
    return at;
  }

  std::size_t existing(const TreePath& path) const {
    const auto found = entry(path);
    if (!found) throw Error(Errc::not_found, to_string(path) + ": no such array");
    return *found;
  }

  /// The directory that a path is in.
  std::size_t above(const TreePath& path) const {
    const TreePath parent(path.begin(), path.end() - 1);
    const auto found = entry(parent);
    if (!found) throw Error(Errc::not_found, to_string(parent) + ": no such directory");
    if ((*index_)[*found].is_array) throw Error(Errc::not_directory, to_string(parent) + ": not a directory");
    return *found;
  }

  const ArrayIndex& index() const { return *index_; }

  /// The keys of an entry below `from` when that has moved.
  Keys moved(std::size_t below, const Keys& from, const Keys& to) const {
    Keys keys = to;
    const Keys now = index_->keys(below);
    keys.insert(keys.end(), now.begin() + static_cast<std::ptrdiff_t>(from.size()), now.end());
    return keys;
  }

  void write(const Op& op) {
    const std::string place = to_string(op.path);
    const std::size_t directory = above(op.path);
    const auto old = entry(op.path);
    if (old && !(*index_)[*old].is_array) throw Error(Errc::is_directory, place + ": is a directory");
    const npy::Header header = npy::parse_header(op.content, place);
    Recipe data = npy::data_in_c_order(op.content, header);
    data.tag = member_tag(data);
    const std::string dtype = npy::dtype_name(header.descr);

    Keys keys = index_->keys(directory);
    keys.push_back(old ? (*index_)[*old].key : key_of_array(op.path.back(), place));
    std::string member;
    if (old) {
      const ArrayIndex::Entry& entry = (*index_)[*old];
      if (is_own(entry.member)) member = entry.member;
      release(entry.member);
      const bool same = entry.problem.empty() && entry.descr == header.descr && entry.shape == header.shape;
      if (member.empty()) member = free_member(keys);
      if (!same || member != entry.member) text_.set(keys, array_literal(member, header.shape, dtype));
    } else {
      member = free_member(keys);
      text_.set(keys, array_literal(member, header.shape, dtype));
    }
    ++used_[member];
    state_.members[member] = edited_content(std::move(data), op);
  }

  void make_dir(const TreePath& path) {
    const std::size_t directory = above(path);
    if (entry(path)) throw Error(Errc::exists, to_string(path) + ": exists");
    Keys keys = index_->keys(directory);
    keys.push_back(key_of_array_directory(path.back(), to_string(path)));
    text_.set(keys, "{}");
  }

  void remove(std::size_t i) {
    for (const std::size_t below : index_->below(i))
      if ((*index_)[below].is_array) drop((*index_)[below].member);
    text_.erase(index_->keys(i));
  }

  /// Moves an entry, with all that is below it, to other keys, where nothing is.
  void move(std::size_t i, const Keys& to) {
    const Keys from = index_->keys(i);
    if (Keys(from.begin(), from.end() - 1) == Keys(to.begin(), to.end() - 1)) {
      text_.rename(from, to.back());
    } else {
      const std::string literal = text_.literal(from);
      text_.erase(from);
      text_.set(to, literal);
    }
    for (const std::size_t below : index_->below(i)) {
      const ArrayIndex::Entry& entry = (*index_)[below];
      if (!entry.is_array || entry.problem.size() > 0 || !is_own(entry.member)) continue;
      const std::optional<Content> data = content_of(entry.member);
      if (!data) continue;
      const Keys keys = moved(below, from, to);
      drop(entry.member);
      const std::string member = free_member(keys);
      ++used_[member];
      state_.members[member] = data;
      text_.set_member(keys, member);
    }
  }

  /// The state after it. @param directories  that were changed, as keys
  State finish(const Op& op, const std::vector<Keys>& directories) {
    State next = state_;
    auto document = std::make_shared<const Document>(text_.text(), "metadata.json", op.mtime.value_or(std::timespec{}), true);
    next.metadata = std::make_shared<const Metadata>(state_.metadata->member(), std::move(document), op);
    const Ptr<ArrayIndex> now = next.metadata->index();
    for (const Keys& keys : directories) {
      std::size_t at = ArrayIndex::kTop;
      for (const std::string& key : keys) {
        at = now->child(at, array_directory_name(key).text);
        if (at == ArrayIndex::kTop) throw Error(Errc::rejected, refusal(keys));
      }
    }
    if (!next.exists) {
      next.touched.insert(op.path);
      if (!op.to.empty()) next.touched.insert(op.to);
      if (now->size() == 1) next.touched.clear();
    }
    return next;
  }

 private:
  static std::string refusal(const Keys& keys) {
    std::string name = "arrays";
    for (const std::string& key : keys) name += "/" + file_name_of(key).text;
    if (keys.size() >= kMaxArrayDepth)
      return name + ": directories of arrays can be " + std::to_string(kMaxArrayDepth - 1) + " deep";
    return name + ": anemoi takes a directory of path, shape and dtype, and nothing else, for an array";
  }

  bool is_own(const std::string& member) const {
    const auto found = used_.find(member);
    return found != used_.end() && found->second == 1 && is_own_member(state_, member);
  }
  void release(const std::string& member) {
    const auto found = used_.find(member);
    if (found != used_.end() && --found->second == 0) used_.erase(found);
  }
  void drop(const std::string& member) {
    if (is_own(member)) drop_member(state_, member);
    release(member);
  }

  /// What a member has, or is going to have; nothing when it is not there.
  std::optional<Content> content_of(const std::string& member) const {
    const auto edited = state_.members.find(member);
    if (edited != state_.members.end()) return edited->second;
    const zip::Directory& zip = state_.archive->zip();
    const zip::Member* stored = zip.find(member);
    if (!stored) return std::nullopt;
    return Content{member_content(zip, *stored), zip.mtime(*stored), true};
  }

  /// The folder of the metadata, with its '/'.
  std::string folder() const {
    if (!state_.exists) return state_.archive->new_folder() + "/";
    const std::string& member = state_.metadata->member();
    return member.substr(0, member.rfind('/') + 1);
  }

  bool is_free(const std::string& member) const {
    if (used_.count(member) || member == state_.metadata->member()) return false;
    // A member that no entry of the index leads to is what a removed document left: its place is taken.
    if (state_.members.count(member) || state_.archive->zip().find(member)) return true;
    if (state_.archive->has_but_for_case(member)) return false;
    return std::none_of(state_.members.begin(), state_.members.end(), [&](const auto& other) {
      return other.second && equal_but_for_case(other.first, member);
    });
  }
  static bool equal_but_for_case(const std::string& one, const std::string& two) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
    return one.size() == two.size() &&
           std::equal(one.begin(), one.end(), two.begin(), [&](char a, char b) { return lower(a) == lower(b); });
  }

  /// A member for a new array: folder/key.numpy, as anemoi would call it, or with a number where that is taken.
  std::string free_member(const Keys& keys) const {
    std::string base = folder();
    for (std::size_t k = 0; k < keys.size(); ++k) base += (k > 0 ? "/" : "") + part_of(keys[k]);
    std::string member = base + std::string(kSuffix);
    for (std::size_t n = 2; !is_free(member); ++n) member = base + "_" + std::to_string(n) + std::string(kSuffix);
    return member;
  }

  State state_;
  IndexText text_;
  const Ptr<ArrayIndex> index_;
  std::map<std::string, std::size_t> used_;
};

bool is_below_arrays(const TreePath& path) { return path.size() >= 2 && path.front() == "arrays"; }

Keys keys_above(const Edit& edit, const TreePath& path) { return edit.index().keys(edit.above(path)); }

State remove(Edit edit, const Op& op) {
  const std::size_t i = edit.existing(op.path);
  if (op.kind == Op::Kind::remove && !edit.index()[i].children.empty())
    throw Error(Errc::not_empty, to_string(op.path) + ": not empty");
  edit.remove(i);
  return edit.finish(op, {keys_above(edit, op.path)});
}

State rename(const State& state, const Op& op) {
  Edit edit(state);
  const std::string place = to_string(op.to);
  const std::size_t from = edit.existing(op.path);
  const bool is_array = edit.index()[from].is_array;
  Keys to = keys_above(edit, op.to);
  if (const auto there = edit.entry(op.to)) {
    if (*there == from) return state;
    const ArrayIndex::Entry& entry = edit.index()[*there];
    if (is_array && !entry.is_array) throw Error(Errc::is_directory, place + ": is a directory");
    if (!is_array && entry.is_array) throw Error(Errc::not_directory, place + ": is not a directory");
    if (!entry.children.empty()) throw Error(Errc::not_empty, place + ": not empty");
    to.push_back(entry.key);
    edit.remove(*there);
  } else {
    to.push_back(is_array ? key_of_array(op.to.back(), place) : key_of_array_directory(op.to.back(), place));
  }
  edit.move(from, to);
  std::vector<Keys> directories{keys_above(edit, op.path), Keys(to.begin(), to.end() - 1)};
  for (const std::size_t below : edit.index().below(from))
    if (!edit.index()[below].is_array) directories.push_back(edit.moved(below, edit.index().keys(from), to));
  return edit.finish(op, directories);
}

/// Three moves by way of a key that nobody has.
State exchange(const State& state, const Op& op) {
  const auto step = [](const State& now, const Op& whole, const TreePath& from, const Keys& to) {
    Edit edit(now);
    edit.move(edit.existing(from), to);
    return edit.finish(whole, {});
  };
  const Edit before(state);
  const std::size_t one = before.existing(op.path), two = before.existing(op.to);
  if (one == two) return state;
  const bool arrays = before.index()[one].is_array;
  if (arrays != before.index()[two].is_array)
    throw Error(Errc::rejected, to_string(op.path) + ": an array and a directory cannot be exchanged, for their names differ");
  const Keys first = before.index().keys(one), second = before.index().keys(two);
  Keys between(first.begin(), first.end() - 1);
  TreePath between_path(op.path.begin(), op.path.end() - 1);
  between.push_back("ckptree exchange");
  while (std::any_of(before.index()[before.above(op.path)].children.begin(), before.index()[before.above(op.path)].children.end(),
                     [&](std::size_t i) { return before.index()[i].key == between.back(); }))
    between.back() += "+";
  between_path.push_back((arrays ? array_file_name(between.back()) : array_directory_name(between.back())).text);
  State next = step(state, op, op.path, between);
  next = step(next, op, op.to, first);
  return step(next, op, between_path, second);
}

bool is_inside(const TreePath& outer, const TreePath& inner) {
  return inner.size() > outer.size() && std::equal(outer.begin(), outer.end(), inner.begin());
}

}  // namespace

bool is_own_member(const State& state, const std::string& member) {
  // What anemoi wrote as an array; never a record of torch, whatever the index says.
  const std::string folder = state.exists ? state.metadata->member() : state.archive->new_folder() + "/";
  const std::string top = folder.substr(0, folder.find('/') + 1);
  if (!ends_with(member, kSuffix) || member.compare(0, top.size(), top) != 0) return false;
  const std::string storages = top + "data/";
  if (member.compare(0, storages.size(), storages) == 0) return false;
  for (std::size_t at = 0; at <= member.size();) {
    const std::size_t slash = std::min(member.find('/', at), member.size());
    const std::string part = member.substr(at, slash - at);
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string::npos) return false;
    at = slash + 1;
  }
  return true;
}

void drop_member(State& state, const std::string& member) {
  // Without a document nothing is stored yet: what waited there is forgotten, what was there before stays.
  if (state.exists && state.archive->zip().find(member)) state.members[member] = std::nullopt;
  else state.members.erase(member);
}

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
  Edit edit(state);
  switch (op.kind) {
    case Op::Kind::write:
      edit.write(op);
      return edit.finish(op, {keys_above(edit, op.path)});
    case Op::Kind::make_dir: {
      edit.make_dir(op.path);
      Keys made = keys_above(edit, op.path);
      made.push_back(key_of_array_directory(op.path.back(), place));
      return edit.finish(op, {made});
    }
    case Op::Kind::remove:
    case Op::Kind::remove_tree: return remove(std::move(edit), op);
    case Op::Kind::rename: return rename(state, op);
    case Op::Kind::exchange: return exchange(state, op);
  }
  return state;
}

}  // namespace ckptree::torch
