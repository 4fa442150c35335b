#include "fuse/locks.hpp"

#include <fcntl.h>
#include <sys/file.h>

namespace ckptree::fuse {
namespace {

LockRequest whole_file(std::uint64_t owner, LockRequest::Type type) {
  LockRequest r;
  r.owner = owner;
  r.whole_file = true;
  r.type = type;
  return r;
}

/// Outside a request nobody catches what is thrown; a file that is gone has no lock to wait for.
bool try_lock(Mount& mount, fuse_ino_t ino, const LockRequest& wanted) {
  try {
    return mount.set_lock(ino, wanted);
  } catch (...) {
    log(current_failure().text);
    return true;
  }
}

/// Tries once; who may wait is retried by the lock waiter until the lock is free or the caller is interrupted.
void set_lock(fuse_req_t req, fuse_ino_t ino, const LockRequest& wanted, bool wait) {
  answer(req, ino, nullptr, [&](Server& s) {
    if (s.mount.set_lock(ino, wanted)) {
      fuse_reply_err(req, 0);
    } else if (!wait) {
      fuse_reply_err(req, EAGAIN);
    } else {
      s.lock_waiter->wait([&s, ino, wanted] { return try_lock(s.mount, ino, wanted); },
                          [req] { return fuse_req_interrupted(req) != 0; },
                          [req](int error) { fuse_reply_err(req, error); });
    }
  });
}

LockRequest::Type lock_type_of(int type) {
  if (type == F_UNLCK) return LockRequest::Type::none;
  return type == F_RDLCK ? LockRequest::Type::shared : LockRequest::Type::exclusive;
}

LockRequest range_of(const fuse_file_info* fi, const struct flock* lock) {
  LockRequest r;
  r.owner = fi->lock_owner;
  r.type = lock_type_of(lock->l_type);
  r.begin = static_cast<std::uint64_t>(lock->l_start);
  if (lock->l_len > 0) r.end = r.begin + static_cast<std::uint64_t>(lock->l_len);
  r.process = lock->l_pid;
  return r;
}

}  // namespace

void getlk(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi, struct flock* lock) {
  answer(req, ino, nullptr, [&](Server& s) {
    const auto held = s.mount.test_lock(ino, range_of(fi, lock));
    struct flock found = *lock;
    found.l_type = F_UNLCK;
    if (held) {
      found.l_type = held->type == LockRequest::Type::shared ? F_RDLCK : F_WRLCK;
      found.l_whence = SEEK_SET;
      found.l_start = static_cast<off_t>(held->begin);
      found.l_len = held->end == ~std::uint64_t{0} ? 0 : static_cast<off_t>(held->end - held->begin);
      found.l_pid = held->process;
    }
    fuse_reply_lock(req, &found);
  });
}

void setlk(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi, struct flock* lock, int sleep) {
  set_lock(req, ino, range_of(fi, lock), sleep != 0);
}

void flock(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi, int operation) {
  const int kind = operation & ~LOCK_NB;
  const auto type = kind == LOCK_UN   ? LockRequest::Type::none
                    : kind == LOCK_SH ? LockRequest::Type::shared
                                      : LockRequest::Type::exclusive;
  set_lock(req, ino, whole_file(fi->lock_owner, type), !(operation & LOCK_NB));
}

void give_back_ranges(Mount& mount, fuse_ino_t ino, const fuse_file_info* fi) {
  LockRequest all;
  all.owner = fi->lock_owner;
  mount.set_lock(ino, all);
}

void give_back_file(Mount& mount, fuse_ino_t ino, const fuse_file_info* fi) {
  if (fi->flock_release) mount.set_lock(ino, whole_file(fi->lock_owner, LockRequest::Type::none));
}

}  // namespace ckptree::fuse
