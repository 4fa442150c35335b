#pragma once

#include <string>

namespace ckptree::cli {

/// The checkpoint as it is, kept beside it under another name; taken away again when what it was kept for does not
/// happen. It stands under its name when it is whole; what a process that was killed left of it, the next mount sweeps.
class OldCheckpoint {
 public:
  /// Whoever was killed behind this point may have left it under the name: that one is taken, when it has the same
  /// bytes.
  /// @throws Stop when something else has the name
  OldCheckpoint(const std::string& checkpoint, const std::string& path);
  OldCheckpoint(const OldCheckpoint&) = delete;
  OldCheckpoint& operator=(const OldCheckpoint&) = delete;
  ~OldCheckpoint();
  /// It stays.
  void keep() noexcept { is_mine_ = false; }

 private:
  const std::string path_;
  bool is_mine_ = false;
};

}  // namespace ckptree::cli
