#pragma once

#include <optional>
#include <string>
#include <utility>

#include "ckptree/fd.hpp"

namespace ckptree::cli {

/// One end of a connection between two processes of ours. It passes messages of a few kB, each with at most one
/// descriptor.
class Channel {
 public:
  explicit Channel(Fd end) : end_(std::move(end)) {}
  /// Two ends that are connected.
  static std::pair<Channel, Channel> pair();

  /// Nothing happens when the other process is gone: receive() tells.
  void send(const std::string& text, int descriptor = -1) const;
  /// Waits for the next message; nothing when the other process is gone.
  /// @param descriptor  gets the one that came with it; may be null
  std::optional<std::string> receive(Fd* descriptor = nullptr) const;
  void close() noexcept { end_.reset(); }

 private:
  Fd end_;
};

}  // namespace ckptree::cli
