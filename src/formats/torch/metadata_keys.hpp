#pragma once

#include <string>

#include "codec/pickle/pickle.hpp"
#include "formats/torch/tensors.hpp"

namespace ckptree::torch {

/// A state dict has, beside its tensors, `_metadata`: what each module says of its version, by the module's prefix.
/// When the last tensor of a prefix is renamed to be below another one, the module has moved: its key there, and those
/// of the modules in it, follow. A key that is there already is left alone, and so is the one that would take its
/// place.
///
/// @param i    the tensor that is renamed; `tensors` has its name before
/// @param key  its new name
void follow_prefixes(const pickle::Graph& graph, pickle::Editor& edit, const Tensors& tensors, Tensors::Index i,
                     const std::string& key);

}  // namespace ckptree::torch
