#pragma once

#include "ckptree/bytes.hpp"

namespace ckptree {

/// Whether a path from a file or a user names something below the directory it is looked up in: no empty, "." or ".."
/// component, no leading '/', no NUL.
inline bool is_plain_path(Bytes path) noexcept {
  if (path.find('\0') != Bytes::npos) return false;
  for (;;) {
    const std::size_t end = path.find('/');
    const Bytes part = path.substr(0, end);
    if (part.empty() || part == "." || part == "..") return false;
    if (end == Bytes::npos) return true;
    path.remove_prefix(end + 1);
  }
}

/// The same for something in the directory itself.
inline bool is_plain_name(Bytes name) noexcept { return name.find('/') == Bytes::npos && is_plain_path(name); }

}  // namespace ckptree
