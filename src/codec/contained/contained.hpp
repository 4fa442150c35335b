#pragma once

#include "ckptree/source.hpp"

namespace ckptree {

/// The same source, but a directory of it that is a symbolic link is followed only when it leads to another directory
/// of the checkpoint that is not above it, and only two of them in one path: what lists all of it comes to an end, and
/// sees nothing else of the machine. A file that is a link is followed wherever it leads: that is how caches of
/// downloads store checkpoints. What is not followed is std::system_error ELOOP in `list` and `open`, with the path.
/// A source that is not on the disk has no links.
Ptr<Source> contained_source(Ptr<Source> source);

}  // namespace ckptree
