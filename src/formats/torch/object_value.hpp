#pragma once

#include <string>

#include "codec/pickle/pickle.hpp"
#include "formats/document/value_text.hpp"
#include "formats/torch/object_view.hpp"

/// Scalars and lists of scalars below object/ as text, and back.
namespace ckptree::torch {

/// @throws Error Errc::too_large for an integer with more digits than are written
std::string text_of_scalar(const pickle::Graph& graph, pickle::Id id);
/// A list, tuple or set of scalars.
std::string text_of_list(const pickle::Graph& graph, pickle::Id id);
/// Node::type; "" for what has none.
std::string type_of(const pickle::Graph& graph, const View& view);

/// A JSON value as new nodes.
pickle::Id make_value(pickle::Editor& edit, Bytes json, const std::string& place);

/// Writes a text in place of a scalar, or of a list of them; each keeps its type.
/// @returns whether anything changed
/// @throws Error as replaced_value; Errc::immutable for what can be shown only
bool write_scalar(pickle::Editor& edit, const View& view, Bytes text, const std::string& place);
bool write_list(pickle::Editor& edit, const View& view, Bytes text, const std::string& place);

}  // namespace ckptree::torch
