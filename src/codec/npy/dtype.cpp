#include "codec/npy/npy.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "ckptree/error.hpp"

namespace ckptree::npy {
namespace {

// NumPy keeps the size of an element in an int.
constexpr std::uint64_t kMaxItem = 0x7fffffff;

/// A type as .npy files spell it, in parts.
struct Type {
  char order;          // '<', '>', or '|' where there is none
  char kind;           // one of "biufcSUVMm"
  std::uint64_t size;  // the number behind the kind: bytes, characters of U
  std::string unit;    // with its brackets, of M and m

  std::uint64_t bytes() const { return kind == 'U' ? 4 * size : size; }
  std::string text() const { return order + (kind + std::to_string(size)) + unit; }
};

bool take_number(Bytes& text, std::uint64_t limit, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value > limit) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// "[25s]" as NumPy prints it; nothing when it is no unit.
std::optional<std::string> parse_unit(Bytes text) {
  if (text.empty()) return std::string();
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  if (text == "generic") return std::string();
  std::uint64_t factor = 1;
  if (text.front() >= '0' && text.front() <= '9' && (!take_number(text, kMaxItem, factor) || factor == 0))
    return std::nullopt;
  const char* const units[] = {"Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"};
  if (std::find(std::begin(units), std::end(units), text) == std::end(units)) return std::nullopt;
  return "[" + (factor == 1 ? "" : std::to_string(factor)) + std::string(text) + "]";
}

bool has_size(char kind, std::uint64_t size) {
  switch (kind) {
    case 'b': return size == 1;
    case 'i':
    case 'u': return size == 1 || size == 2 || size == 4 || size == 8;
    case 'f': return size == 2 || size == 4 || size == 8 || size == 16;
    case 'c': return size == 8 || size == 16 || size == 32;
    case 'M':
    case 'm': return size == 8;
    case 'U': return size >= 1 && size <= kMaxItem / 4;
    default: return size >= 1 && size <= kMaxItem;  // S, V
  }
}

std::optional<Type> parse(Bytes descr) {
  Type type{'<', 0, 0, ""};
  if (!descr.empty() && Bytes("<>|=").find(descr.front()) != Bytes::npos) {
    if (descr.front() == '>') type.order = '>';
    descr.remove_prefix(1);
  }
  if (descr.empty() || Bytes("biufcSUVMm").find(descr.front()) == Bytes::npos) return std::nullopt;
  type.kind = descr.front();
  descr.remove_prefix(1);
  if (!take_number(descr, kMaxItem, type.size) || !has_size(type.kind, type.size)) return std::nullopt;
  if (type.kind == 'M' || type.kind == 'm') {
    auto unit = parse_unit(descr);
    if (!unit) return std::nullopt;
    type.unit = *std::move(unit);
  } else if (!descr.empty()) {
    return std::nullopt;
  }
  if (type.bytes() == 1 || type.kind == 'S' || type.kind == 'V') type.order = '|';
  return type;
}

/// Names of the types that have one of their own: "float" and 8 times the bytes.
struct Named {
  char kind;
  const char* name;
};
constexpr Named kNamed[] = {{'i', "int"}, {'u', "uint"}, {'f', "float"}, {'c', "complex"}};

std::optional<Type> parse_name(Bytes name) {
  if (name == "bool") return Type{'|', 'b', 1, ""};
  for (const Named& n : kNamed) {
    Bytes rest = name;
    if (rest.substr(0, Bytes(n.name).size()) != n.name) continue;
    rest.remove_prefix(Bytes(n.name).size());
    std::uint64_t bits = 0;
    if (rest.empty() || rest.front() == '0' || !take_number(rest, 256, bits) || !rest.empty() || bits % 8 != 0)
      continue;
    return parse(n.kind + std::to_string(bits / 8));
  }
  for (const char kind : {'M', 'm'}) {
    const Bytes prefix = kind == 'M' ? "datetime64" : "timedelta64";
    if (name.substr(0, prefix.size()) == prefix) return parse(kind + ("8" + std::string(name.substr(prefix.size()))));
  }
  return parse(name);
}

Type known(const std::string& descr) {
  auto type = parse(descr);
  if (!type) throw Error(Errc::rejected, "type '" + descr + "': not a plain type that NumPy knows");
  return *std::move(type);
}

}  // namespace

std::uint64_t item_size(const std::string& descr) { return known(descr).bytes(); }

std::uint64_t byte_size(xtl::span<const std::uint64_t> shape, const std::string& descr, const std::string& place) {
  constexpr std::uint64_t kMax = INT64_MAX;
  if (shape.size() > kMaxRank)
    throw Error(Errc::corrupt, place + ": has " + std::to_string(shape.size()) + " dimensions, at most " +
                                   std::to_string(kMaxRank) + " are possible");
  std::uint64_t size = item_size(descr);
  bool empty = false;
  for (const std::uint64_t extent : shape) {
    empty = empty || extent == 0;
    if (extent > kMax / size) throw Error(Errc::corrupt, place + ": its shape needs more bytes than 63 bits can count");
    if (extent > 0) size *= extent;
  }
  return empty ? 0 : size;
}

std::string dtype_name(const std::string& descr) {
  const Type type = known(descr);
  if (type.order == '>') return type.text();
  if (type.kind == 'b') return "bool";
  if (type.kind == 'M') return "datetime64" + type.unit;
  if (type.kind == 'm') return "timedelta64" + type.unit;
  for (const Named& n : kNamed)
    if (n.kind == type.kind) return n.name + std::to_string(8 * type.size);
  return type.text();
}

std::string descr_of(const std::string& dtype_name, const std::string& place) {
  const auto type = parse_name(dtype_name);
  if (!type) throw Error(Errc::corrupt, place + ": expected the name of a plain dtype, got '" + dtype_name + "'");
  return type->text();
}

}  // namespace ckptree::npy
