#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codec/pickle/pickle.hpp"
#include "formats/torch/dtype.hpp"

namespace ckptree::torch {

/// A storage that a pickle refers to: ('storage', class, key, location, numel).
struct StorageInfo {
  Bytes key;       // of its member, data/KEY
  Bytes location;  // "cpu", "cuda:0"
  const Dtype* dtype = nullptr;
  std::uint64_t numel = 0;  // elements of that type

  std::uint64_t bytes() const noexcept { return numel * dtype->bytes(); }  // below 2^63
};

struct TensorPart;

/// A tensor as the pickle describes it, before anything of it is looked up in the archive. Views of text live as long
/// as the graph.
struct TensorInfo {
  /// What is wrong with it, in a sentence without a place; the rest is then as far as it was read.
  std::string problem;
  /// What it is made by, where that is a function whose results are not known: nothing else is told then.
  std::string unknown;

  Bytes layout = "strided";  // as torch calls it; of a nested tensor "nested"
  const Dtype* dtype = nullptr;
  std::vector<std::uint64_t> shape, stride;  // elements; of other layouts than strided no stride
  std::uint64_t offset = 0;                  // elements
  std::optional<StorageInfo> storage;        // none: the values are in the parts, or nowhere (meta)
  Bytes device;
  bool requires_grad = false;
  bool conj = false, neg = false;  // of the values that are stored the conjugates are meant, the negatives

  std::string type;       // "module.Name" of a subclass, other than a parameter
  std::string quantizer;  // of a quantised one: "per_tensor_affine"
  double scale = 0;       // per tensor
  std::int64_t zero_point = 0, axis = 0;
  bool coalesced = false;  // sparse_coo
  std::vector<TensorPart> parts;

  bool is_meta() const noexcept { return parts.empty() && !storage; }
  /// numel() * itemsize, as torch's nbytes; of parts the sum of theirs. Nothing when 63 bits cannot hold it.
  std::optional<std::uint64_t> nbytes() const;
};

/// A tensor that is part of another: indices, values, scales.
struct TensorPart {
  const char* name;
  TensorInfo tensor;
};

/// @param id  a call of one of torch's functions that rebuild tensors, or whatever stands where a tensor should
TensorInfo describe(const pickle::Graph& graph, pickle::Id id);

/// The storage of a persistent id. @throws Error Errc::corrupt with a sentence without a place
StorageInfo describe_storage(const pickle::Graph& graph, pickle::Id id);

}  // namespace ckptree::torch
