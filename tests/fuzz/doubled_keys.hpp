#pragma once

#include <cstddef>
#include <set>

#include "codec/pickle/pickle.hpp"

namespace ckptree {

/// How many entries of dicts have the key of another in the same dict, of which Python keeps the last. No edit makes one.
inline std::size_t doubled_keys(const pickle::Graph& graph) {
  std::size_t doubled = 0;
  for (pickle::Id id = 0; id < graph.size(); ++id) {
    std::set<Bytes> keys;
    pickle::Entries entries(graph, id);
    for (pickle::Entry entry; entries.next(entry);)
      if (graph.kind(entry.key) == pickle::Kind::text && !keys.insert(graph.text(entry.key)).second) ++doubled;
  }
  return doubled;
}

}  // namespace ckptree
