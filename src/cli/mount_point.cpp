#include "cli/mount_point.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "ckptree/fd.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

namespace {

constexpr const char* kFuseDevice = "/dev/fuse";

/// mountinfo spells blank, tab, newline and backslash as three octal digits.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? real.get() : "";
}

}  // namespace

std::optional<MountEntry> mounted_on(const std::string& path) {
  std::ifstream table("/proc/self/mountinfo");
  std::optional<MountEntry> found;
  for (std::string line; std::getline(table, line);) {
    // id parent major:minor root POINT options [optional ...] - TYPE SOURCE options.
    // A later line covers an earlier one.
    std::istringstream fields(line);
    std::string skipped, point, type, source;
    for (int i = 0; i < 4; ++i) fields >> skipped;
    fields >> point;
    while (fields >> skipped && skipped != "-") {
    }
    fields >> type >> source;
    if (unescape(point) == path) found = MountEntry{path, type, unescape(source)};
  }
  return found;
}

bool is_descriptor(const std::string& mount_point) {
  static const std::string kPrefix = "/dev/fd/";
  const std::string digits = mount_point.substr(std::min(kPrefix.size(), mount_point.size()));
  return mount_point.compare(0, kPrefix.size(), kPrefix) == 0 && !digits.empty() &&
         digits.find_first_not_of("0123456789") == std::string::npos;
}

std::string check_mount_point(const std::string& mount_point, const std::string& source) {
  const auto unfit = [&](const std::string& why) { return Stop(Status::mount_point, mount_point + ": " + why); };
  struct stat st;
  if (::stat(mount_point.c_str(), &st) != 0) {
    if (errno == ENOENT) throw unfit("no such directory to mount on");
    if (errno == ENOTDIR) throw unfit("not a directory");
    if (errno == ENOTCONN)
      throw unfit("busy: the mount of a program that is gone; remove it with: ckptree umount " + mount_point);
    if (errno == EACCES) throw Stop(Status::no_permission, mount_point + ": no permission to go there");
    throw unfit(std::strerror(errno));
  }
  if (!S_ISDIR(st.st_mode)) throw unfit("not a directory");
  const std::string real = real_path(mount_point);
  if (real.empty()) throw unfit(std::strerror(errno));
  // An automounter's own mount is there to be covered.
  const auto there = mounted_on(real);
  if (there && there->type != "autofs")
    throw unfit("busy: " + there->source + " is mounted there (" + there->type + ")");
  // A commit writes beside the source, by its path: below the mount that would be a request to itself.
  const std::string below = real == "/" ? real : real + "/";
  if (real_path(source).compare(0, below.size(), below) == 0)
    throw Stop(Status::usage, mount_point + ": " + source + " lies below this mount point and would be hidden by it");
  if (::access(real.c_str(), W_OK) != 0)
    throw Stop(Status::no_permission, mount_point + ": no permission to mount there: it is not writable for you");
  return real;
}

void check_fuse_device() {
  const Fd device(::open(kFuseDevice, O_RDWR | O_CLOEXEC));
  if (device) return;
  if (errno == EACCES || errno == EPERM)
    throw Stop(Status::no_permission, std::string(kFuseDevice) + ": no permission to use it");
  throw Stop(Status::no_fuse, std::string(kFuseDevice) + ": " + std::strerror(errno) +
                                  "; load it with 'modprobe fuse', or give the container --device /dev/fuse");
}

}  // namespace ckptree::cli
