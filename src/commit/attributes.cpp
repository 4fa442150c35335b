#include "commit/attributes.hpp"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "ckptree/error.hpp"

namespace ckptree {
namespace {

using Names = std::vector<std::string>;

bool starts_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

/// Set by the kernel over the content of one file: wrong on another.
bool is_about_content(const std::string& attribute) {
  return attribute == "security.ima" || attribute == "security.evm";
}

/// Users' own attributes and ACLs. What else there is (security.*, trusted.*, lustre.*) belongs to the kernel or to the
/// filesystem: kept where that is permitted, never taken from the new file.
bool is_promised(const std::string& attribute) {
  return starts_with(attribute, "user.") || starts_with(attribute, "system.");
}

/// Asks `get` with a larger buffer until its answer fits: another program may add to it between the two calls.
template <class Get>
ssize_t read_growing(std::vector<char>& into, Get get) {
  for (;;) {
    const ssize_t needed = get(nullptr, 0);
    if (needed <= 0) return needed;
    into.resize(static_cast<std::size_t>(needed));
    const ssize_t n = get(into.data(), into.size());
    if (n >= 0 || errno != ERANGE) return n;
  }
}

Names attribute_names(int fd, const std::string& name) {
  std::vector<char> text;
  const ssize_t n = read_growing(text, [&](char* p, std::size_t size) { return ::flistxattr(fd, p, size); });
  if (n < 0 && errno == EOPNOTSUPP) return {};
  if (n < 0) throw_errno("list the extended attributes of " + name);
  Names names;
  for (const char *p = text.data(), *end = p + n; p < end; p += names.back().size() + 1) names.emplace_back(p);
  return names;
}

void copy_attribute(int from, int to, const std::string& attribute, const std::string& name) {
  std::vector<char> value;
  const ssize_t n =
      read_growing(value, [&](char* p, std::size_t size) { return ::fgetxattr(from, attribute.c_str(), p, size); });
  if (n < 0 && errno == ENODATA) return;  // removed just now
  if (n >= 0 && ::fsetxattr(to, attribute.c_str(), value.data(), static_cast<std::size_t>(n), 0) == 0) return;
  if (!is_promised(attribute)) return;
  throw_errno("keep the extended attribute " + attribute + " of " + name);
}

}  // namespace

void copy_attributes(int from, int to, const std::string& name) {
  struct stat old, fresh;
  if (::fstat(from, &old) != 0 || ::fstat(to, &fresh) != 0) throw_errno("stat " + name);
  // The owner first: changing it clears set-id bits and file capabilities.
  if ((old.st_uid != fresh.st_uid || old.st_gid != fresh.st_gid) && ::fchown(to, old.st_uid, old.st_gid) != 0) {
    if (errno == EPERM || errno == EINVAL)
      throw Error(Errc::no_permission, name + ": belongs to user " + std::to_string(old.st_uid) + " and group " +
                                           std::to_string(old.st_gid) + ", and a new file cannot be given to them");
    throw_errno("give to the owner of " + name);
  }
  if (::fchmod(to, old.st_mode & 07777) != 0) throw_errno("set the mode of " + name);
  const Names wanted = attribute_names(from, name);
  for (const std::string& attribute : attribute_names(to, name)) {
    if (!is_promised(attribute) || std::find(wanted.begin(), wanted.end(), attribute) != wanted.end()) continue;
    if (::fremovexattr(to, attribute.c_str()) != 0 && errno != ENODATA)
      throw_errno("remove the extended attribute " + attribute + ", which " + name + " does not have");
  }
  for (const std::string& attribute : wanted)
    if (!is_about_content(attribute)) copy_attribute(from, to, attribute, name);
}

}  // namespace ckptree
