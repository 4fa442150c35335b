#pragma once

#include "fuse/request.hpp"

namespace ckptree::fuse {

/// The table libfuse calls. Its userdata is a Server.
fuse_lowlevel_ops operations();

}  // namespace ckptree::fuse
