#include <charconv>

#include "ckptree/cursor.hpp"
#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"

namespace ckptree::npy {
namespace {

//   0  6  "\x93NUMPY"
//   6  1  major version: 1, 2, 3
//   7  1  minor version: 0
//   8  2  bytes of the text that follows, little-endian; 4 bytes from version 2 on
//  10     the text: a dict in Python's spelling, spaces, a newline
constexpr Bytes kMagic("\x93NUMPY", 6);
constexpr std::size_t kAlignment = 64;
// Longer texts are those of structured types only; NumPy itself reads 10,000 unless told otherwise.
constexpr std::size_t kMaxText = 65535;
// NumPy leaves room for the first dimension to become a number of this many digits.
constexpr std::size_t kGrowthDigits = 21;

/// Reads the dict: the three keys in any order, each once, nothing that could be computed.
class DictReader {
 public:
  DictReader(Bytes text, std::string place) : text_(text), place_(std::move(place)) {}

  Header read() {
    Header header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (peek() != '}') {
      const std::string key = string();
      expect(':');
      if (key == "descr") {
        once(has_descr, key);
        header.descr = descr();
      } else if (key == "fortran_order") {
        once(has_order, key);
        header.fortran_order = boolean();
      } else if (key == "shape") {
        once(has_shape, key);
        header.shape = shape();
      } else {
        fail("an unknown key '" + key + "'");
      }
      if (peek() != '}') expect(',');
    }
    expect('}');
    skip_spaces();
    if (at_ != text_.size()) fail("more text behind the dict");
    if (!has_descr || !has_order || !has_shape) fail("needs descr, fortran_order and shape");
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Errc::rejected, place_ + ": .npy header at character " + std::to_string(at_ + 1) + ": " + what);
  }
  void skip_spaces() {
    while (at_ < text_.size() && Bytes(" \t\r\n").find(text_[at_]) != Bytes::npos) ++at_;
  }
  char peek() {
    skip_spaces();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void expect(char c) {
    if (peek() != c) fail(std::string("expected '") + c + "'");
    ++at_;
  }
  void once(bool& seen, const std::string& key) const {
    if (seen) fail("the key '" + key + "' twice");
    seen = true;
  }

  std::string string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("expected a string");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == Bytes::npos) fail("a string without its end");
    const Bytes text = text_.substr(at_ + 1, end - at_ - 1);
    if (text.find('\\') != Bytes::npos) fail("an escape in a string");
    at_ = end + 1;
    return std::string(text);
  }

  std::string descr() {
    if (peek() == '[' || peek() == '(') fail("a structured type, which no supporting array can have");
    const std::string text = string();
    if (text.find('O') != std::string::npos) fail("an object type, which needs a pickle");
    try {
      return descr_of(text, "");
    } catch (const Error&) {
      fail("type '" + text + "' is not a plain type that NumPy knows");
    }
  }

  bool boolean() {
    peek();
    for (const bool value : {true, false}) {
      const Bytes word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    fail("expected True or False");
  }

  std::vector<std::uint64_t> shape() {
    std::vector<std::uint64_t> shape;
    bool comma = true;
    expect('(');
    while (peek() != ')') {
      if (!comma) fail("expected ',' or ')'");
      std::uint64_t extent = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc()) fail("expected an extent of the shape");
      at_ = static_cast<std::size_t>(end - text_.data());
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote its long integers so
      if (shape.size() == kMaxRank) fail("more than " + std::to_string(kMaxRank) + " dimensions");
      shape.push_back(extent);
      comma = peek() == ',';
      if (comma) ++at_;
    }
    ++at_;
    if (shape.size() == 1 && !comma) fail("a shape of one extent is written with a comma");
    return shape;
  }

  Bytes text_;
  std::string place_;
  std::size_t at_ = 0;
};

/// `size` bytes from `at`. @throws Error Errc::incomplete
std::string bytes_at(const Recipe& file, std::uint64_t at, std::size_t size, const std::string& place,
                     const char* what) {
  std::string bytes(size, '\0');
  const std::size_t got = file.read(at, Buffer(bytes.data(), bytes.size()));
  if (got < size)
    throw Error(Errc::incomplete, place + ": the file ends in the " + what + " of a .npy file: needs " +
                                      std::to_string(size) + " bytes, has " + std::to_string(got));
  return bytes;
}

}  // namespace

std::string make_header(const std::string& descr, xtl::span<const std::uint64_t> shape, bool fortran_order) {
  std::string text =
      "{'descr': '" + descr + "', 'fortran_order': " + (fortran_order ? "True" : "False") + ", 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  text += shape.size() == 1 ? ",), }" : "), }";
  if (!shape.empty()) {
    const std::uint64_t growing = fortran_order ? shape[shape.size() - 1] : shape[0];
    text.append(kGrowthDigits - std::to_string(growing).size(), ' ');
  }
  const std::size_t size = kMagic.size() + 4 + text.size() + 1;
  text.append(kAlignment - size % kAlignment, ' ');
  text += '\n';
  std::string header(kMagic);
  header += {1, 0, static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return header + text;
}

Header parse_header(const Recipe& file, const std::string& place) {
  const std::string magic = bytes_at(file, 0, kMagic.size() + 2, place, "first bytes");
  if (magic.compare(0, kMagic.size(), kMagic) != 0)
    throw Error(Errc::rejected, place + ": not a .npy file, which begins with \\x93NUMPY");
  const int major = static_cast<unsigned char>(magic[6]), minor = static_cast<unsigned char>(magic[7]);
  if (major < 1 || major > 3 || minor != 0)
    throw Error(Errc::rejected, place + ": .npy version " + std::to_string(major) + "." + std::to_string(minor) +
                                    ", expected 1.0, 2.0 or 3.0");
  const std::size_t width = major == 1 ? 2 : 4;
  const std::string length = bytes_at(file, magic.size(), width, place, "header");
  Cursor cursor(length, place, magic.size());
  const std::uint64_t size =
      major == 1 ? cursor.le<std::uint16_t>("header size") : cursor.le<std::uint32_t>("header size");
  if (size > kMaxText)
    throw Error(Errc::rejected, place + ": .npy header of " + std::to_string(size) + " bytes, at most " +
                                    std::to_string(kMaxText) + " are read");
  const std::uint64_t begin = magic.size() + width;
  const std::string text = bytes_at(file, begin, static_cast<std::size_t>(size), place, "header");
  Header header = DictReader(text, place).read();
  header.data_offset = begin + size;
  std::uint64_t needs = 0;
  try {
    needs = byte_size(header.shape, header.descr, place);
  } catch (const Error& e) {
    throw Error(Errc::rejected, e.what());
  }
  const std::uint64_t has = file.size() - header.data_offset;
  if (has < needs)
    throw Error(Errc::incomplete, place + ": the file ends in its data: the shape needs " + std::to_string(needs) +
                                      " bytes, there are " + std::to_string(has));
  if (has > needs)
    throw Error(Errc::rejected, place + ": " + std::to_string(has - needs) + " bytes behind the " +
                                    std::to_string(needs) + " of its shape");
  return header;
}

}  // namespace ckptree::npy
