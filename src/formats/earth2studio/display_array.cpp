// numpy.array2string, for what stands among metadata. @see numpy/_core/arrayprint.py

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "formats/earth2studio/display.hpp"
#include "formats/earth2studio/payload.hpp"

namespace ckptree::earth2studio {
namespace {

constexpr std::size_t kLineWidth = 75, kThreshold = 1000, kEdge = 3;  // NumPy's defaults
constexpr int kPrecision = 8;

std::size_t width(const std::string& text) {  // in characters
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// The shortest digits that read back the same in the array's own type.
std::string shortest(double value, bool single, std::chars_format how) {
  char digits[400];
  const auto end = single ? std::to_chars(digits, digits + sizeof digits, static_cast<float>(value), how).ptr
                          : std::to_chars(digits, digits + sizeof digits, value, how).ptr;
  return std::string(digits, end);
}

std::string rounded(double value, const char* format) {
  char digits[400];
  std::snprintf(digits, sizeof digits, format, kPrecision, value);
  std::string text = digits;
  return text;
}

void drop_zeros(std::string& text) { text.resize(text.find_last_not_of('0') + 1); }

std::string plain_float(double value, bool single) {
  std::string text = shortest(value, single, std::chars_format::fixed);
  std::size_t dot = text.find('.');
  if (dot == std::string::npos) return text + ".";
  if (text.size() - dot - 1 > static_cast<std::size_t>(kPrecision)) {
    text = rounded(value, "%.*f");
    drop_zeros(text);
  }
  return text;
}

std::string exponent_float(double value, bool single) {
  std::string text = shortest(value, single, std::chars_format::scientific);
  std::size_t e = text.find('e');
  if (e > static_cast<std::size_t>(kPrecision) + 3) {
    text = rounded(value, "%.*e");
    e = text.find('e');
  }
  std::string mantissa = text.substr(0, e);
  if (mantissa.find('.') == std::string::npos) mantissa += ".";
  else drop_zeros(mantissa);
  return mantissa + text.substr(e);
}

/// All items in one width, the points below each other.
std::vector<std::string> float_words(const std::vector<Json>& items, bool single) {
  double most = 0, least = INFINITY;
  for (const Json& item : items) {
    const double size = std::fabs(std::strtod(item.text.c_str(), nullptr));
    if (!std::isfinite(size) || size == 0) continue;
    most = std::max(most, size);
    least = std::min(least, size);
  }
  const bool exponents = most > 0 && (most >= 1e8 || least < 1e-4 || most / least > 1000);
  std::vector<std::string> words;
  std::size_t before = 0, behind = 0;
  for (const Json& item : items) {
    const double value = std::strtod(item.text.c_str(), nullptr);
    std::string word = std::isnan(value)   ? "nan"
                       : std::isinf(value) ? (value < 0 ? "-inf" : "inf")
                       : exponents         ? exponent_float(value, single)
                                           : plain_float(value, single);
    const std::size_t dot = word.find('.'), e = std::min(word.find('e'), word.size());
    if (dot != std::string::npos) {
      before = std::max(before, dot);
      behind = std::max(behind, e - dot - 1);
    }
    words.push_back(std::move(word));
  }
  for (std::string& word : words) {
    const std::size_t dot = word.find('.'), e = word.find('e');
    if (dot == std::string::npos) continue;
    const std::size_t missing = behind - (std::min(e, word.size()) - dot - 1);
    if (e != std::string::npos) word.insert(e, missing, '0');
    else word.append(missing, ' ');
    word.insert(0, before - dot, ' ');
  }
  return words;
}

/// What the array's items look like, padded to one width.
std::vector<std::string> words_of(const std::vector<Json>& items, const std::string& dtype) {
  std::vector<std::string> words;
  const std::string bare = dtype.find_first_of("<>|=") == 0 ? dtype.substr(1) : dtype;
  const bool is_float = bare.compare(0, 5, "float") == 0 || (bare.size() == 2 && bare[0] == 'f');
  if (is_float) {
    words = float_words(items, bare == "float32" || bare == "f4");
  } else {
    for (const Json& item : items) {
      if (item.is_string()) words.push_back(displayed(Json{json::Type::array, {}, {item}, {}}));
      else if (item.type == json::Type::boolean) words.push_back(item.text == "true" ? "True" : "False");
      else if (const Json* value = item.find("value"))
        words.push_back(value->is_string()                      ? "'" + value->text + "'"
                        : value->text == "-9223372036854775808" ? "'NaT'"
                                                                : value->text);
      else words.push_back(item.text);
    }
    for (std::size_t i = 0; i < words.size(); ++i)
      if (items[i].is_string()) words[i] = words[i].substr(1, words[i].size() - 2);  // of the list around it
  }
  if (!items.empty() && items[0].is_string()) return words;
  std::size_t widest = 0;
  for (const std::string& word : words) widest = std::max(widest, width(word));
  for (std::string& word : words) word.insert(0, widest - width(word), ' ');
  return words;
}

class Printer {
 public:
  Printer(const std::vector<std::string>& words, std::vector<std::size_t> shape, bool summary)
      : words_(words), shape_(std::move(shape)), summary_(summary) {}

  // At most npy::kMaxRank deep.
  std::string print(std::size_t axis, std::size_t at, std::size_t indent, std::size_t room) const {
    if (axis == shape_.size()) return words_[at];
    std::size_t stride = 1;
    for (std::size_t i = axis + 1; i < shape_.size(); ++i) stride *= shape_[i];
    std::string s, line(indent, ' ');
    const bool innermost = axis + 1 == shape_.size();
    for (std::size_t i = 0; i < shape_[axis]; ++i) {
      const bool skip = summary_ && shape_[axis] > 2 * kEdge && i >= kEdge && i + kEdge < shape_[axis];
      if (skip && i > kEdge) continue;
      const std::string word = skip ? "..." : print(axis + 1, at + i * stride, indent + 1, room - 1);
      const bool last = i + 1 == shape_[axis];
      if (innermost) {
        extend(s, line, word, room - 1, indent);
        if (!last) line += ", ";
      } else {
        s += std::string(indent, ' ') + word;
        if (!last) s += "," + std::string(shape_.size() - axis - 1, '\n');
      }
    }
    if (innermost) s += line;
    return "[" + s.substr(indent) + "]";
  }

 private:
  static void extend(std::string& s, std::string& line, const std::string& word, std::size_t room, std::size_t indent) {
    if (width(line) + width(word) > room && width(line) > indent) {
      s += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
      line = std::string(indent, ' ');
    }
    line += word;
  }

  const std::vector<std::string>& words_;
  const std::vector<std::size_t> shape_;
  const bool summary_;
};

}  // namespace

std::string displayed_array(const Json& label) {
  const std::vector<Json>& items = label.find("values")->items;
  std::vector<std::size_t> shape;
  for (const Json& extent : label.find("shape")->items)
    shape.push_back(std::strtoull(extent.text.c_str(), nullptr, 10));
  if (items.empty()) return "[]";
  const std::vector<std::string> words = words_of(items, label.find("dtype")->text);
  return Printer(words, std::move(shape), items.size() > kThreshold).print(0, 0, 1, kLineWidth);
}

}  // namespace ckptree::earth2studio
