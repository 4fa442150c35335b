#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/recipe.hpp"
#include "codec/pickle/pickle.hpp"

/// NumPy's arrays and scalars, and bytes, as pickles spell them.
namespace ckptree::torch {

/// Bytes of an object: Kind::bytes, Kind::bytearray, and what protocols 0 to 2 write instead, a call that makes them of
/// text in Latin-1.
struct PickledBytes {
  pickle::Id id = pickle::kNone;  // kNone: none at all
  bool latin1 = false;            // the text of `id` has a character for each byte
};
std::optional<PickledBytes> bytes_of(const pickle::Graph& graph, pickle::Id id);
/// @throws Error Errc::corrupt for text that is not Latin-1
std::string text_of(const pickle::Graph& graph, const PickledBytes& bytes);
/// As a content; the bytes are not copied. @param graph  kept by the content
Recipe content_of(const pickle::Graph& graph, const PickledBytes& bytes);

/// An array of plain elements: no objects, no fields, which no .npy file can hold without a pickle or so.
struct NumpyArray {
  std::string descr;  // as .npy files spell it
  std::vector<std::uint64_t> shape;
  bool fortran_order = false;
  PickledBytes data;
};
std::optional<NumpyArray> array_of(const pickle::Graph& graph, pickle::Id id);
/// As a .npy file. @throws Error Errc::corrupt with `place` when the data is not as long as the shape says
Recipe content_of(const pickle::Graph& graph, const NumpyArray& array, const std::string& place);

/// A NumPy bool, number or string.
struct NumpyScalar {
  std::string json;  // empty for a complex number
  std::string text;  // the same without quotes
};
std::optional<NumpyScalar> numpy_scalar(const pickle::Graph& graph, pickle::Id id);

}  // namespace ckptree::torch
