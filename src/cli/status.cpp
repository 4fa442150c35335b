#include "cli/status.hpp"

#include <cerrno>
#include <cstdio>
#include <iterator>
#include <system_error>

namespace ckptree::cli {

namespace {

constexpr StatusMeaning kStatuses[] = {
    {Status::ok, "success; after an unmount: everything was committed"},
    {Status::failure, "any other failure"},
    {Status::usage, "bad usage: an unknown option, a missing argument"},
    {Status::no_source, "no such source"},
    {Status::not_a_checkpoint, "the source is not a checkpoint, or none of a kind that can be shown"},
    {Status::damaged, "the checkpoint is damaged"},
    {Status::mount_point, "the mount point is missing, no directory, or busy"},
    {Status::no_fuse, "there is no /dev/fuse"},
    {Status::no_permission, "no permission"},
    {Status::not_committed, "an edit was not committed: refused by write, or left in rejected/ at unmount"},
};

}  // namespace

xtl::span<const StatusMeaning> all_statuses() { return {kStatuses, std::size(kStatuses)}; }

Status status_of(Errc code) {
  switch (code) {
    case Errc::not_a_checkpoint: return Status::not_a_checkpoint;
    case Errc::corrupt: return Status::damaged;
    case Errc::mount_point: return Status::mount_point;
    case Errc::no_fuse: return Status::no_fuse;
    case Errc::no_permission: return Status::no_permission;
    case Errc::rejected:
    case Errc::incomplete:
    case Errc::stale:
    case Errc::hard_links: return Status::not_committed;
    case Errc::not_found:
    case Errc::invalid:
    case Errc::exists:
    case Errc::not_empty:
    case Errc::is_directory:
    case Errc::not_directory:
    case Errc::name_too_long:
    case Errc::immutable:
    case Errc::last_one:
    case Errc::read_only:
    case Errc::busy:
    case Errc::ambiguous:
    case Errc::too_large:
    case Errc::no_space:
    case Errc::io:
    case Errc::cross_checkpoint:
    case Errc::unsupported:
    case Errc::no_data: return Status::failure;
  }
  return Status::failure;
}

Status status_of_errno(int number) {
  return number == EACCES || number == EPERM ? Status::no_permission : Status::failure;
}

Ending current_ending() noexcept {
  try {
    throw;
  } catch (const Stop& e) {
    return {e.status(), e.what()};
  } catch (const Error& e) {
    return {status_of(e.code()), e.what()};
  } catch (const std::system_error& e) {
    return {status_of_errno(e.code().value()), e.what()};
  } catch (const std::bad_alloc&) {
    return {Status::failure, "out of memory"};
  } catch (const std::exception& e) {
    return {Status::failure, e.what()};
  } catch (...) {
    return {Status::failure, "an unknown failure"};
  }
}

void complain(const std::string& text) {
  // One call, so that lines of several processes on one terminal do not mix.
  const std::string line = "ckptree: " + text + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

}  // namespace ckptree::cli
