#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "ckptree/bytes.hpp"

namespace ckptree {

/// What was made last, by key, up to a cost. Safe to use from several threads.
template <class Value>
class OnceCache {
 public:
  /// @param limit  of the costs together, in bytes, but for what was used last
  explicit OnceCache(std::uint64_t limit) : limit_(limit) {}

  struct Made {
    Ptr<Value> value;
    std::uint64_t cost = 0;  // bytes of memory
  };
  using Key = std::pair<std::string, std::uint64_t>;

  /// The value of this key; made when it is not there, once however many ask. A failure is not kept.
  /// @throws what `make` throws
  Ptr<Value> get(const Key& key, const std::function<Made()>& make) const {
    const std::shared_ptr<Slot> slot = slot_of(key);
    const std::lock_guard<std::mutex> making(slot->making);
    if (!slot->made) {
      try {
        Made made = make();
        slot->value = std::move(made.value);
        slot->made = true;
        keep(key, slot, made.cost);
      } catch (...) {
        forget(key, slot);
        throw;
      }
    }
    return slot->value;
  }

  /// Bytes kept now.
  std::uint64_t cost() const {
    const std::lock_guard<std::mutex> guard(mutex_);
    return cost_;
  }

 private:
  struct Slot {
    std::mutex making;  // guards the rest, held while the value is made; taken before mutex_, never after it
    bool made = false;
    Ptr<Value> value;
  };
  struct Kept {
    std::shared_ptr<Slot> slot;
    std::uint64_t cost = 0, used = 0;
  };

  std::shared_ptr<Slot> slot_of(const Key& key) const {
    const std::lock_guard<std::mutex> guard(mutex_);
    Kept& kept = kept_[key];
    if (!kept.slot) kept.slot = std::make_shared<Slot>();
    else by_use_.erase(kept.used);
    kept.used = ++clock_;
    by_use_.emplace(kept.used, key);
    return kept.slot;
  }

  void keep(const Key& key, const std::shared_ptr<Slot>& slot, std::uint64_t cost) const {
    constexpr std::uint64_t kOfAnEntry = 512;  // what the maps and the key take
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto found = kept_.find(key);
    if (found == kept_.end() || found->second.slot != slot) return;  // forgotten meanwhile
    found->second.cost = cost + kOfAnEntry + 2 * key.first.size();
    cost_ += found->second.cost;
    while (cost_ > limit_ && by_use_.size() > 1) {
      const auto oldest = kept_.find(by_use_.begin()->second);
      cost_ -= oldest->second.cost;
      by_use_.erase(by_use_.begin());
      kept_.erase(oldest);
    }
  }

  void forget(const Key& key, const std::shared_ptr<Slot>& slot) const {
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto found = kept_.find(key);
    if (found == kept_.end() || found->second.slot != slot) return;
    cost_ -= found->second.cost;
    by_use_.erase(found->second.used);
    kept_.erase(found);
  }

  const std::uint64_t limit_;
  mutable std::mutex mutex_;  // guards what follows; nothing is taken while it is held
  mutable std::map<Key, Kept> kept_;
  mutable std::map<std::uint64_t, Key> by_use_;  // the first was used longest ago
  mutable std::uint64_t cost_ = 0, clock_ = 0;
};

}  // namespace ckptree
