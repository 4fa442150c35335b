#pragma once

#include <string>

#include "codec/pickle/pickle.hpp"

/// Scalars of a pickle as text, and keys of dicts as Python spells them.
namespace ckptree::torch {

/// repr of a complex from those of its parts: "(1+2j)", "2j".
std::string repr_of_complex(const std::string& real, const std::string& imaginary);

/// The JSON literal of None, a bool, int, float or str, as Python's json.dumps writes it; empty for anything else.
/// @throws Error Errc::too_large for an integer of more than pickle::kMaxDigits digits
std::string json_of(const pickle::Graph& graph, pickle::Id id);

/// A key that is no string: `0`, `None`, `(1, 'a')`, `b'x'`; `<torch.float32>`, `<nan>` for what has no literal. Cut
/// when it is longer than any key people use.
std::string literal_of(const pickle::Graph& graph, pickle::Id id);
/// Whether a string could be taken for one of those.
bool reads_like_literal(Bytes text);

}  // namespace ckptree::torch
