#pragma once

#include <string>
#include <vector>

#include "ckptree/bytes.hpp"

namespace ckptree {

/// A place in the tree: names from the top, as they are shown. The top itself is empty.
using TreePath = std::vector<std::string>;

/// "a/b/c". @see parse_path
std::string to_string(const TreePath& path);
/// Splits at '/', drops empty parts. @throws Error Errc::invalid for "." and ".."
TreePath parse_path(const std::string& text);

/// A key of a checkpoint as a file name, and back: reversible percent-encoding (tree.md section 1, "Names are
/// reversible"). A name over 255 bytes is cut and hashed; then `cut` is true and the key cannot be had back from it.
struct FileName {
  std::string text;
  bool cut = false;
};
FileName file_name_of(Bytes key);
std::string key_of(Bytes file_name);

/// Editors' and tools' temporaries: `*~ *.sw? sed?????? .* #*#`. Such a name never becomes a key, unless its first
/// character is spelled as an escape (`%2Ehidden`).
bool is_scratch_name(Bytes name);

}  // namespace ckptree
