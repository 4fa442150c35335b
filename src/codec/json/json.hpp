#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ckptree/bytes.hpp"

/// JSON as Python's json module reads and writes it: NaN, Infinity, -Infinity, integers of any size, duplicate keys and
/// escapes of lone surrogates are legal. Text stays text: nothing here makes a tree of values, and an edit replaces the
/// bytes of one value.
namespace ckptree::json {

/// Deeper documents are refused: Python's own json module stops near 1,000 as well.
constexpr std::size_t kMaxDepth = 1000;

enum class Type { object, array, string, number, boolean, null };

/// Half-open range of bytes of a document.
struct Extent {
  std::size_t begin = 0, end = 0;
  std::size_t size() const noexcept { return end - begin; }
};

/// One entry of an object or an array.
struct Member {
  Extent key;    // with its quotes; empty in an array
  Extent value;  // without the white space around it
  Type type = Type::null;
  bool nested = false;  // a container with another one in it
};

/// Checks the whole document; one value, white space around it, nothing else. simdjson first, then, for what only
/// Python accepts and for the place of an error, a scanner of our own. Iterative: depth costs no stack.
/// @throws Error Errc::rejected "PLACE:LINE:COLUMN: expected ..., got ..." (columns count characters, from 1);
///         Errc::incomplete with the same text when the document ends too early; a byte order mark and invalid UTF-8
///         are told as such
void validate(Bytes text, const std::string& place);

/// The value of a valid document, without the white space around it.
Extent root(Bytes text);
Type type_at(Bytes text, Extent value);
/// Walks the entries of a container of a valid document, in order, duplicates included; a scalar has none. One pass
/// over the container's bytes. The caller keeps the text alive.
class Walk {
 public:
  Walk(Bytes text, Extent container) noexcept;
  /// Sets `member` to the next entry; false when there is none, then `member` stays.
  bool next(Member& member) noexcept;

 private:
  Bytes text_;
  std::size_t at_;
  bool object_ = false;
};

/// All of them at once.
std::vector<Member> members(Bytes text, Extent container);

/// The text a string literal (with its quotes) of a valid document stands for, as UTF-8; lone surrogates as their three
/// bytes (WTF-8).
std::string unescape(Bytes literal);
/// Whether it holds escapes of lone surrogates, which no UTF-8 text can spell.
bool has_lone_surrogate(Bytes literal);
/// A string literal as json.dumps writes it (ensure_ascii). WTF-8 surrogates become escapes again.
/// @throws Error Errc::rejected for bytes that are not UTF-8, naming the first
std::string quote(Bytes text);

/// RFC 6901's idea on a list of keys: the value at `path`; of duplicate keys the last, as Python does; nothing when
/// there is none.
std::optional<Extent> locate(Bytes text, const std::vector<std::string>& path);

/// The document with other bytes in place of `at`.
std::string splice(Bytes text, Extent at, Bytes replacement);
/// The document with a new last entry in a container, in the spacing of its neighbours. `key` is a literal, ignored in
/// arrays.
std::string append(Bytes text, Extent container, Bytes key, Bytes value);
/// The document without entry `index` of a container, and without the comma that belonged to it.
std::string remove(Bytes text, Extent container, std::size_t index);

}  // namespace ckptree::json
