#pragma once

#include <string>

#include "ckptree/fd.hpp"

namespace ckptree {

/// What stands at a path, and where that is without symbolic links. It is held, not opened: a device or a FIFO does not
/// notice, and what is found here is what `/proc/self/fd` opens, whatever its name leads to by then.
struct Found {
  explicit Found(const std::string& path);  // @throws std::system_error with the path

  std::string handle() const;  // a path that opens it

  Fd fd;
  std::string real;
};

}  // namespace ckptree
