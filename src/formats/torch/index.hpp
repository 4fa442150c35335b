#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ckptree/bytes.hpp"
#include "ckptree/name.hpp"

namespace ckptree::torch {

/// The key of the metadata document below which anemoi keeps what it knows about the supporting arrays.
constexpr char kIndexKey[] = "supporting_arrays_paths";
// Directories of arrays in one another. anemoi writes one level (a data set), and reads as deep as Python's stack goes.
constexpr std::size_t kMaxArrayDepth = 32;

using Keys = std::vector<std::string>;

/// The index of the supporting arrays: {name: {path, shape, dtype}}, nested. As anemoi reads it: an object with exactly
/// these three keys is an array, any other a directory.
class ArrayIndex {
 public:
  struct Entry {
    std::string key;   // in the document
    std::string name;  // in the tree, with ".npy"
    std::size_t parent = 0;
    std::vector<std::size_t> children;  // of a directory, in the document's order
    bool is_array = false;
    // Of an array:
    std::string member;  // its path in the archive
    std::string dtype;   // as it is stored
    std::string descr;   // as .npy files spell it
    std::vector<std::uint64_t> shape;
    std::string problem;  // why it cannot be read; empty when it can, as far as the index tells
    std::string text;     // the literal, when there is a problem
  };

  /// @param document  a valid JSON text
  /// @throws Error Errc::corrupt when the document, or the index in it, is no object
  explicit ArrayIndex(Bytes document);

  const Entry& operator[](std::size_t i) const { return entries_[i]; }
  static constexpr std::size_t kTop = 0;
  std::size_t size() const noexcept { return entries_.size(); }

  /// The entry of this name in a directory; kTop when there is none.
  std::size_t child(std::size_t directory, const std::string& name) const;
  Keys keys(std::size_t i) const;
  /// "a/b" as the tree spells it, without ".npy".
  std::string title(std::size_t i) const;
  /// `i` and all entries below it, directories before what is in them.
  std::vector<std::size_t> below(std::size_t i) const;
  /// How many arrays refer to each member.
  std::map<std::string, std::size_t> references() const;

  /// Whether both say the same, in whatever order and spacing.
  bool operator==(const ArrayIndex& other) const;

 private:
  std::map<Keys, std::string> meaning() const;

  std::vector<Entry> entries_;
  std::map<std::pair<std::size_t, std::string>, std::size_t> by_name_;
};

/// Names of an array and of a directory of arrays for a key; and the key for a name that a user gives.
FileName array_file_name(const std::string& key);
FileName array_directory_name(const std::string& key);
/// @throws Error Errc::rejected with `place` when the name is not how such a key is spelled
std::string key_of_array(const std::string& name, const std::string& place);
std::string key_of_array_directory(const std::string& name, const std::string& place);
bool is_array_file_name(Bytes name);

/// Edits of the index in the text of a document: the bytes of one entry change, everything else stays.
class IndexText {
 public:
  explicit IndexText(std::string document) : text_(std::move(document)) {}

  const std::string& text() const noexcept { return text_; }
  bool has_index() const;
  /// Sets an entry to a literal: replaces it where it is, or adds it as the last of its directory, which must be there.
  /// No keys: the index as a whole.
  void set(const Keys& keys, const std::string& literal);
  /// Sets the `path` of an array.
  void set_member(const Keys& keys, const std::string& member);
  void erase(const Keys& keys);
  void rename(const Keys& keys, const std::string& key);
  std::string literal(const Keys& keys) const;

 private:
  std::string text_;
};

/// An entry as anemoi writes it: {"path": "...", "shape": [8, 3], "dtype": "float32"}.
std::string array_literal(const std::string& member, const std::vector<std::uint64_t>& shape, const std::string& dtype);

}  // namespace ckptree::torch
