#pragma once

#include <cstdint>

#include "ckptree/bytes.hpp"

namespace ckptree::torch {

/// A type of elements, as torch calls it.
struct Dtype {
  Bytes name;              // "bfloat16"
  Bytes storage;           // its storage class; empty for those that are bytes with the type beside them
  char kind = 'V';         // as NumPy has it: one of "biufcV"
  std::uint8_t size = 1;   // bytes of an element, as NumPy has it
  std::uint8_t pairs = 1;  // elements that make one of torch's: 2 of complex32, which NumPy does not have
  bool packed = false;     // several of torch's share a byte, and their shape counts each

  std::uint64_t bytes() const noexcept { return std::uint64_t(size) * pairs; }
};

/// By its name, "float32"; null when torch has none that can be saved.
const Dtype* dtype_named(Bytes name) noexcept;
/// By the name of its storage class, "FloatStorage"; that of plain bytes is uint8.
const Dtype* dtype_of_storage(Bytes class_name) noexcept;

}  // namespace ckptree::torch
