#include "ckptree/error.hpp"

#include <cerrno>
#include <new>
#include <system_error>

namespace ckptree {

Meaning meaning_of(Errc code) {
  switch (code) {
    case Errc::not_found: return {ENOENT, "no such entry"};
    case Errc::rejected: return {EBADMSG, "edit failed validation"};
    case Errc::incomplete: return {EBADMSG, "the text ends too early"};
    case Errc::invalid: return {EINVAL, "invalid argument"};
    case Errc::exists: return {EEXIST, "exists already"};
    case Errc::not_empty: return {ENOTEMPTY, "directory is not empty"};
    case Errc::is_directory: return {EISDIR, "is a directory"};
    case Errc::not_directory: return {ENOTDIR, "is not a directory"};
    case Errc::name_too_long: return {ENAMETOOLONG, "name is too long"};
    case Errc::immutable: return {EPERM, "cannot be edited"};
    case Errc::last_one: return {EPERM, "the last one cannot be removed"};
    case Errc::no_permission: return {EACCES, "no permission"};
    case Errc::read_only: return {EROFS, "read-only"};
    case Errc::busy: return {EBUSY, "busy"};
    case Errc::hard_links: return {EMLINK, "checkpoint has several hard links"};
    case Errc::ambiguous: return {ENOTUNIQ, "several members of that name"};
    case Errc::stale: return {ESTALE, "checkpoint changed underneath"};
    case Errc::corrupt: return {EUCLEAN, "checkpoint is damaged"};
    case Errc::not_a_checkpoint: return {EMEDIUMTYPE, "not a checkpoint"};
    case Errc::too_large: return {EFBIG, "too large"};
    case Errc::no_space: return {ENOSPC, "no space left"};
    case Errc::io: return {EIO, "input or output failed"};
    case Errc::cross_checkpoint: return {EXDEV, "another checkpoint"};
    case Errc::unsupported: return {EOPNOTSUPP, "not supported"};
    case Errc::no_data: return {ENODATA, "no such attribute"};
    case Errc::mount_point: return {ENOTDIR, "mount point cannot be used"};
    case Errc::no_fuse: return {ENODEV, "FUSE is not available"};
  }
  return {EIO, "unknown error"};
}

Failure current_failure() noexcept {
  try {
    throw;
  } catch (const Error& e) {
    return {meaning_of(e.code()).number, e.what(), e.code()};
  } catch (const std::system_error& e) {
    return {e.code().value() > 0 ? e.code().value() : EIO, e.what()};
  } catch (const std::bad_alloc&) {
    return {ENOMEM, "out of memory"};
  } catch (const std::exception& e) {
    return {EIO, e.what()};
  } catch (...) {
    return {EIO, "unknown failure"};
  }
}

void throw_errno(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace ckptree
