#pragma once

#include "fuse/request.hpp"

namespace ckptree::fuse {

/// fcntl(2) and flock(2) locks.
void getlk(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi, struct flock* lock);
void setlk(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi, struct flock* lock, int sleep);
void flock(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi, int operation);

/// A close gives back the fcntl locks of its process; the last one of an open file its flock.
void give_back_ranges(Mount& mount, fuse_ino_t ino, const fuse_file_info* fi);
void give_back_file(Mount& mount, fuse_ino_t ino, const fuse_file_info* fi);

}  // namespace ckptree::fuse
