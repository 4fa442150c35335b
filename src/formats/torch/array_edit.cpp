#include "formats/torch/array_edit.hpp"

#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"

namespace ckptree::torch {
namespace {

constexpr Bytes kSuffix = ".numpy";
// Longer names are cut by some of the tools that unpack zips.
constexpr std::size_t kMaxPart = 200;

bool ends_with(Bytes text, Bytes end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool is_plain(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; }

/// A key as part of a member's name: itself, as anemoi writes it, where that is a good file name.
std::string part_of(const std::string& key) {
  const bool good = !key.empty() && key.size() <= kMaxPart && key != "." && key != ".." &&
                    key.find_first_of("/\\") == std::string::npos && std::all_of(key.begin(), key.end(), is_plain);
  if (good && file_name_of(key).text.find("%ED") == std::string::npos) return key;
  std::string text = file_name_of(key).text;
  if (text.size() > kMaxPart) {
    text.resize(kMaxPart);
    while (!text.empty() && (text.back() & 0x80)) text.pop_back();  // half a character
  }
  std::replace(text.begin(), text.end(), '\\', '_');
  return text;
}

bool equal_but_for_case(const std::string& one, const std::string& two) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
  return one.size() == two.size() &&
         std::equal(one.begin(), one.end(), two.begin(), [&](char a, char b) { return lower(a) == lower(b); });
}

std::string refusal(const Keys& keys) {
  std::string name = "arrays";
  for (const std::string& key : keys) name += "/" + file_name_of(key).text;
  if (keys.size() >= kMaxArrayDepth)
    return name + ": directories of arrays can be " + std::to_string(kMaxArrayDepth - 1) + " deep";
  return name + ": anemoi takes a directory of path, shape and dtype, and nothing else, for an array";
}

}  // namespace

Keys moved_keys(const Keys& keys, const Keys& from, const Keys& to) {
  Keys moved = to;
  moved.insert(moved.end(), keys.begin() + static_cast<std::ptrdiff_t>(from.size()), keys.end());
  return moved;
}

ArrayEdit::ArrayEdit(const State& state)
    : state_(state),
      text_(state.metadata->document()->text()),
      index_(state.metadata->index()),
      used_(index_->references()) {}

std::optional<std::size_t> ArrayEdit::entry(const TreePath& path) const {
  std::size_t at = ArrayIndex::kTop;
  for (std::size_t i = 1; i < path.size(); ++i) {
    at = index_->child(at, path[i]);
    if (at == ArrayIndex::kTop) return std::nullopt;
  }
  return at;
}

std::size_t ArrayEdit::existing(const TreePath& path) const {
  const auto found = entry(path);
  if (!found) throw Error(Errc::not_found, to_string(path) + ": no such array");
  return *found;
}

std::size_t ArrayEdit::above(const TreePath& path) const {
  const TreePath parent(path.begin(), path.end() - 1);
  const auto found = entry(parent);
  if (!found) throw Error(Errc::not_found, to_string(parent) + ": no such directory");
  if ((*index_)[*found].is_array) throw Error(Errc::not_directory, to_string(parent) + ": not a directory");
  return *found;
}

Keys ArrayEdit::new_keys(const TreePath& path, bool is_array) const {
  const std::string place = to_string(path);
  const std::size_t directory = above(path);
  const std::string key = is_array ? key_of_array(path.back(), place) : key_of_array_directory(path.back(), place);
  // "lat.npy" and a directory "lat" are two names, and one key.
  const std::string other = (is_array ? array_directory_name(key) : array_file_name(key)).text;
  if (index_->child(directory, other) != ArrayIndex::kTop)
    throw Error(Errc::exists, place + ": '" + other + "' beside it has that key in the metadata already");
  Keys keys = index_->keys(directory);
  keys.push_back(key);
  return keys;
}

void ArrayEdit::write(const Op& op) {
  const std::string place = to_string(op.path);
  const auto old = entry(op.path);
  if (old && !(*index_)[*old].is_array) throw Error(Errc::is_directory, place + ": is a directory");
  const npy::Header header = npy::parse_header(op.content, place);
  Recipe data = npy::data_in_c_order(op.content, header);
  data.tag = member_tag(data);
  const std::string dtype = npy::dtype_name(header.descr);

  const Keys keys = old ? index_->keys(*old) : new_keys(op.path, true);
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

void ArrayEdit::make_dir(const TreePath& path) {
  if (entry(path)) throw Error(Errc::exists, to_string(path) + ": exists");
  text_.set(new_keys(path, false), "{}");
}

void ArrayEdit::remove(std::size_t i) {
  for (const std::size_t below : index_->below(i))
    if ((*index_)[below].is_array) drop((*index_)[below].member);
  text_.erase(index_->keys(i));
}

void ArrayEdit::move(std::size_t i, const Keys& to) {
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
    const Keys keys = moved_keys(index_->keys(below), from, to);
    drop(entry.member);
    const std::string member = free_member(keys);
    ++used_[member];
    state_.members[member] = data;
    text_.set_member(keys, member);
  }
}

State ArrayEdit::finish(const Op& op, const std::vector<Keys>& directories) {
  State next = state_;
  auto document =
      std::make_shared<const Document>(text_.text(), "metadata.json", op.mtime.value_or(std::timespec{}), true);
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

bool ArrayEdit::is_own(const std::string& member) const {
  const auto found = used_.find(member);
  return found != used_.end() && found->second == 1 && is_own_member(state_, member);
}

void ArrayEdit::release(const std::string& member) {
  const auto found = used_.find(member);
  if (found != used_.end() && --found->second == 0) used_.erase(found);
}

void ArrayEdit::drop(const std::string& member) {
  if (is_own(member)) drop_member(state_, member);
  release(member);
}

/// What a member has, or is going to have; nothing when it is not there. @throws Error Errc::corrupt when its bytes
/// are not those it was stored with: a new CRC would cover that up
std::optional<Content> ArrayEdit::content_of(const std::string& member) const {
  const auto edited = state_.members.find(member);
  if (edited != state_.members.end()) return edited->second;
  const zip::Directory& zip = state_.archive->zip();
  const zip::Member* stored = zip.find(member);
  if (!stored) return std::nullopt;
  Recipe content = zip.content(*stored);
  const std::string found = member_tag(content);
  if (stored->crc != 0 && found != content.tag)
    throw Error(Errc::corrupt,
                state_.archive->name() + ": member '" + member + "' is damaged: its bytes do not have its CRC");
  content.tag = found;
  return Content{std::move(content), zip.mtime(*stored), true};
}

/// The folder of the metadata, with its '/'.
std::string ArrayEdit::folder() const {
  if (!state_.exists) return state_.archive->new_folder() + "/";
  const std::string& member = state_.metadata->member();
  return member.substr(0, member.rfind('/') + 1);
}

bool ArrayEdit::is_free(const std::string& member) const {
  if (used_.count(member) || member == state_.metadata->member()) return false;
  // A member that no entry of the index leads to is what a removed document left: its place is taken.
  if (state_.members.count(member) || state_.archive->zip().find(member)) return true;
  if (state_.archive->has_but_for_case(member)) return false;
  return std::none_of(state_.members.begin(), state_.members.end(),
                      [&](const auto& other) { return other.second && equal_but_for_case(other.first, member); });
}

/// A member for a new array: folder/key.numpy, as anemoi would call it, or with a number where that is taken.
std::string ArrayEdit::free_member(const Keys& keys) const {
  std::string base = folder();
  // Beside data.pkl, "data" is the folder of the storages.
  const bool at_top = std::count(base.begin(), base.end(), '/') == 1;
  for (std::size_t k = 0; k < keys.size(); ++k)
    base +=
        (k > 0 ? "/" : "") + part_of(keys[k]) + (at_top && k == 0 && equal_but_for_case(keys[k], "data") ? "_" : "");
  std::string member = base + std::string(kSuffix);
  for (std::size_t n = 2; !is_free(member); ++n) member = base + "_" + std::to_string(n) + std::string(kSuffix);
  return member;
}

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

}  // namespace ckptree::torch
