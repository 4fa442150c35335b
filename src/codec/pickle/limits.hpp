#pragma once

#include <cstddef>
#include <cstdint>

/// How much of a pickle is read. All are far above what checkpoints have: one of 100,000 tensors is a pickle of 12 MB,
/// 3.2 million opcodes, 800,000 memo entries.
namespace ckptree::pickle {

/// Offsets in a pickle fit 32 bits, which halves a node.
constexpr std::size_t kMaxPickle = std::size_t(1) << 30;
/// Each makes at most one node and one slot, 24 bytes: 1.2 GB.
constexpr std::size_t kMaxOps = 50'000'000;
/// Memo ids that do not count up, kept in a tree: 200 MB. Others take 4 bytes of a list, and an opcode, each.
constexpr std::size_t kMaxOddMemo = 4'000'000;
/// Objects that wait for their opcode, and marks: 80 MB each.
constexpr std::size_t kMaxStack = 20'000'000;
/// As wide as the binary opcodes have them.
constexpr std::uint64_t kMaxMemoId = 0xFFFFFFFF;
/// Objects in objects, when written: 16 MB. CPython's Pickler gets some thousand deep.
constexpr std::size_t kMaxDepth = 1'000'000;
/// Bytes of an int. Its decimal text is quadratic work, see kMaxDigits.
constexpr std::size_t kMaxLong = 65536;
/// Bytes of the module or the name of a GLOBAL, a line whose end is searched.
constexpr std::size_t kMaxName = 65536;
/// The newest there is, since Python 3.8.
constexpr int kMaxProtocol = 5;

}  // namespace ckptree::pickle
