// Arrays among metadata: their values as the catalog's JSON, and back.

#include <charconv>
#include <cstdlib>
#include <cstring>

#include <xtl/xhalf_float.hpp>

#include "ckptree/error.hpp"
#include "ckptree/utf8.hpp"
#include "codec/npy/element.hpp"
#include "codec/npy/npy.hpp"
#include "codec/python/repr.hpp"
#include "formats/earth2studio/np_time.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/typed.hpp"

namespace ckptree::earth2studio {
namespace {

// Metadata are small: a catalog with more values than this in one array takes minutes to read in Python.
constexpr std::uint64_t kMaxArray = 16u << 20;  // bytes

/// A spelling of .npy taken apart: byte order, kind, size of one element, unit of times.
struct Element {
  explicit Element(const std::string& descr) : big(descr[0] == '>'), kind(descr[1]), size(npy::item_size(descr)) {
    const std::size_t bracket = descr.find('[');
    if (bracket != std::string::npos) unit = descr.substr(bracket + 1, descr.size() - bracket - 2);
  }
  bool big;
  char kind;
  std::uint64_t size;
  std::string unit = "generic";
};

void store(const Element& element, std::string& out, std::uint64_t bits, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t shift = element.big ? size - 1 - i : i;
    out += static_cast<char>(bits >> (8 * shift));
  }
}

template <class To, class From>
To cast_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "of one size");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

std::uint64_t bits_of(double value, std::size_t size) {
  if (size == 8) return cast_bits<std::uint64_t>(value);
  if (size == 4) return cast_bits<std::uint32_t>(static_cast<float>(value));
  return cast_bits<std::uint16_t>(xtl::half_float(static_cast<float>(value)));
}

Json time_value(const char* kind, Json value, const std::string& unit) {
  Json made = Json::object();
  made.set("kind", Json::string(kind));
  made.set("value", std::move(value));
  made.set("unit", Json::string(unit));
  return made;
}

Json value_of(const Element& element, Bytes bytes, const std::string& place) {
  const auto number = [](std::string digits) { return Json{json::Type::number, std::move(digits), {}, {}}; };
  const auto bits = [&] { return npy::bits_of(bytes, element.big); };
  const auto integer = [&] { return npy::signed_of(bits(), bytes.size()); };
  switch (element.kind) {
    case 'b': return {json::Type::boolean, bytes[0] ? "true" : "false", {}, {}};
    case 'i': return number(std::to_string(integer()));
    case 'u': return number(std::to_string(bits()));
    case 'f':
      if (bytes.size() > 8) break;
      return number(python::json_number(npy::real_of(bits(), bytes.size())));
    case 'U': {
      auto text = npy::text_of(bytes, element.big);
      if (!text) throw Error(Errc::corrupt, place + ": a text with a character beyond Unicode");
      return Json::string(*std::move(text));
    }
    case 'm': return time_value("np_timedelta64", Json::number(integer()), element.unit);
    case 'M':
      return time_value("np_datetime64", Json::string(np_datetime_text(integer(), element.unit)), element.unit);
    default: break;
  }
  throw Error(Errc::unsupported, place + ": the catalog has no spelling for values of this dtype");
}

std::vector<std::uint32_t> characters(const std::string& text, const std::string& place) {
  std::vector<std::uint32_t> all;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t n = utf8_length(Bytes(text).substr(i));
    if (n == 0) throw Error(Errc::rejected, place + ": expected text that is UTF-8");
    std::uint32_t c = static_cast<unsigned char>(text[i]);
    if (n > 1) c &= 0x7Fu >> n;
    for (std::size_t k = 1; k < n; ++k) c = c << 6 | (static_cast<unsigned char>(text[i + k]) & 63);
    all.push_back(c);
    i += n;
  }
  return all;
}

template <class T>
bool parse_integer(const Json& value, T& out) {
  const auto [end, error] = std::from_chars(value.text.data(), value.text.data() + value.text.size(), out);
  return value.is_integer() && error == std::errc() && end == value.text.data() + value.text.size();
}

void append_value(std::string& out, const Element& element, const Json& value, const std::string& place) {
  const std::size_t size = static_cast<std::size_t>(element.size);
  const auto expect = [&](bool fits, const char* what) {
    if (!fits) throw Error(Errc::rejected, place + ": expected " + what + ", got " + dumps_line(value).substr(0, 60));
  };
  const Json* inner = value.find("value");
  const bool same_unit = inner && value.find("unit") && value.find("unit")->text == element.unit;
  switch (element.kind) {
    case 'b':
      expect(value.type == json::Type::boolean, "true or false");
      out += value.text == "true" ? '\1' : '\0';
      return;
    case 'i': {
      std::int64_t n = 0;
      expect(parse_integer(value, n) && npy::signed_of(static_cast<std::uint64_t>(n), size) == n,
             "an integer that fits the dtype");
      return store(element, out, static_cast<std::uint64_t>(n), size);
    }
    case 'u': {
      std::uint64_t n = 0;
      expect(parse_integer(value, n) && (size == 8 || n >> (8 * size) == 0), "an integer that fits the dtype");
      return store(element, out, n, size);
    }
    case 'f':
      expect(value.type == json::Type::number && size <= 8, "a number");
      return store(element, out, bits_of(std::strtod(value.text.c_str(), nullptr), size), size);
    case 'U': {
      expect(value.is_string(), "a text");
      const auto text = characters(value.text, place);
      expect(text.size() <= size / 4, "a text that fits the dtype");
      for (const std::uint32_t c : text) store(element, out, c, 4);
      out.append(size - 4 * text.size(), '\0');
      return;
    }
    case 'm': {
      std::int64_t n = 0;
      expect(same_unit && parse_integer(*inner, n), "a np_timedelta64 of the array's unit");
      return store(element, out, static_cast<std::uint64_t>(n), 8);
    }
    case 'M': {
      const auto n = same_unit ? np_datetime_of(inner->text, element.unit) : std::nullopt;
      expect(n.has_value(), "a np_datetime64 of the array's unit, spelled to the full");
      return store(element, out, static_cast<std::uint64_t>(*n), 8);
    }
    default: expect(false, "a dtype that the catalog can spell");
  }
}

}  // namespace

Json label_of_array(const Recipe& file, const std::string& place) {
  try {
    const npy::Header header = npy::parse_header(file, place);
    const Element element(header.descr);
    const std::string data = npy::data_in_c_order(file, header).text(kMaxArray, place);
    Json label = Json::object(), values = Json::list(), shape = Json::list();
    const auto size = static_cast<std::size_t>(element.size);
    for (std::size_t at = 0; at < data.size(); at += size)
      values.items.push_back(value_of(element, Bytes(data).substr(at, size), place));
    for (const std::uint64_t extent : header.shape)
      shape.items.push_back(Json::number(static_cast<std::int64_t>(extent)));
    label.set("dtype", Json::string(npy::dtype_name(header.descr)));
    label.set("kind", Json::string("ndarray_label"));
    label.set("shape", std::move(shape));
    label.set("values", std::move(values));
    return label;
  } catch (const Error& e) {
    if (e.code() != Errc::rejected && e.code() != Errc::incomplete) throw;
    throw Error(Errc::corrupt, e.what());
  }
}

std::string array_of_label(const Json& label, const std::string& place) {
  const std::string descr = npy::descr_of(label.find("dtype")->text, place);
  const Element element(descr);
  std::vector<std::uint64_t> shape;
  for (const Json& extent : label.find("shape")->items)
    shape.push_back(std::strtoull(extent.text.c_str(), nullptr, 10));
  std::string file = npy::make_header(descr, shape);
  if (npy::byte_size(shape, descr, place) > kMaxArray)
    throw Error(Errc::too_large, place + ": an array among metadata has at most 16 MiB");
  const auto& values = label.find("values")->items;
  for (std::size_t i = 0; i < values.size(); ++i)
    append_value(file, element, values[i], place + "/values/" + std::to_string(i));
  return file;
}

}  // namespace ckptree::earth2studio
