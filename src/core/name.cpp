#include "ckptree/name.hpp"

#include <algorithm>
#include <cstdio>

#include "ckptree/error.hpp"
#include "ckptree/recipe.hpp"
#include "ckptree/utf8.hpp"

namespace ckptree {
namespace {

constexpr std::size_t kMaxFileName = 255;  // NAME_MAX of every filesystem this is used beside

bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

void encode(std::string& out, unsigned char c) {
  char text[4];
  std::snprintf(text, sizeof text, "%%%02X", c);
  out += text;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool ends_with_swap_suffix(Bytes name) {  // *.sw?
  return name.size() >= 4 && name.substr(name.size() - 4, 3) == ".sw";
}

}  // namespace

std::string to_string(const TreePath& path) {
  std::string out;
  for (const std::string& name : path) {
    if (!out.empty()) out += '/';
    out += name;
  }
  return out;
}

TreePath parse_path(const std::string& text) {
  TreePath path;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t slash = std::min(text.find('/', at), text.size());
    const std::string name = text.substr(at, slash - at);
    if (name == "..") throw Error(Errc::invalid, text + ": '..' is no name in the tree");
    if (!name.empty() && name != ".") path.push_back(name);
    at = slash + 1;
  }
  return path;
}

bool is_scratch_name(Bytes name) {
  if (name.empty()) return false;
  // An escape in front is how a key that looks like a temporary is spelled: a name of its own, never scratch.
  if (name.size() >= 3 && name.front() == '%' && hex_digit(name[1]) >= 0 && hex_digit(name[2]) >= 0) return false;
  if (name.front() == '.') return true;
  if (name.back() == '~') return true;
  if (ends_with_swap_suffix(name)) return true;
  if (name.size() == 9 && name.substr(0, 3) == "sed") return true;
  return name.size() >= 2 && name.front() == '#' && name.back() == '#';
}

FileName file_name_of(Bytes key) {
  FileName name;
  if (key.empty()) return {"%", false};
  for (std::size_t i = 0; i < key.size();) {
    const auto c = static_cast<unsigned char>(key[i]);
    const std::size_t length = utf8_length(key.substr(i));
    if (length == 0) {
      encode(name.text, c);
      ++i;
    } else if (length == 1) {
      if (c == '/' || c == '%' || is_control(c)) encode(name.text, c);
      else name.text += key[i];
      ++i;
    } else {
      name.text.append(key.substr(i, length));
      i += length;
    }
  }
  // An escape in front breaks every scratch pattern; see is_scratch_name.
  if (is_scratch_name(name.text)) {
    std::string first;
    encode(first, static_cast<unsigned char>(name.text.front()));
    name.text.replace(0, 1, first);
  }
  if (name.text.size() > kMaxFileName) {
    const std::string hash = tag_of(key).substr(2, 16);
    std::size_t keep = kMaxFileName - hash.size() - 1;
    // Cut between characters, and not inside an escape.
    while (keep > 0 && (static_cast<unsigned char>(name.text[keep]) & 0xC0) == 0x80) --keep;
    for (std::size_t back = 1; back <= 2 && back <= keep; ++back)
      if (name.text[keep - back] == '%') {
        keep -= back;
        break;
      }
    name.text = name.text.substr(0, keep) + "%" + hash;
    name.cut = true;
  }
  return name;
}

std::string key_of(Bytes file_name) {
  if (file_name == "%") return {};
  std::string key;
  for (std::size_t i = 0; i < file_name.size(); ++i) {
    if (file_name[i] == '%' && i + 2 < file_name.size()) {
      const int high = hex_digit(file_name[i + 1]), low = hex_digit(file_name[i + 2]);
      if (high >= 0 && low >= 0) {
        key += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    key += file_name[i];
  }
  return key;
}

}  // namespace ckptree
