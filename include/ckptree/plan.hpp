#pragma once

#include <ctime>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/file.hpp"
#include "ckptree/recipe.hpp"

namespace ckptree {

/// Members or files of a checkpoint, each with the bytes it is to have, or nothing: then it goes.
struct Change {
  Recipe content;
  std::timespec mtime{};
};
using ChangeSet = std::map<std::string, std::optional<Change>>;

/// One step towards a durable new checkpoint. Paths are absolute.
struct Step {
  enum class Kind {
    clone,  // `path` comes to be, with the first `size` bytes of `from`: shared where the filesystem can, copied else
    write,  // `content` at offset `at` of `path`
    truncate,         // `path` gets `size` bytes
    copy_attributes,  // mode, owner, ACL, extended attributes of `from` onto `path`
    sync,             // the bytes and size of `path` survive power loss
    verify,           // `check` reads `path` back; it throws when the bytes are not those intended
    rename,           // `from` replaces `path`: the commit point, when `path` is the target
    make_dir,         // `path` comes to be, an empty directory
    link,             // `path` becomes another name of the file `from`, or a copy of `content` where that cannot be
    exchange,         // as rename, but `from` becomes what `path` was, where the filesystem can: so that what another
                      // program wrote meanwhile is noticed, and put back. All of `expected` must be there afterwards
    remove_tree,      // `path` goes with all that is below it; none is no error
    sync_dir,         // the names in directory `path` survive power loss
    remove,           // `path` goes; none is no error
    restore_time,     // directory `path` gets the mtime back that it had before the first step
  };
  Kind kind;
  std::string path, from;
  std::uint64_t at = 0, size = 0;
  Recipe content;
  std::function<void(const Ptr<File>&)> check;
  std::vector<std::string> expected;
};

/// The steps that make a ChangeSet durable, as data: formats emit it, src/commit executes it, and the crash enumerator
/// cuts the power in it.
struct Plan {
  std::string target;     // what is locked and compared before the first step
  std::string lock;       // what is locked instead, when the target may be missing; empty: the target
  std::string temporary;  // a file or a directory, removed when a step fails; empty when there is none
  std::vector<Step> steps;
  /// Identities (Model::identity) that are there afterwards, and those that are not: another program may write over the
  /// commit before it is read again.
  std::vector<std::string> made, unmade;
  /// Where the plan's bytes go, for status.json and the benchmarks: written, without what is cloned.
  std::uint64_t bytes_written = 0;
};

/// What a commit tells about itself.
struct Stamp {
  std::timespec time{};
};

/// What the place of the checkpoint can do.
struct Medium {
  bool reflink = false;
  std::string target;     // absolute, of no symbolic link; the file whose replacement is the commit point
  std::string temporary;  // absolute; the name for the file that a plan writes beside that
};

}  // namespace ckptree
