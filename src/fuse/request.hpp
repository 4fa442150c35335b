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

namespace ckptree::fuse {

struct Server {
  Mount& mount;
  std::function<void()> mounted;
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

/// An edit that was not made because of what it is, or of what the checkpoint is. Others fail on any filesystem, and
/// tools live with them: `mv` with EXDEV, `rmdir` with ENOTEMPTY.
inline bool is_refusal(const Failure& failure) {
  switch (failure.number) {
    case ENOENT:
    case EEXIST:
    case ENOTEMPTY:
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EINVAL:
    case EXDEV: return false;
    default: return true;
  }
}

/// What a request is for.
enum class Request { look, edit };

/// The boundary: the only catch that speaks errno. `ino` and `name` say which file an error is remembered for.
template <class Body>
void answer(Request kind, fuse_req_t req, fuse_ino_t ino, const char* name, Body body) noexcept {
  Failure failure{0, {}};
  try {
    body(server_of(req));
    return;
  } catch (...) {
    failure = current_failure();
  }
  try {
    const bool refused = kind == Request::edit && is_refusal(failure);
    if (worth_telling(failure.number) || refused)
      server_of(req).mount.note_failure(ino, name ? name : "", failure.text, refused);
  } catch (...) {
    log(current_failure().text);
  }
  fuse_reply_err(req, failure.number);
}

template <class Body>
void answer(fuse_req_t req, fuse_ino_t ino, const char* name, Body body) noexcept {
  answer(Request::look, req, ino, name, std::move(body));
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
  fi->noflush = opened.no_flush;
}

}  // namespace ckptree::fuse
