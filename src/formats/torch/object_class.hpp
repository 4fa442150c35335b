#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/pickle/pickle.hpp"

/// Classes and functions of a pickle that object/ knows.
namespace ckptree::torch {

/// What a class or function is to the view.
enum class Class : std::uint8_t {
  other,
  dict,        // its entries are all there is to it
  counter,     // called with its dict
  sequence,    // called with its list or tuple
  holder,      // its attributes are all there is to it
  omega_tree,  // DictConfig and ListConfig: `_content`
  omega_leaf,  // AnyNode and so on: `_val`
  reconstructor,
  tensor,
  bytes,
  complex,
  attribute,  // getattr
  numpy_array,
  numpy_scalar,
};

/// What a class or function of this name is.
Class class_named(const pickle::Global& global);
/// The class that it is an instance of, or the function that makes it; kNone for what no call makes.
pickle::Id maker_of(const pickle::Graph& graph, pickle::Id id);
/// What that is, by the name Python 3 knows it under.
Class class_of(const pickle::Graph& graph, pickle::Id id);
/// The n-th argument of a call; kNone when there is none.
pickle::Id argument(const pickle::Graph& graph, pickle::Id call, std::size_t n);

/// Of a list, tuple or set.
inline bool is_sequence(pickle::Kind kind) {
  using pickle::Kind;
  return kind == Kind::list || kind == Kind::tuple || kind == Kind::set || kind == Kind::frozenset;
}

}  // namespace ckptree::torch
