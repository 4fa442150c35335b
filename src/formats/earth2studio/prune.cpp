#include "formats/earth2studio/prune.hpp"

#include <algorithm>
#include <set>

namespace ckptree::earth2studio {

Entries with_row(const Entries& rows, const std::shared_ptr<const Entry>& row, const Pruning& rule) {
  const std::optional<std::uint64_t> kept = rule.overwrite ? std::optional<std::uint64_t>(1) : rule.history_size;
  const Json labels = row->labels();
  Entries result;
  std::vector<std::string> matching;  // commits of rows with equal labels, oldest first
  for (const auto& other : rows) {
    if (other->commit_id() == row->commit_id()) continue;
    if (kept && equal(other->labels(), labels)) {
      if (rule.overwrite) continue;
      matching.push_back(other->commit_id());
    }
    result.push_back(other);
  }
  result.push_back(row);
  matching.push_back(row->commit_id());
  if (!kept || matching.size() <= *kept) return result;
  const std::set<std::string> gone(matching.begin(), matching.end() - static_cast<std::ptrdiff_t>(*kept));
  result.erase(std::remove_if(result.begin(), result.end(),
                              [&](const auto& entry) { return gone.count(entry->commit_id()) > 0; }),
               result.end());
  return result;
}

}  // namespace ckptree::earth2studio
