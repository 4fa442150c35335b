#include "real_path.hpp"

#include <fcntl.h>

#include <cerrno>
#include <climits>

#include "ckptree/error.hpp"

namespace ckptree {

Found::Found(const std::string& path) : fd(::open(path.c_str(), O_PATH | O_CLOEXEC)) {
  if (!fd) throw_errno(path);
  char text[PATH_MAX];
  const ssize_t n = ::readlink(handle().c_str(), text, sizeof text);
  if (n < 0) throw_errno(path);
  real.assign(text, static_cast<std::size_t>(n));
  if (real != path + " (deleted)") return;
  errno = ENOENT;  // it went in between
  throw_errno(path);
}

std::string Found::handle() const { return "/proc/self/fd/" + std::to_string(fd.get()); }

}  // namespace ckptree
