#include "codec/zarr/chunk_cache.hpp"

namespace ckptree::zarr {

Ptr<Computed> ChunkCache::get(const Key& key, const std::function<Chunk()>& make) const {
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    Kept& kept = chunks_[key];
    if (!kept.slot) {
      kept.slot = std::make_shared<Slot>();
    } else {
      by_use_.erase(kept.used);
    }
    kept.used = ++clock_;
    by_use_.emplace(kept.used, key);
    slot = kept.slot;
  }
  const std::lock_guard<std::mutex> making(slot->making);
  if (!slot->made) {
    try {
      Chunk chunk = make();
      slot->bytes = std::move(chunk.bytes);
      slot->made = true;
      keep(key, slot, chunk.cost);
    } catch (...) {
      forget(key, slot);
      throw;
    }
  }
  return slot->bytes;
}

void ChunkCache::keep(const Key& key, const std::shared_ptr<Slot>& slot, std::uint64_t cost) const {
  constexpr std::uint64_t kOfAnEntry = 512;  // what the maps and the key take
  const std::lock_guard<std::mutex> guard(mutex_);
  const auto found = chunks_.find(key);
  if (found == chunks_.end() || found->second.slot != slot) return;  // forgotten meanwhile
  found->second.cost = cost + kOfAnEntry + 2 * key.first.size();
  cost_ += found->second.cost;
  while (cost_ > limit_ && by_use_.size() > 1) {
    const auto oldest = chunks_.find(by_use_.begin()->second);
    cost_ -= oldest->second.cost;
    by_use_.erase(by_use_.begin());
    chunks_.erase(oldest);
  }
}

void ChunkCache::forget(const Key& key, const std::shared_ptr<Slot>& slot) const {
  const std::lock_guard<std::mutex> guard(mutex_);
  const auto found = chunks_.find(key);
  if (found == chunks_.end() || found->second.slot != slot) return;
  cost_ -= found->second.cost;
  by_use_.erase(found->second.used);
  chunks_.erase(found);
}

std::uint64_t ChunkCache::cost() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return cost_;
}

}  // namespace ckptree::zarr
