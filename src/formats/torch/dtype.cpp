#include "formats/torch/dtype.hpp"

#include <algorithm>
#include <iterator>

namespace ckptree::torch {
namespace {

const Dtype kDtypes[] = {
    {"float32", "FloatStorage", 'f', 4},
    {"bfloat16", "BFloat16Storage", 'V', 2},
    {"float16", "HalfStorage", 'f', 2},
    {"float64", "DoubleStorage", 'f', 8},
    {"int64", "LongStorage", 'i', 8},
    {"int32", "IntStorage", 'i', 4},
    {"int16", "ShortStorage", 'i', 2},
    {"int8", "CharStorage", 'i', 1},
    {"uint8", "ByteStorage", 'u', 1},
    {"bool", "BoolStorage", 'b', 1},
    {"complex64", "ComplexFloatStorage", 'c', 8},
    {"complex128", "ComplexDoubleStorage", 'c', 16},
    {"qint8", "QInt8Storage", 'i', 1},
    {"quint8", "QUInt8Storage", 'u', 1},
    {"qint32", "QInt32Storage", 'i', 4},
    {"quint4x2", "QUInt4x2Storage", 'u', 1, 1, true},
    {"quint2x4", "QUInt2x4Storage", 'u', 1, 1, true},
    {"complex32", {}, 'f', 2, 2},
    {"uint16", {}, 'u', 2},
    {"uint32", {}, 'u', 4},
    {"uint64", {}, 'u', 8},
    {"float8_e4m3fn", {}, 'V', 1},
    {"float8_e5m2", {}, 'V', 1},
    {"float8_e4m3fnuz", {}, 'V', 1},
    {"float8_e5m2fnuz", {}, 'V', 1},
    {"float8_e8m0fnu", {}, 'V', 1},
    {"float4_e2m1fn_x2", {}, 'u', 1},
    {"bits8", {}, 'V', 1},
    {"bits16", {}, 'V', 2},
    {"bits1x8", {}, 'V', 1},
    {"bits2x4", {}, 'V', 1},
    {"bits4x2", {}, 'V', 1},
};

template <class Is>
const Dtype* first(const Is& is) noexcept {
  const auto* found = std::find_if(std::begin(kDtypes), std::end(kDtypes), is);
  return found == std::end(kDtypes) ? nullptr : found;
}

}  // namespace

const Dtype* dtype_named(Bytes name) noexcept {
  return first([name](const Dtype& d) { return d.name == name; });
}

const Dtype* dtype_of_storage(Bytes class_name) noexcept {
  return first([class_name](const Dtype& d) { return !d.storage.empty() && d.storage == class_name; });
}

}  // namespace ckptree::torch
