#include "formats/torch/tensor_data.hpp"

#include <algorithm>

#include "ckptree/error.hpp"
#include "ckptree/slice.hpp"
#include "codec/npy/gather.hpp"
#include "codec/npy/npy.hpp"
#include "formats/document/table_text.hpp"
#include "formats/torch/storages.hpp"

namespace ckptree::torch {
namespace {

/// Two bytes each the other way round.
class Swapped final : public Computed {
 public:
  explicit Swapped(Recipe content) : content_(std::move(content)) {}

  void read(std::uint64_t at, Buffer into) const override {
    std::string pairs(kBuffer, '\0');
    for (std::size_t done = 0; done < into.size();) {
      const std::uint64_t from = (at + done) & ~std::uint64_t(1);
      const auto skip = static_cast<std::size_t>(at + done - from);
      const std::size_t n = std::min(into.size() - done, kBuffer - skip);
      const std::size_t whole = (skip + n + 1) & ~std::size_t(1);
      content_.read(from, Buffer(pairs.data(), whole));
      for (std::size_t i = 0; i < n; ++i) into[done + i] = pairs[(skip + i) ^ 1];
      done += n;
    }
  }

 private:
  static constexpr std::size_t kBuffer = 64 << 10;
  const Recipe content_;
};

Recipe swapped(Recipe content) {
  const std::uint64_t size = content.size();
  Recipe recipe;
  recipe.tag = "swapped:" + content.tag;
  const Ptr<Computed> piece = std::make_shared<Swapped>(std::move(content));
  if (size > 0) recipe.pieces.push_back({piece, size});
  return recipe;
}

std::string text_of(const std::vector<std::uint64_t>& shape, const Dtype& dtype) {
  return "shape " + shape_text(shape) + " of " + std::string(dtype.name);
}

/// Elements from the first of the storage to the last of the tensor, that one included.
/// @throws Error Errc::corrupt when 63 bits cannot hold that
std::uint64_t reach(const TensorInfo& t, const std::string& place) {
  constexpr std::uint64_t kMax = INT64_MAX;
  std::uint64_t last = t.offset;  // at most kMax
  for (std::size_t i = 0; i < t.shape.size(); ++i) {
    const std::uint64_t steps = t.shape[i] - 1, stride = t.stride[i];
    if (stride != 0 && steps > (kMax - last) / stride)
      throw Error(Errc::corrupt, place + ": " + text_of(t.shape, *t.dtype) + " with stride " + shape_text(t.stride) +
                                     " at offset " + std::to_string(t.offset) + " ends behind 63 bits");
    last += steps * stride;
  }
  return last + 1;
}

/// Whether elements follow each other in the order of the dimensions given, the slowest first.
template <class Iterator>
bool is_dense(const TensorInfo& t, Iterator begin, Iterator end) {
  std::uint64_t stride = 1;
  while (end != begin) {
    const std::size_t i = *--end;
    if (t.shape[i] == 1) continue;
    if (t.stride[i] != stride) return false;
    stride *= t.shape[i];
  }
  return true;
}

std::string descr_of(const Dtype& dtype, bool big_endian) {
  const char order = dtype.size == 1 || dtype.kind == 'V' ? '|' : big_endian ? '>' : '<';
  return order + (dtype.kind + std::to_string(dtype.size));
}

}  // namespace

bool has_array(const TensorInfo& t) noexcept {
  if (!t.problem.empty()) return true;
  return t.unknown.empty() && t.storage && t.dtype && !t.dtype->packed;
}

Recipe array_of_tensor(const Archive& archive, const TensorInfo& t, bool big_endian, const std::string& place) {
  if (!t.problem.empty()) throw Error(Errc::corrupt, place + ": " + t.problem);
  const auto size = t.nbytes();
  if (!size)
    throw Error(Errc::corrupt, place + ": " + text_of(t.shape, *t.dtype) + " needs more bytes than 63 bits can count");
  const Recipe storage = storage_content(archive, *t.storage, place);
  const std::uint64_t item = t.dtype->bytes();
  const std::uint64_t needed = *size == 0 ? 0 : reach(t, place);
  if (needed > storage.size() / item)
    throw Error(Errc::corrupt, place + ": " + text_of(t.shape, *t.dtype) + " with stride " + shape_text(t.stride) +
                                   " at offset " + std::to_string(t.offset) + " needs " + std::to_string(needed) +
                                   " elements, storage '" + std::string(t.storage->key) + "' has " +
                                   std::to_string(storage.size() / item));

  std::vector<std::size_t> order(t.shape.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const bool in_c_order = is_dense(t, order.begin(), order.end());
  // The parts of a number that NumPy does not have are a dimension of their own, the fastest.
  const bool in_fortran_order = !in_c_order && t.dtype->pairs == 1 && is_dense(t, order.rbegin(), order.rend());

  Recipe data;
  if (*size == 0) {
    data.tag = "empty";
  } else if (in_c_order || in_fortran_order) {
    data = slice(storage, t.offset * item, *size);
  } else {
    npy::Strided array;
    array.shape = t.shape;
    array.offset = t.offset * item;
    for (std::size_t i = 0; i < t.shape.size(); ++i) array.strides.push_back(t.shape[i] == 1 ? 0 : t.stride[i] * item);
    data = npy::gather(storage, array, item);
  }
  if (big_endian && t.dtype->kind == 'V' && t.dtype->size == 2) data = swapped(std::move(data));

  std::vector<std::uint64_t> shape = t.shape;
  if (t.dtype->pairs > 1) shape.push_back(t.dtype->pairs);
  std::string header = npy::make_header(descr_of(*t.dtype, big_endian), shape, in_fortran_order);
  data.tag = tag_of(header) + "+" + data.tag;
  const std::uint64_t length = header.size();
  data.pieces.insert(data.pieces.begin(), {std::move(header), length});
  return data;
}

}  // namespace ckptree::torch
