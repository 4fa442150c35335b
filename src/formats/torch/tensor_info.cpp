#include "formats/torch/tensor_info.hpp"

#include <initializer_list>

#include "ckptree/error.hpp"
#include "formats/torch/call_fields.hpp"

namespace ckptree::torch {
namespace {

using pickle::Global;
using pickle::Graph;
using pickle::Id;
using pickle::Kind;
using pickle::kNone;

// A parameter of a subclass with attributes is a call in a call in a call.
constexpr int kMaxWrappers = 8;
constexpr std::uint64_t kMaxCount = INT64_MAX;
constexpr std::uint64_t kMaxItem = 16;  // bytes: complex128

const Dtype* dtype_at(const Graph& graph, Id id) {
  if (!is(graph, id, Kind::global)) expected(graph, "its dtype", "a name", id);
  const Global name = graph.global(id);
  const Dtype* dtype = name.module == "torch" ? dtype_named(name.name) : nullptr;
  if (!dtype) fail("its dtype: " + std::string(name.module) + "." + std::string(name.name) + " is not known");
  return dtype;
}

/// Product of a shape and an element's bytes; nothing over 63 bits.
std::optional<std::uint64_t> bytes_of(const std::vector<std::uint64_t>& shape, std::uint64_t item) {
  for (const std::uint64_t extent : shape)
    if (extent == 0) return 0;
  std::uint64_t size = item;
  for (const std::uint64_t extent : shape) {
    if (extent > kMaxCount / size) return std::nullopt;
    size *= extent;
  }
  return size;
}

/// A function and its arguments.
struct Call {
  Global function;
  Id arguments = kNone;
  std::size_t count = 0;
};

class Reader {
 public:
  Reader(const Graph& graph, TensorInfo& info) : graph_(graph), info_(info) {}

  /// @param whole  whether it may have parts itself
  void read(Id id, bool whole) {
    const Call call = unwrapped(id);
    const Bytes name = call.function.name;
    if (name == "_rebuild_tensor" || name == "_rebuild_tensor_v2") return strided(call, false);
    if (name == "_rebuild_tensor_v3") return strided(call, true);
    if (name == "_rebuild_meta_tensor_no_storage") return meta(call);
    if (whole && name == "_rebuild_qtensor") return quantised(call);
    if (whole && name == "_rebuild_sparse_tensor") return sparse(call);
    if (whole && name == "_rebuild_nested_tensor") return nested(call);
    info_.unknown = std::string(call.function.module) + "." + std::string(name);
  }

 private:
  Id argument(const Call& call, std::size_t i) const {
    if (i >= call.count)
      fail(std::string(call.function.name) + ": has " + std::to_string(call.count) + " arguments, expected more than " +
           std::to_string(i));
    return graph_.child(call.arguments, i);
  }

  Call call_of(Id function, Id arguments) const {
    if (!is(graph_, function, Kind::global)) expected(graph_, "what makes it", "a function", function);
    if (!is(graph_, arguments, Kind::tuple)) expected(graph_, "its arguments", "a tuple", arguments);
    return {graph_.global(function), arguments, graph_.count(arguments)};
  }

  Call call_at(Id id) const {
    if (!is(graph_, id, Kind::reduce)) expected(graph_, "a tensor", "a call", id);
    return call_of(graph_.child(id, 0), graph_.child(id, 1));
  }

  /// The call inside those that only make a parameter or an object of a subclass of its result.
  Call unwrapped(Id id) {
    Call call = call_at(id);
    for (int depth = 0; depth < kMaxWrappers; ++depth) {
      const Bytes name = call.function.name;
      if (name == "_rebuild_parameter" || name == "_rebuild_parameter_with_state") {
        gradient(argument(call, 1));
        call = call_at(argument(call, 0));
      } else if (name == "_rebuild_from_type_v2") {
        subclass(argument(call, 1));
        call = call_of(argument(call, 0), argument(call, 2));
      } else {
        return call;
      }
    }
    fail("it is wrapped more than " + std::to_string(kMaxWrappers) + " times");
  }

  /// The outermost word counts.
  void gradient(Id id) {
    const bool is_required = boolean_at(graph_, id, "requires_grad");
    if (!has_gradient_) info_.requires_grad = is_required;
    has_gradient_ = true;
  }

  void subclass(Id id) {
    if (!is(graph_, id, Kind::global)) expected(graph_, "its type", "a class", id);
    const Global type = graph_.global(id);
    const bool plain = (type.module == "torch" && type.name == "Tensor") ||
                       (type.module == "torch.nn.parameter" && type.name == "Parameter");
    if (!plain && info_.type.empty()) info_.type = std::string(type.module) + "." + std::string(type.name);
  }

  void extents(Id shape, Id stride) {
    info_.shape = counts_at(graph_, shape, "its shape");
    info_.stride = counts_at(graph_, stride, "its stride");
    if (info_.shape.size() != info_.stride.size())
      fail("its shape has " + std::to_string(info_.shape.size()) + " dimensions, its stride " +
           std::to_string(info_.stride.size()));
  }

  /// storage, offset, size, stride
  void stored(const Call& call) {
    info_.storage = describe_storage(graph_, argument(call, 0));
    info_.device = info_.storage->location;
    info_.dtype = info_.storage->dtype;
    info_.offset = count_at(graph_, argument(call, 1), "its offset");
    extents(argument(call, 2), argument(call, 3));
  }

  /// v1: no more. v2: requires_grad, hooks [, metadata]. v3: requires_grad, hooks, dtype [, metadata].
  void strided(const Call& call, bool has_dtype) {
    stored(call);
    if (call.function.name == "_rebuild_tensor") return;
    gradient(argument(call, 4));
    argument(call, 5);
    if (has_dtype) info_.dtype = dtype_at(graph_, argument(call, 6));
    const std::size_t metadata = has_dtype ? 7 : 6;
    if (call.count <= metadata || !is(graph_, argument(call, metadata), Kind::dict)) return;
    const Id flags = argument(call, metadata);
    info_.conj = is_set(flags, "conj");
    info_.neg = is_set(flags, "neg");
  }

  bool is_set(Id dict, Bytes key) const {
    const auto entry = pickle::find(graph_, dict, key);
    return entry && graph_.kind(entry->value) == Kind::boolean && graph_.boolean(entry->value);
  }

  void meta(const Call& call) {
    info_.device = "meta";
    info_.dtype = dtype_at(graph_, argument(call, 0));
    extents(argument(call, 1), argument(call, 2));
    gradient(argument(call, 3));
  }

  /// storage, offset, size, stride, quantizer, requires_grad, hooks
  void quantised(const Call& call) {
    stored(call);
    const Id tuple = argument(call, 4);
    if (!is(graph_, tuple, Kind::tuple) || graph_.count(tuple) < 1) expected(graph_, "its quantizer", "a tuple", tuple);
    const Id scheme = graph_.child(tuple, 0);
    if (!is(graph_, scheme, Kind::global)) expected(graph_, "its quantizer", "the name of a scheme", scheme);
    info_.quantizer = std::string(graph_.global(scheme).name);
    if (info_.quantizer == "per_tensor_affine" && graph_.count(tuple) == 3) {
      const Id scale = graph_.child(tuple, 1);
      if (!is(graph_, scale, Kind::real)) expected(graph_, "its scale", "a float", scale);
      info_.scale = graph_.real(scale);
      info_.zero_point = signed_at(graph_, graph_.child(tuple, 2), "its zero point");
    } else if (graph_.count(tuple) == 4) {
      part("scales", graph_.child(tuple, 1));
      part("zero_points", graph_.child(tuple, 2));
      info_.axis = signed_at(graph_, graph_.child(tuple, 3), "its axis");
    } else {
      fail("its quantizer: " + info_.quantizer + " with " + std::to_string(graph_.count(tuple) - 1) +
           " values is not known");
    }
    gradient(argument(call, 5));
  }

  Bytes layout_at(Id id) const {
    const Id name = id == kNone ? kNone : only_argument(graph_, id, "torch.serialization", "_get_layout");
    if (!is(graph_, name, Kind::text)) expected(graph_, "its layout", "a call of _get_layout", id);
    const Bytes text = graph_.text(name);
    constexpr Bytes kPrefix = "torch.";
    return text.substr(0, kPrefix.size()) == kPrefix ? text.substr(kPrefix.size()) : text;
  }

  void sparse(const Call& call) {
    info_.layout = layout_at(argument(call, 0));
    const Id data = argument(call, 1);
    if (!is(graph_, data, Kind::tuple)) expected(graph_, "its data", "a tuple", data);
    const std::size_t count = graph_.count(data);
    const auto has = [&](Bytes one, Bytes other) { return info_.layout == one || info_.layout == other; };
    if (info_.layout == "sparse_coo" && (count == 3 || count == 4)) {
      part("indices", graph_.child(data, 0));
      part("values", graph_.child(data, 1));
      info_.shape = counts_at(graph_, graph_.child(data, 2), "its shape");
      info_.coalesced =
          count == 4 && is(graph_, graph_.child(data, 3), Kind::boolean) && graph_.boolean(graph_.child(data, 3));
    } else if (count == 4 && (has("sparse_csr", "sparse_bsr") || has("sparse_csc", "sparse_bsc"))) {
      const bool by_row = has("sparse_csr", "sparse_bsr");
      part(by_row ? "crow_indices" : "ccol_indices", graph_.child(data, 0));
      part(by_row ? "col_indices" : "row_indices", graph_.child(data, 1));
      part("values", graph_.child(data, 2));
      info_.shape = counts_at(graph_, graph_.child(data, 3), "its shape");
    } else {
      fail("its layout " + std::string(info_.layout) + " with " + std::to_string(count) + " values is not known");
    }
    like_part("values");
  }

  void nested(const Call& call) {
    info_.layout = "nested";
    const char* const names[] = {"buffer", "sizes", "strides", "offsets"};
    for (std::size_t i = 0; i < 4; ++i) part(names[i], argument(call, i));
    like_part("buffer");
  }

  void part(const char* name, Id id) {
    TensorInfo info;
    Reader(graph_, info).read(id, false);
    if (!info.unknown.empty()) fail(std::string("its ") + name + ": made by " + info.unknown);
    info_.parts.push_back({name, std::move(info)});
  }

  void like_part(Bytes name) {
    for (const TensorPart& p : info_.parts) {
      if (p.name != name) continue;
      info_.dtype = p.tensor.dtype;
      info_.device = p.tensor.device;
    }
  }

  const Graph& graph_;  // the caller's
  TensorInfo& info_;
  bool has_gradient_ = false;
};

}  // namespace

std::optional<std::uint64_t> TensorInfo::nbytes() const {
  if (layout == "strided") return dtype ? bytes_of(shape, dtype->bytes()) : std::nullopt;
  std::uint64_t sum = 0;
  for (const TensorPart& p : parts) {
    const auto size = p.tensor.nbytes();  // a part has no parts
    if (!size || *size > kMaxCount - sum) return std::nullopt;
    sum += *size;
  }
  return sum;
}

StorageInfo describe_storage(const Graph& graph, Id id) {
  if (!is(graph, id, Kind::persistent)) expected(graph, "its storage", "a persistent id", id);
  const Id tuple = graph.count(id) == 1 ? graph.child(id, 0) : kNone;
  if (!is(graph, tuple, Kind::tuple) || graph.count(tuple) < 5 || !graph.is_text(graph.child(tuple, 0), "storage"))
    fail("its storage: expected ('storage', class, key, location, numel)");
  const Id cls = graph.child(tuple, 1), key = graph.child(tuple, 2), location = graph.child(tuple, 3);
  if (!is(graph, cls, Kind::global)) expected(graph, "its storage class", "a class", cls);
  if (!is(graph, key, Kind::text)) expected(graph, "its storage key", "a str", key);
  if (!is(graph, location, Kind::text)) expected(graph, "its storage location", "a str", location);
  StorageInfo storage;
  storage.key = graph.text(key);
  storage.location = graph.text(location);
  // torch takes the typed ones by their name, in whatever module; the others where they are.
  const Global name = graph.global(cls);
  storage.dtype = dtype_of_storage(name.name);
  const bool untyped = name.name == "UntypedStorage" && (name.module == "torch.storage" || name.module == "torch");
  if (untyped) storage.dtype = dtype_named("uint8");
  if (!storage.dtype)
    fail("its storage class: " + std::string(name.module) + "." + std::string(name.name) + " is none of torch's");
  storage.numel = count_at(graph, graph.child(tuple, 4), "its storage size");
  if (storage.numel > kMaxCount / kMaxItem)
    fail("its storage size: " + std::to_string(storage.numel) + " elements are more than any file has");
  return storage;
}

TensorInfo describe(const Graph& graph, Id id) {
  TensorInfo info;
  try {
    Reader(graph, info).read(id, true);
  } catch (const Error& e) {
    info.problem = e.what();
  }
  return info;
}

}  // namespace ckptree::torch
