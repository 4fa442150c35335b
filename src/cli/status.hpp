#pragma once

#include <stdexcept>
#include <string>

#include <xtl/xspan.hpp>

#include "ckptree/error.hpp"

namespace ckptree::cli {

/// How the program ends. The numbers are part of the interface: scripts and /etc/fstab act on them.
enum class Status : int {
  ok = 0,
  failure = 1,
  usage = 2,
  no_source = 3,
  not_a_checkpoint = 4,
  damaged = 5,
  mount_point = 6,
  no_fuse = 7,
  no_permission = 8,
  not_committed = 9,
};

struct StatusMeaning {
  Status status;
  const char* sentence;  // as --help prints it
};
/// Every status, ascending: what --help and the man page list.
xtl::span<const StatusMeaning> all_statuses();

/// A failure whose exit status is decided; its text goes to stderr behind "ckptree: ".
class Stop : public std::runtime_error {
 public:
  Stop(Status status, const std::string& text) : std::runtime_error(text), status_(status) {}
  Status status() const noexcept { return status_; }

 private:
  Status status_;
};

/// The exit status that fits a failure of the layers below.
Status status_of(Errc code);
/// The same of an errno.
Status status_of_errno(int number);

/// What is being handled now. Call it only inside a catch block.
struct Ending {
  Status status;
  std::string text;
};
Ending current_ending() noexcept;

/// One line on stderr: "ckptree: TEXT".
void complain(const std::string& text);

}  // namespace ckptree::cli
