#include "ckptree/row.hpp"

namespace ckptree {

std::optional<Match> match(std::string_view pattern, const TreePath& path) {
  Match m;
  std::size_t i = 0;
  while (!pattern.empty()) {
    const std::size_t slash = pattern.find('/');
    const std::string_view part = pattern.substr(0, slash);
    pattern = slash == std::string_view::npos ? std::string_view() : pattern.substr(slash + 1);
    if (part == "**") {
      m.names.insert(m.names.end(), path.begin() + static_cast<std::ptrdiff_t>(i), path.end());
      return m;
    }
    if (i == path.size()) return std::nullopt;
    if (part == "*") {
      m.names.push_back(path[i]);
    } else if (part != path[i]) {
      return std::nullopt;
    }
    ++i;
  }
  if (i != path.size()) return std::nullopt;
  return m;
}

}  // namespace ckptree
