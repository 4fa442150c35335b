#pragma once

#include <optional>
#include <stdexcept>
#include <string>

namespace ckptree {

/// What went wrong, in our own words. The errno and the sentence of each stand in one table, src/core/error.cpp.
enum class Errc {
  not_found,   // no such entry, member or file
  rejected,    // an edit that is not valid
  incomplete,  // an edit whose text ends too early; a later write may complete it
  invalid,     // an argument out of range, an unknown flag
  exists,
  not_empty,
  is_directory,
  not_directory,
  name_too_long,
  immutable,  // derived, or not editable under the options given
  last_one,   // the removal of the last tensor or row
  no_permission,
  read_only,  // mounted or stored read-only
  busy,
  hard_links,        // a commit would split the links of the checkpoint
  ambiguous,         // two members of that name
  stale,             // the checkpoint changed underneath
  corrupt,           // the bytes are not what the format says
  not_a_checkpoint,  // whole and well, but nothing that this program shows
  too_large,
  no_space,
  io,
  cross_checkpoint,  // a rename from one checkpoint to another
  unsupported,
  no_data,      // no such extended attribute
  mount_point,  // missing, not a directory, or busy
  no_fuse,      // no /dev/fuse, or no right to use it
};

/// A failure with the sentence a user reads: the place first (file, offset or line), then what was expected and what
/// was there.
class Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& text) : std::runtime_error(text), code_(code) {}
  Errc code() const noexcept { return code_; }

 private:
  Errc code_;
};

struct Meaning {
  int number;            // errno
  const char* sentence;  // without the place
};

/// The errno and the general sentence of a code.
Meaning meaning_of(Errc code);

/// What is being handled now, as an errno and a text. Call it only inside a catch block.
/// Error by the table, std::system_error by its own errno, std::bad_alloc as ENOMEM, anything else as EIO.
struct Failure {
  int number;
  std::string text;
  std::optional<Errc> code = std::nullopt;  // of an Error
};
Failure current_failure() noexcept;

/// Throws std::system_error from errno, with `what` (the action and the path) as its text.
[[noreturn]] void throw_errno(const std::string& what);

}  // namespace ckptree
