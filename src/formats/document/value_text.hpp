#pragma once

#include <optional>
#include <string>

#include "formats/document/index.hpp"

namespace ckptree {

/// The index a name of a list's entry stands for; nothing for a name that is none, such as "01".
std::optional<std::size_t> index_of(Bytes name) noexcept;

/// "string", "number", "boolean", "null", "list"; "" for a directory. @see Node::type
const char* type_name(Shape shape) noexcept;

/// What a file of a value holds, with its final newline.
std::string text_of_value(Bytes value, Shape shape);

/// A JSON value, trimmed, and how it is shown.
struct Value {
  std::string json;
  Shape shape = Shape::null;
};

/// What a text becomes where no value is yet, or null: the JSON literal it is, else a string.
/// @param place  of the value, for errors
/// @throws Error Errc::incomplete for an empty text, Errc::rejected for what is neither JSON nor UTF-8
Value new_value(Bytes text, const std::string& place);

/// What a text becomes in place of a value; it keeps its type (null may become anything).
/// @throws Error Errc::rejected for a text that is not of the type; Errc::incomplete for one that ends too early: an
///         empty one, a list
Value replaced_value(Bytes old, Shape shape, Bytes text, const std::string& place);

}  // namespace ckptree
