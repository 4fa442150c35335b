// run: a command in a mount of its own.

#include "cli/commands.hpp"
#include "cli/private_mount.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

int run_command(const Arguments& a) {
  if (a.words.size() < 2) throw Stop(Status::usage, "run: expected SOURCE and, behind --, a COMMAND");
  PrivateMount mount(a.words[0], a.options, PrivateMount::Pending::commit);
  const int status = mount.run({a.words.begin() + 1, a.words.end()});
  const Status end = mount.end();
  return status != 0 ? status : static_cast<int>(end);
}

}  // namespace ckptree::cli
