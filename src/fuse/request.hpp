#pragma once

// What every operation is made of: who asks, the one boundary of errors, replies.
#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <utility>

#include "ckptree/error.hpp"
#include "ckptree/log.hpp"
#include "ckptree/mount.hpp"
#include "fuse/lock_waiter.hpp"
#include "fuse/notifier.hpp"

namespace ckptree::fuse {

struct Server {
  Mount& mount;
  std::function<void()> mounted;
  std::unique_ptr<Notifier> notifier, top_notifier;  // the latter: see settle_around
  std::unique_ptr<LockWaiter> lock_waiter;
};

inline Server& server_of(fuse_req_t req) { return *static_cast<Server*>(fuse_req_userdata(req)); }

inline Caller caller_of(fuse_req_t req) {
  const fuse_ctx* c = fuse_req_ctx(req);
  return {c->pid, c->uid, c->gid, c->umask};
}

inline bool worth_telling(int error) {
  return error != ENOENT && error != ENODATA && error != EEXIST && error != EOPNOTSUPP;
}

/// The boundary: the only catch that speaks errno. `ino` and `name` say which file an error is remembered for.
template <class Body>
void answer(fuse_req_t req, fuse_ino_t ino, const char* name, Body body) noexcept {
  Failure failure{0, {}};
  try {
    body(server_of(req));
    return;
  } catch (...) {
    failure = current_failure();
  }
  try {
    if (worth_telling(failure.number)) server_of(req).mount.note_failure(ino, name ? name : "", failure.text);
  } catch (...) {
    log(current_failure().text);
  }
  fuse_reply_err(req, failure.number);
}

inline fuse_entry_param param_of(const Entry& e) {
  fuse_entry_param p{};
  p.ino = e.ino;
  p.generation = 1;  // numbers are never used twice
  p.attr = e.attributes;
  p.attr_timeout = e.attribute_timeout_s;
  p.entry_timeout = e.entry_timeout_s;
  return p;
}

inline void apply(fuse_file_info* fi, const Opened& opened) {
  fi->fh = opened.handle;
  fi->direct_io = opened.direct_io;
  fi->keep_cache = opened.keep_cache;
}

/// Invalidate, then reply: for requests that hold no lock of a directory.
inline void settle_then(Server& s, Invalidations stale, std::function<void()> reply) {
  if (stale.empty()) reply();
  else s.notifier->tell(std::move(stale), std::move(reply));
}

/// For requests that hold the locks of directories `a` and `b` until they are answered. What lies in one of them, or deeper,
/// is told after the reply. Names in the top directory are told before it when the locks are others: whoever holds the
/// top's lock is answered without the notifier of the top, so that lock comes free.
inline void settle_around(Server& s, Invalidations stale, Ino a, Ino b, std::function<void()> reply) {
  Invalidations before, after;
  for (Invalidation& i : stale)
    (i.parent == kRoot && a != kRoot && b != kRoot ? before : after).push_back(std::move(i));
  auto finish = [&s, reply = std::move(reply), after = std::move(after)]() mutable {
    reply();
    if (!after.empty()) s.notifier->tell(std::move(after));
  };
  if (before.empty()) finish();
  else s.top_notifier->tell(std::move(before), std::move(finish));
}

}  // namespace ckptree::fuse
