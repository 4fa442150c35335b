#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "codec/pickle/ir.hpp"
#include "codec/pickle/limits.hpp"

namespace ckptree::pickle {

/// Which node a memo id stands for. Ids that count up, as all writers' do, are kept in a list, others in a tree: a file
/// chooses them, so no list is as long as an id says, and no hash table is asked to be fair.
class Memo {
 public:
  /// @returns false when the tree is full
  bool put(std::uint64_t id, Id node) {
    if (id < list_.size()) {
      list_[id] = node;
    } else if (id == list_.size()) {
      list_.push_back(node);
      others_.erase(id);
    } else {
      others_[id] = node;
    }
    return others_.size() <= kMaxOddMemo;
  }

  /// kNone when there is none.
  Id get(std::uint64_t id) const {
    if (id < list_.size()) return list_[id];
    const auto found = others_.find(id);
    return found == others_.end() ? kNone : found->second;
  }

  std::size_t size() const noexcept { return list_.size() + others_.size(); }

 private:
  std::vector<Id> list_;
  std::map<std::uint64_t, Id> others_;
};

}  // namespace ckptree::pickle
