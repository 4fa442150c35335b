#pragma once

#include "ckptree/format.hpp"

namespace ckptree {

/// Any directory that is no checkpoint: its folders, and every checkpoint in them as a directory under its own name.
/// What a checkpoint is, ViewOptions::is_checkpoint says.
const Format& collection_format();

}  // namespace ckptree
