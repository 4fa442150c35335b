// FUSE requests to Mount methods and back: find the argument, call one method, reply. No decision lives here.
#include "fuse/operations.hpp"

#include <fcntl.h>

#include <cstring>
#include <string>

#include "fuse/locks.hpp"

namespace ckptree::fuse {
namespace {

// From this size on the kernel takes the bytes from the file itself; smaller reads are cheaper copied.
constexpr std::size_t kSplice = 128 * 1024;

void init(void* userdata, fuse_conn_info* conn) {
  auto& s = *static_cast<Server*>(userdata);
  // The bytes behind an inode number never change under the kernel's hands; asking for mtime at every read costs half.
  conn->want &= ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA);
  for (const unsigned wish : {FUSE_CAP_SPLICE_WRITE, FUSE_CAP_SPLICE_MOVE, FUSE_CAP_READDIRPLUS,
                              FUSE_CAP_READDIRPLUS_AUTO, FUSE_CAP_PARALLEL_DIROPS, FUSE_CAP_ATOMIC_O_TRUNC})
    if (conn->capable & wish) conn->want |= wish;
  if (s.mounted) s.mounted();
}

void lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  answer(req, parent, name, [&](Server& s) {
    const auto entry = s.mount.lookup(parent, name, caller_of(req));
    if (!entry) {
      fuse_reply_err(req, ENOENT);
      return;
    }
    const fuse_entry_param p = param_of(*entry);
    fuse_reply_entry(req, &p);
  });
}

void forget(fuse_req_t req, fuse_ino_t ino, std::uint64_t lookups) {
  server_of(req).mount.forget(ino, lookups);
  fuse_reply_none(req);
}

void forget_multi(fuse_req_t req, std::size_t count, fuse_forget_data* forgets) {
  for (std::size_t i = 0; i < count; ++i) server_of(req).mount.forget(forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none(req);
}

void getattr(fuse_req_t req, fuse_ino_t ino, fuse_file_info*) {
  answer(req, ino, nullptr, [&](Server& s) {
    const Entry e = s.mount.attributes(ino);
    fuse_reply_attr(req, &e.attributes, e.attribute_timeout_s);
  });
}

/// Attributes but for the size are no edit: tools set them beside one, and live without.
void setattr(fuse_req_t req, fuse_ino_t ino, struct stat* attr, int to_set, fuse_file_info*) {
  const Request kind = to_set & FUSE_SET_ATTR_SIZE ? Request::edit : Request::look;
  const auto set = [&](Server& s) {
    NewAttributes wanted;
    if (to_set & FUSE_SET_ATTR_MODE) wanted.mode = attr->st_mode;
    if (to_set & FUSE_SET_ATTR_UID) wanted.uid = attr->st_uid;
    if (to_set & FUSE_SET_ATTR_GID) wanted.gid = attr->st_gid;
    if (to_set & FUSE_SET_ATTR_SIZE) wanted.size = static_cast<std::uint64_t>(attr->st_size);
    if (to_set & FUSE_SET_ATTR_ATIME) wanted.atime = attr->st_atim;
    if (to_set & FUSE_SET_ATTR_MTIME) wanted.mtime = attr->st_mtim;
    if (to_set & FUSE_SET_ATTR_ATIME_NOW) wanted.atime = std::timespec{0, UTIME_NOW};
    if (to_set & FUSE_SET_ATTR_MTIME_NOW) wanted.mtime = std::timespec{0, UTIME_NOW};
    const auto entry = s.mount.set_attributes(ino, wanted, caller_of(req));
    if (entry) fuse_reply_attr(req, &entry->attributes, entry->attribute_timeout_s);
    else fuse_reply_err(req, ESTALE);  // the kernel looks the name up again and finds the draft
  };
  answer(kind, req, ino, nullptr, set);
}

void readlink(fuse_req_t req, fuse_ino_t ino) {
  answer(req, ino, nullptr, [&](Server& s) {
    const std::string target = s.mount.read_link(ino);
    fuse_reply_readlink(req, target.c_str());
  });
}

/// A request that made a name: the entry goes back.
template <class Make>
void answer_made(fuse_req_t req, fuse_ino_t parent, const char* name, Make make) {
  answer(Request::edit, req, parent, name, [&](Server& s) {
    Entry made;
    make(s.mount, made);
    const fuse_entry_param p = param_of(made);
    fuse_reply_entry(req, &p);
  });
}

void mknod(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  answer_made(req, parent, name,
              [&](Mount& m, Entry& made) { m.make_node(parent, name, mode, device, caller_of(req), made); });
}

void mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  answer_made(req, parent, name,
              [&](Mount& m, Entry& made) { m.make_directory(parent, name, mode, caller_of(req), made); });
}

void symlink(fuse_req_t req, const char* target, fuse_ino_t parent, const char* name) {
  answer_made(req, parent, name,
              [&](Mount& m, Entry& made) { m.make_link(parent, name, target, caller_of(req), made); });
}

void link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char* name) {
  answer_made(req, parent, name, [&](Mount& m, Entry& made) { m.hard_link(ino, parent, name, caller_of(req), made); });
}

/// A request that only changes names.
template <class Change>
void answer_changed(fuse_req_t req, fuse_ino_t parent, const char* name, Change change) {
  answer(Request::edit, req, parent, name, [&](Server& s) {
    change(s.mount);
    fuse_reply_err(req, 0);
  });
}

void unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  answer_changed(req, parent, name, [&](Mount& m) { m.unlink(parent, name, caller_of(req)); });
}

void rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  answer_changed(req, parent, name, [&](Mount& m) { m.remove_directory(parent, name, caller_of(req)); });
}

void rename(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t new_parent, const char* new_name,
            unsigned flags) {
  answer_changed(req, new_parent, new_name,
                 [&](Mount& m) { m.rename(parent, name, new_parent, new_name, flags, caller_of(req)); });
}

void open(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  const auto open = [&](Server& s) {
    const auto opened = s.mount.open(ino, fi->flags, caller_of(req));
    if (!opened) {
      fuse_reply_err(req, ESTALE);  // the kernel looks the name up again and finds the draft
      return;
    }
    apply(fi, *opened);
    if (fuse_reply_open(req, fi) != 0) s.mount.release(opened->handle);
  };
  answer((fi->flags & O_ACCMODE) == O_RDONLY ? Request::look : Request::edit, req, ino, nullptr, open);
}

void create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* fi) {
  answer(Request::edit, req, parent, name, [&](Server& s) {
    const auto [entry, opened] = s.mount.create(parent, name, mode, fi->flags, caller_of(req));
    apply(fi, opened);
    const fuse_entry_param p = param_of(entry);
    if (fuse_reply_create(req, &p, fi) != 0) s.mount.release(opened.handle);
  });
}

void read(fuse_req_t req, fuse_ino_t ino, std::size_t size, off_t at, fuse_file_info* fi) {
  answer(req, ino, nullptr, [&](Server& s) {
    const auto from = static_cast<std::uint64_t>(at);
    if (size >= kSplice) {
      if (const auto place = s.mount.locate(fi->fh, from, size)) {
        fuse_bufvec data{};  // FUSE_BUFVEC_INIT is C, and clang says so
        data.count = 1;
        data.buf[0].size = place->size;
        data.buf[0].flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY);
        data.buf[0].fd = place->descriptor;
        data.buf[0].pos = static_cast<off_t>(place->at);
        fuse_reply_data(req, &data, FUSE_BUF_SPLICE_MOVE);
        return;
      }
    }
    thread_local std::string buffer;
    if (buffer.size() < size) buffer.resize(size);
    const std::size_t n = s.mount.read(fi->fh, from, Buffer(buffer.data(), size));
    fuse_reply_buf(req, buffer.data(), n);
  });
}

void write(fuse_req_t req, fuse_ino_t ino, const char* bytes, std::size_t size, off_t at, fuse_file_info* fi) {
  answer(Request::edit, req, ino, nullptr, [&](Server& s) {
    s.mount.write(fi->fh, static_cast<std::uint64_t>(at), Bytes(bytes, size), caller_of(req));
    fuse_reply_write(req, size);
  });
}

void flush(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  answer(req, ino, nullptr, [&](Server& s) {
    give_back_ranges(s.mount, ino, fi);
    s.mount.flush(fi->fh, caller_of(req));
    fuse_reply_err(req, 0);
  });
}

void fsync(fuse_req_t req, fuse_ino_t ino, int, fuse_file_info* fi) {
  answer(req, ino, nullptr, [&](Server& s) {
    s.mount.sync(fi->fh, caller_of(req));
    fuse_reply_err(req, 0);
  });
}

void release(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  answer(req, ino, nullptr, [&](Server& s) {
    give_back_file(s.mount, ino, fi);
    s.mount.release(fi->fh);
    fuse_reply_err(req, 0);
  });
}

void fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t at, off_t size, fuse_file_info* fi) {
  answer(req, ino, nullptr, [&](Server& s) {
    s.mount.allocate(fi->fh, mode, static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(size));
    fuse_reply_err(req, 0);
  });
}

void opendir(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  answer(req, ino, nullptr, [&](Server& s) {
    fi->fh = s.mount.open_directory(ino, caller_of(req));
    if (fuse_reply_open(req, fi) != 0) s.mount.release_directory(fi->fh);
  });
}

void readdir(fuse_req_t req, fuse_ino_t ino, std::size_t size, off_t from, fuse_file_info* fi) {
  answer(req, ino, nullptr, [&](Server& s) {
    std::string out(size, '\0');
    std::size_t used = 0;
    s.mount.list(fi->fh, static_cast<std::uint64_t>(from), [&](const ListedEntry& e, std::uint64_t next) {
      const std::size_t n = fuse_add_direntry(req, out.data() + used, size - used, e.name.c_str(), &e.attributes,
                                              static_cast<off_t>(next));
      if (n > size - used) return false;
      used += n;
      return true;
    });
    fuse_reply_buf(req, out.data(), used);
  });
}

void readdirplus(fuse_req_t req, fuse_ino_t ino, std::size_t size, off_t from, fuse_file_info* fi) {
  answer(req, ino, nullptr, [&](Server& s) {
    std::string out(size, '\0');
    std::size_t used = 0;
    s.mount.list_entries(fi->fh, static_cast<std::uint64_t>(from), caller_of(req),
                         [&](const ListedEntry& e, const Entry& entry, std::uint64_t next) {
                           fuse_entry_param p = param_of(entry);
                           if (entry.ino == 0) p.attr = e.attributes;
                           const std::size_t n = fuse_add_direntry_plus(req, out.data() + used, size - used,
                                                                        e.name.c_str(), &p, static_cast<off_t>(next));
                           if (n > size - used) return false;
                           used += n;
                           return true;
                         });
    fuse_reply_buf(req, out.data(), used);
  });
}

void releasedir(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  answer(req, ino, nullptr, [&](Server& s) {
    s.mount.release_directory(fi->fh);
    fuse_reply_err(req, 0);
  });
}

void statfs(fuse_req_t req, fuse_ino_t ino) {
  answer(req, ino, nullptr, [&](Server& s) {
    const struct statvfs fs = s.mount.space();
    fuse_reply_statfs(req, &fs);
  });
}

void reply_bytes(fuse_req_t req, const std::string& value, std::size_t room) {
  if (room == 0) fuse_reply_xattr(req, value.size());
  else if (value.size() > room) fuse_reply_err(req, ERANGE);
  else fuse_reply_buf(req, value.data(), value.size());
}

void getxattr(fuse_req_t req, fuse_ino_t ino, const char* name, std::size_t size) {
  // The kernel asks for those of its own before every write, `ls -l` for each file it lists; they never exist.
  if (std::strncmp(name, "user.", 5) != 0) {
    fuse_reply_err(req, ENODATA);
    return;
  }
  answer(req, ino, nullptr, [&](Server& s) { reply_bytes(req, s.mount.get_attribute(ino, name), size); });
}

void listxattr(fuse_req_t req, fuse_ino_t ino, std::size_t size) {
  answer(req, ino, nullptr, [&](Server& s) {
    std::string all;
    for (const std::string& name : s.mount.list_attributes(ino)) all += name + '\0';
    reply_bytes(req, all, size);
  });
}

void setxattr(fuse_req_t req, fuse_ino_t ino, const char* name, const char* value, std::size_t size, int flags) {
  answer(req, ino, nullptr, [&](Server& s) {
    s.mount.set_attribute(ino, name, Bytes(value, size), flags);
    fuse_reply_err(req, 0);
  });
}

void removexattr(fuse_req_t req, fuse_ino_t ino, const char* name) {
  answer(req, ino, nullptr, [&](Server& s) {
    s.mount.remove_attribute(ino, name);
    fuse_reply_err(req, 0);
  });
}

}  // namespace

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops ops{};
  ops.init = init;
  ops.lookup = lookup;
  ops.forget = forget;
  ops.forget_multi = forget_multi;
  ops.getattr = getattr;
  ops.setattr = setattr;
  ops.readlink = readlink;
  ops.mknod = mknod;
  ops.mkdir = mkdir;
  ops.symlink = symlink;
  ops.link = link;
  ops.unlink = unlink;
  ops.rmdir = rmdir;
  ops.rename = rename;
  ops.open = open;
  ops.create = create;
  ops.read = read;
  ops.write = write;
  ops.flush = flush;
  ops.fsync = fsync;
  ops.release = release;
  ops.fallocate = fallocate;
  ops.getlk = getlk;
  ops.setlk = setlk;
  ops.flock = flock;
  ops.opendir = opendir;
  ops.readdir = readdir;
  ops.readdirplus = readdirplus;
  ops.releasedir = releasedir;
  ops.statfs = statfs;
  ops.getxattr = getxattr;
  ops.listxattr = listxattr;
  ops.setxattr = setxattr;
  ops.removexattr = removexattr;
  return ops;
}

}  // namespace ckptree::fuse
