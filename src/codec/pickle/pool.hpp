#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace ckptree::pickle {

/// An array in chunks, which copies share. Whoever writes owns the chunks that it made itself and copies the others
/// first, so a change of few elements costs little however long the array is.
///
/// Thread rule: one builder adds and changes, then seals; from then on the array is read-only and may be copied and
/// read by anyone.
template <class T>
class Pool {
 public:
  std::size_t size() const noexcept { return size_; }
  const T& operator[](std::size_t i) const noexcept { return (*chunks_[i / kChunk])[i % kChunk]; }

  /// @returns the index of the new element
  std::uint32_t add(T value) {
    if (size_ % kChunk == 0) {
      chunks_.push_back(std::make_shared<Chunk>());
      own_.resize(chunks_.size());
      own_.back() = true;
    }
    owned(size_ / kChunk).push_back(std::move(value));
    return static_cast<std::uint32_t>(size_++);
  }

  /// The element, to be written. Valid until the next call.
  T& change(std::size_t i) { return owned(i / kChunk)[i % kChunk]; }

  /// Gives up ownership: the next change copies.
  void seal() { own_.clear(); }

 private:
  // 1,000 chunks, the list a copy takes along, hold the 4 million nodes of a checkpoint of 100,000 tensors.
  static constexpr std::size_t kChunk = 4096;
  using Chunk = std::vector<T>;

  Chunk& owned(std::size_t index) {
    own_.resize(chunks_.size());
    if (!own_[index]) {
      chunks_[index] = std::make_shared<Chunk>(*chunks_[index]);
      own_[index] = true;
    }
    return *chunks_[index];
  }

  std::vector<std::shared_ptr<Chunk>> chunks_;
  std::vector<bool> own_;  // of a chunk; shorter than chunks_ when the rest is not owned
  std::size_t size_ = 0;
};

}  // namespace ckptree::pickle
