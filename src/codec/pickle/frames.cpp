#include "codec/pickle/frames.hpp"

#include <utility>

namespace ckptree::pickle {
namespace {

// From CPython's Modules/_pickle.c. A frame is FRAME, 8 bytes of length, that many bytes of opcodes.
constexpr std::size_t kFrameTarget = 64 * 1024, kFrameMin = 4, kFrameHeader = 9;

}  // namespace

Frames::Frames(int protocol) {
  if (protocol >= 2) op(Op::proto).le(static_cast<std::uint64_t>(protocol), 1);
  framing_ = protocol >= 4;
}

void Frames::object() {
  if (frame_ != std::string::npos && out_.size() - frame_ - kFrameHeader >= kFrameTarget) end_frame();
}

Frames& Frames::le(std::uint64_t value, std::size_t size) {
  char bytes_le[8];
  for (std::size_t i = 0; i < size; ++i) bytes_le[i] = static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes(Bytes(bytes_le, size));
}

Frames& Frames::bytes(Bytes bytes) {
  if (framing_ && frame_ == std::string::npos) {
    frame_ = out_.size();
    out_.append(kFrameHeader, '\0');
  }
  out_.append(bytes);
  return *this;
}

void Frames::sized(Op code, std::size_t width, Bytes text) {
  const bool outside = framing_ && text.size() >= kFrameTarget;
  if (outside) {
    end_frame();
    framing_ = false;
  }
  op(code).le(text.size(), width).bytes(text);
  if (outside) framing_ = true;
}

void Frames::end_frame() {
  if (frame_ == std::string::npos) return;
  const std::size_t size = out_.size() - frame_ - kFrameHeader;
  if (size < kFrameMin) {
    out_.erase(frame_, kFrameHeader);
  } else {
    out_[frame_] = static_cast<char>(Op::frame);
    for (std::size_t i = 0; i < 8; ++i) out_[frame_ + 1 + i] = static_cast<char>(size >> (8 * i) & 0xFF);
  }
  frame_ = std::string::npos;
}

std::string Frames::finish() && {
  op(Op::stop);
  end_frame();
  return std::move(out_);
}

}  // namespace ckptree::pickle
