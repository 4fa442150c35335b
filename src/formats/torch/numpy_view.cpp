#include "formats/torch/numpy_view.hpp"

#include <cstring>

#include "ckptree/error.hpp"
#include "ckptree/utf8.hpp"
#include "codec/json/json.hpp"
#include "codec/npy/element.hpp"
#include "codec/npy/npy.hpp"
#include "codec/python/repr.hpp"
#include "formats/torch/literal.hpp"

namespace ckptree::torch {
namespace {

using pickle::Graph;
using pickle::Id;
using pickle::Kind;
using pickle::kNone;

/// Calls `function(arguments...)` of a node; null where it is no call of that module and name.
bool calls(const Graph& graph, Id id, Bytes module, Bytes name) {
  return graph.kind(id) == Kind::reduce && graph.is_global(graph.child(id, 0), module, name) &&
         graph.kind(graph.child(id, 1)) == Kind::tuple;
}

/// NumPy 2 has its modules below numpy._core, older ones below numpy.core.
bool calls_numpy(const Graph& graph, Id id, const std::string& module, Bytes name) {
  return calls(graph, id, "numpy._core." + module, name) || calls(graph, id, "numpy.core." + module, name);
}

/// Arguments (text, "latin1").
std::optional<PickledBytes> latin1_text(const Graph& graph, Id arguments) {
  if (graph.count(arguments) != 2 || graph.kind(graph.child(arguments, 0)) != Kind::text) return std::nullopt;
  const Id encoding = graph.child(arguments, 1);
  if (!graph.is_text(encoding, "latin1") && !graph.is_text(encoding, "latin-1")) return std::nullopt;
  return PickledBytes{graph.child(arguments, 0), true};
}

/// _codecs.encode(text, "latin1")
std::optional<PickledBytes> encoded_text(const Graph& graph, Id id) {
  return calls(graph, id, "_codecs", "encode") ? latin1_text(graph, graph.child(id, 1)) : std::nullopt;
}

/// UTF-8 whose characters are all below U+0100, as the bytes they stand for.
std::string from_latin1(Bytes text, const std::string& place) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      bytes += text[i];
    } else if ((c == 0xC2 || c == 0xC3) && i + 1 < text.size()) {
      bytes += static_cast<char>((c & 3) << 6 | (text[++i] & 0x3f));
    } else {
      throw Error(Errc::corrupt, place + ": text that stands for bytes has a character past U+00FF");
    }
  }
  return bytes;
}

// Of a str_; numbers have 32 at most. A list may have the same one a million times, and each is looked at.
constexpr std::size_t kMaxScalar = 4096;

/// How many bytes it stands for.
std::uint64_t size_of(const Graph& graph, const PickledBytes& bytes) {
  if (bytes.id == kNone) return 0;
  const Bytes text = graph.text(bytes.id);
  if (!bytes.latin1) return text.size();
  std::uint64_t size = 0;
  for (const char c : text) size += (c & 0xC0) != 0x80;
  return size;
}

/// Bytes in a pickle, read from there.
class Stored final : public Computed {
 public:
  Stored(const Graph& graph, Id id) : graph_(graph), id_(id) {}
  void read(std::uint64_t at, Buffer into) const override {
    const Bytes text = graph_.text(id_);
    std::memcpy(into.data(), text.data() + at, into.size());
  }

 private:
  const Graph graph_;  // keeps the bytes
  const Id id_;
};

/// "[25s]" of a datetime64 or timedelta64; nothing when it has none.
std::optional<std::string> unit_of(const Graph& graph, Id state) {
  if (graph.count(state) < 9) return std::nullopt;
  const Id metadata = graph.child(state, 8);
  if (graph.kind(metadata) != Kind::tuple || graph.count(metadata) != 2) return std::nullopt;
  const Id unit = graph.child(metadata, 1);
  if (graph.kind(unit) != Kind::tuple || graph.count(unit) < 2) return std::nullopt;
  const auto name = bytes_of(graph, graph.child(unit, 0));
  const auto factor = graph.integer(graph.child(unit, 1));
  if (!name || !factor || size_of(graph, *name) > 8) return std::nullopt;
  const std::string text = text_of(graph, *name);
  if (text == "generic") return std::string();
  return "[" + (*factor == 1 ? std::string() : std::to_string(*factor)) + text + "]";
}

/// The type as .npy files spell it; nothing for one with fields, objects or sub-arrays.
std::optional<std::string> descr_of_dtype(const Graph& graph, Id dtype) {
  if (!calls(graph, dtype, "numpy", "dtype")) return std::nullopt;
  const Id arguments = graph.child(dtype, 1), state = graph.state(dtype);
  if (graph.count(arguments) < 1 || graph.kind(graph.child(arguments, 0)) != Kind::text) return std::nullopt;
  const Bytes type = graph.text(graph.child(arguments, 0));
  constexpr std::size_t kLongest = 16;  // "U" and a number
  if (type.empty() || type.size() > kLongest) return std::nullopt;
  std::string order = "<";
  if (state != kNone) {
    if (graph.kind(state) != Kind::tuple || graph.count(state) < 5) return std::nullopt;
    for (std::size_t i = 2; i < 5; ++i)
      if (graph.kind(graph.child(state, i)) != Kind::none) return std::nullopt;
    const Bytes stored = graph.text(graph.child(state, 1));
    if (stored != "<" && stored != ">" && stored != "|" && stored != "=") return std::nullopt;
    if (stored == ">") order = ">";
  }
  std::string descr = order + std::string(type);
  if (type.front() == 'M' || type.front() == 'm') {
    const auto unit = state == kNone ? std::nullopt : unit_of(graph, state);
    if (!unit) return std::nullopt;
    descr += *unit;
  }
  try {
    return npy::descr_of(descr, "");
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<std::vector<std::uint64_t>> shape_of(const Graph& graph, Id tuple) {
  if (graph.kind(tuple) != Kind::tuple || graph.count(tuple) > npy::kMaxRank) return std::nullopt;
  std::vector<std::uint64_t> shape;
  for (std::size_t i = 0; i < graph.count(tuple); ++i) {
    const auto extent = graph.integer(graph.child(tuple, i));
    if (graph.kind(graph.child(tuple, i)) != Kind::integer || !extent || *extent < 0) return std::nullopt;
    shape.push_back(static_cast<std::uint64_t>(*extent));
  }
  return shape;
}

std::optional<NumpyArray> make_array(const Graph& graph, Id dtype, Id shape, bool fortran, Id data) {
  auto descr = descr_of_dtype(graph, dtype);
  auto extents = shape_of(graph, shape);
  const auto bytes = bytes_of(graph, data);
  if (!descr || !extents || !bytes) return std::nullopt;
  return NumpyArray{*std::move(descr), *std::move(extents), fortran, *bytes};
}

/// A float as text; empty for those of other sizes than 2, 4 or 8 bytes.
template <class Spell>
std::string real_in(Bytes bytes, bool big_endian, Spell spell) {
  const std::size_t size = bytes.size();
  if (size != 2 && size != 4 && size != 8) return {};
  const double value = npy::real_of(npy::bits_of(bytes, big_endian), size);
  return size == 4 ? spell(static_cast<float>(value)) : spell(value);
}

}  // namespace

std::optional<PickledBytes> bytes_of(const Graph& graph, Id id) {
  const Kind kind = graph.kind(id);
  if (kind == Kind::bytes || kind == Kind::bytearray) return PickledBytes{id, false};
  if (const auto text = encoded_text(graph, id)) return text;
  const bool array = calls(graph, id, "builtins", "bytearray");
  if (!array && !calls(graph, id, "builtins", "bytes")) return std::nullopt;
  const Id arguments = graph.child(id, 1);
  if (graph.count(arguments) == 0) return PickledBytes{};
  if (const auto text = latin1_text(graph, arguments)) return text;
  if (graph.count(arguments) != 1) return std::nullopt;
  const Id bytes = graph.child(arguments, 0);
  if (graph.kind(bytes) == Kind::bytes) return PickledBytes{bytes, false};
  return encoded_text(graph, bytes);
}

std::string text_of(const Graph& graph, const PickledBytes& bytes) {
  if (bytes.id == kNone) return {};
  const Bytes text = graph.text(bytes.id);
  return bytes.latin1 ? from_latin1(text, graph.place()) : std::string(text);
}

Recipe content_of(const Graph& graph, const PickledBytes& bytes) {
  if (bytes.id == kNone) return Recipe::literal("");
  if (bytes.latin1) {
    // As a file in memory: copies of the Recipe share the bytes.
    std::string text = text_of(graph, bytes);
    const std::size_t size = text.size();
    std::string tag = tag_of(text);
    return Recipe::extent(memory_file("bytes of a pickle", std::move(text)), 0, size, std::move(tag));
  }
  Recipe recipe;
  const Bytes text = graph.text(bytes.id);
  recipe.tag = tag_of(text);
  const Ptr<Computed> piece = std::make_shared<Stored>(graph, bytes.id);
  if (!text.empty()) recipe.pieces.push_back({piece, text.size()});
  return recipe;
}

std::optional<NumpyArray> array_of(const Graph& graph, Id id) {
  if (graph.kind(id) != Kind::reduce) return std::nullopt;
  if (calls_numpy(graph, id, "multiarray", "_reconstruct")) {
    // version, shape, dtype, is_fortran, data
    const Id state = graph.state(id);
    if (state == kNone || graph.kind(state) != Kind::tuple || graph.count(state) != 5) return std::nullopt;
    return make_array(graph, graph.child(state, 2), graph.child(state, 1), graph.boolean(graph.child(state, 3)),
                      graph.child(state, 4));
  }
  if (!calls_numpy(graph, id, "numeric", "_frombuffer")) return std::nullopt;
  const Id arguments = graph.child(id, 1);
  if (graph.count(arguments) != 4) return std::nullopt;
  return make_array(graph, graph.child(arguments, 1), graph.child(arguments, 2),
                    graph.is_text(graph.child(arguments, 3), "F"), graph.child(arguments, 0));
}

Recipe content_of(const Graph& graph, const NumpyArray& array, const std::string& place) {
  const std::uint64_t needs = npy::byte_size(array.shape, array.descr, place), has = size_of(graph, array.data);
  if (needs != has)
    throw Error(Errc::corrupt,
                place + ": its shape needs " + std::to_string(needs) + " bytes, the pickle has " + std::to_string(has));
  Recipe recipe = content_of(graph, array.data);
  std::string header = npy::make_header(array.descr, array.shape, array.fortran_order);
  recipe.tag = tag_of(header) + "+" + recipe.tag;
  const std::uint64_t size = header.size();
  recipe.pieces.insert(recipe.pieces.begin(), {std::move(header), size});
  return recipe;
}

std::optional<NumpyScalar> numpy_scalar(const Graph& graph, Id id) {
  if (!calls_numpy(graph, id, "multiarray", "scalar")) return std::nullopt;
  const Id arguments = graph.child(id, 1);
  if (graph.count(arguments) != 2) return std::nullopt;
  const auto descr = descr_of_dtype(graph, graph.child(arguments, 0));
  const auto data = bytes_of(graph, graph.child(arguments, 1));
  if (!descr || !data || npy::item_size(*descr) > kMaxScalar) return std::nullopt;
  const bool is_long = data->id != kNone && graph.text(data->id).size() > 2 * kMaxScalar;
  if (is_long || size_of(graph, *data) != npy::item_size(*descr)) return std::nullopt;
  const std::string bytes = text_of(graph, *data);
  const bool big_endian = descr->front() == '>';
  const auto number = [](std::string text) { return NumpyScalar{text, text}; };
  switch ((*descr)[1]) {
    case 'b': return number(bytes[0] ? "true" : "false");
    case 'u': return number(std::to_string(npy::bits_of(bytes, big_endian)));
    case 'i': return number(std::to_string(npy::signed_of(npy::bits_of(bytes, big_endian), bytes.size())));
    case 'f': {
      const std::string text = real_in(bytes, big_endian, [](auto value) { return python::json_number(value); });
      if (text.empty()) return std::nullopt;
      return number(text);
    }
    case 'c': {
      const auto repr = [](auto value) { return python::repr(value); };
      const std::string real = real_in(Bytes(bytes).substr(0, bytes.size() / 2), big_endian, repr);
      const std::string imaginary = real_in(Bytes(bytes).substr(bytes.size() / 2), big_endian, repr);
      if (real.empty()) return std::nullopt;
      return NumpyScalar{"", repr_of_complex(real, imaginary)};
    }
    case 'U': {
      const auto text = npy::text_of(bytes, big_endian);
      if (!text || !is_wtf8(*text)) return std::nullopt;
      return NumpyScalar{json::quote(*text), *text};
    }
    default: return std::nullopt;
  }
}

}  // namespace ckptree::torch
