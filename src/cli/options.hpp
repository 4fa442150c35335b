#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>
#include <xtl/xspan.hpp>

#include "ckptree/format.hpp"
#include "ckptree/session.hpp"

namespace ckptree::cli {

/// Everything that -o can say. The defaults here are those that the table prints; a test compares them.
struct Options {
  ViewOptions view;
  bool data = false;    // -o data: the default hides it in a collection
  bool create = false;  // -o create: a store that is not there yet
  bool sweep = false;   // -o sweep: at unmount, what commits left behind goes
  std::string kind;     // empty: recognised by content
  bool split_links = false;
  FlushInterval flush_interval;
  Session::Commits commits = Session::Commits::many;  // of the program itself: no option sets it
  bool allow_other = false, allow_root = false;
  std::optional<mode_t> umask;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  double attr_timeout = 1, entry_timeout = 0.5;  // seconds
  std::uint64_t scratch_limit = 1u << 30;        // bytes
  std::string fsname, subtype = "ckptree";
  std::vector<std::string> kernel;  // handed to the mount as they are: noatime, noexec
};

/// One option of -o. The table of them is all there is: parsing, --help and the nearest known name come from it, and
/// tests compare the man page and the completions with it.
struct Option {
  const char* name;      // "edit"; ends in '*' when it stands for a family: "x-*"
  const char* argument;  // "documents|all"; null when it takes none
  const char* fallback;  // the default as --help prints it; null when there is none to tell
  const char* unit;      // of the argument; null when it has none
  const char* help;      // half a sentence
  /// @throws Stop Status::usage when the value is not one of those expected
  void (*set)(Options&, const std::string& value);
};

/// The options of ckptree itself.
xtl::span<const Option> own_options();
/// Those that mount(8) and /etc/fstab put beside them.
xtl::span<const Option> mount_options();

/// Takes a comma-separated list; `\,` and `\\` stand for a comma and a backslash within a value. Later ones win.
/// @throws Stop Status::usage: unknown (with the nearest known one), a value missing, not wanted or not valid
void parse_options(const std::string& list, Options& options);

/// The known text that takes the fewest changed, added, dropped or swapped letters; what was only cut short counts as
/// one. `known` is not empty.
std::string nearest(std::string_view text, const std::vector<std::string>& known);

}  // namespace ckptree::cli
