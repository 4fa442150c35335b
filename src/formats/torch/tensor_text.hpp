#pragma once

#include <string>
#include <vector>

#include "formats/torch/tensor_info.hpp"

namespace ckptree::torch {

/// A tensor for tensors/NAME and tensors.tsv.
struct TensorText {
  std::string name;
  std::vector<std::string> shared_with;
  bool more_shared = false;  // than are listed
};

/// One line of JSON with a final newline: name shape dtype stride offset storage device requires_grad nbytes
/// shared_with layout, then what is special about it. A tensor of an unknown make has "unknown" instead of most.
std::string json_of(const TensorInfo& tensor, const TensorText& text);

/// key dtype shape nbytes storage offset stride device requires_grad shared_with; '?' for what is not known.
constexpr char kTensorColumns[] =
    "key\tdtype\tshape\tnbytes\tstorage\toffset\tstride\tdevice\trequires_grad\tshared_with\n";
std::string row_of(const TensorInfo& tensor, const TensorText& text);

}  // namespace ckptree::torch
