#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "cli/channel.hpp"
#include "cli/options.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

/// A mount that only this process and its children see, made without privileges and without fusermount. A process of
/// its own serves it, outside, where the files have the owners and groups they have. When this process ends, killed or
/// not, so does whatever still runs in there, the mount and its folder.
///
/// Make it before any thread exists; it moves this process into a mount namespace of its own.
class PrivateMount {
 public:
  /// What becomes of pending edits.
  enum class Pending { commit, drop };

  /// @param killed   when this process is killed
  /// @param session  of the source, when it is open already; else it is opened
  /// @throws Stop as mounting does
  PrivateMount(const std::string& source, const Options& options, Pending killed,
               const std::shared_ptr<Session>& session = nullptr);
  PrivateMount(const PrivateMount&) = delete;
  PrivateMount& operator=(const PrivateMount&) = delete;
  ~PrivateMount();

  /// The mounted folder.
  const std::string& top() const noexcept { return top_; }
  /// Runs a command in it, with CKPT set to it, and waits.
  /// @return its exit status; 128 and the signal's number when it was killed; 126 and 127 as of a shell
  int run(const std::vector<std::string>& words);
  /// Ends the mount: what is pending is committed, what could not be is told on stderr.
  Status end(Pending pending = Pending::commit);

 private:
  void mount(const std::string& source, const Options& options, bool own_users);
  void clean() noexcept;

  std::string top_;
  Channel server_{Fd()};
  pid_t server_process_ = -1;
  std::string checkpoint_;  // absolute
};

}  // namespace ckptree::cli
