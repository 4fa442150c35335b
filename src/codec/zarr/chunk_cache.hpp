#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "ckptree/recipe.hpp"

namespace ckptree::zarr {

/// The decoded chunks used last, of whatever arrays; one for a mount. Safe to use from several threads.
class ChunkCache {
 public:
  /// @param limit  bytes kept at most, but for the chunk used last
  explicit ChunkCache(std::uint64_t limit = std::uint64_t{256} << 20) : limit_(limit) {}

  struct Chunk {
    Ptr<Computed> bytes;  // null: there is none
    std::uint64_t cost = 0;
  };
  using Key = std::pair<std::string, std::uint64_t>;  // an array, a chunk of it

  /// The chunk of this key; made when it is not there, once however many ask. A failure is not kept.
  Ptr<Computed> get(const Key& key, const std::function<Chunk()>& make) const;

  /// Bytes kept now.
  std::uint64_t cost() const;

 private:
  struct Slot {
    std::mutex making;  // guards the rest, held while the chunk is made; taken before mutex_, never after it
    bool made = false;
    Ptr<Computed> bytes;
  };
  struct Kept {
    std::shared_ptr<Slot> slot;
    std::uint64_t cost = 0, used = 0;
  };

  void keep(const Key& key, const std::shared_ptr<Slot>& slot, std::uint64_t cost) const;
  void forget(const Key& key, const std::shared_ptr<Slot>& slot) const;

  const std::uint64_t limit_;
  mutable std::mutex mutex_;  // guards what follows; nothing is taken while it is held
  mutable std::map<Key, Kept> chunks_;
  mutable std::map<std::uint64_t, Key> by_use_;  // the first was used longest ago
  mutable std::uint64_t cost_ = 0, clock_ = 0;
};

}  // namespace ckptree::zarr
