#include "cli/serve.hpp"

#include <sys/resource.h>

namespace ckptree::cli {

void allow_many_files() {
  rlimit files;
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);  // where that is refused it stays as it was
}

MountOptions tree_options(const Options& o) {
  MountOptions t;
  t.read_only = o.view.read_only;
  t.uid = o.uid;
  t.gid = o.gid;
  t.umask = o.umask.value_or(0);
  t.attribute_timeout_s = o.attr_timeout;
  t.entry_timeout_s = o.entry_timeout;
  t.scratch_limit = o.scratch_limit;
  return t;
}

fuse::FuseOptions fuse_options(const Options& o, const std::string& mount_point, const std::string& source) {
  fuse::FuseOptions f;
  f.mount_point = mount_point;
  f.fsname = o.fsname.empty() ? source : o.fsname;
  f.subtype = o.subtype;
  f.read_only = o.view.read_only;
  f.allow_other = o.allow_other;
  f.allow_root = o.allow_root;
  f.kernel = o.kernel;
  return f;
}

}  // namespace ckptree::cli
