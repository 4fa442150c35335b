#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "ckptree/bytes.hpp"
#include "codec/pickle/opcodes.hpp"

namespace ckptree::pickle {

/// The bytes of a pickle, from its PROTO to its STOP; from protocol 4 on cut into frames where CPython's C pickler
/// cuts.
class Frames {
 public:
  explicit Frames(int protocol);

  /// The next object begins: a frame that is long enough ends.
  void object();
  Frames& op(Op op) { return bytes(Bytes(reinterpret_cast<const char*>(&op), 1)); }
  /// A little-endian number of `size` bytes.
  Frames& le(std::uint64_t value, std::size_t size);
  Frames& bytes(Bytes bytes);
  /// An opcode with a length of `width` bytes and what it counts. Long ones stand outside of frames.
  void sized(Op op, std::size_t width, Bytes bytes);

  std::string finish() &&;

 private:
  void end_frame();

  std::string out_;
  bool framing_ = false;
  std::size_t frame_ = std::string::npos;  // where the open one begins, with its header
};

}  // namespace ckptree::pickle
