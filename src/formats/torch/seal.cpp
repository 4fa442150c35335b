#include "formats/torch/seal.hpp"

#include <set>
#include <string>
#include <vector>

#include "formats/torch/storages.hpp"

namespace ckptree::torch {
namespace {

/// Whether storages are met in the order they stand in: 0, 1, 2, ... without a gap. From there torch computes each
/// place from the one before.
bool is_counting(const std::vector<std::string>& keys) {
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (keys[i] != std::to_string(i)) return false;
  return true;
}

}  // namespace

ChangeSet seal_pickle(const Pickled& base, const Pickled& edited, const Stamp& stamp) {
  ChangeSet changes;
  const Archive& archive = *base.archive();
  std::string bytes = pickle::encode(edited.graph());
  if (bytes == base.graph().wire()) return changes;

  // Read back: what it refers to, in the order in which torch will meet it.
  const pickle::Graph fresh = pickle::decode(bytes, archive.name() + ": the edited data.pkl");
  const std::vector<std::string> keys = storages_in_order(fresh);
  const std::set<Bytes> used = named_storages(fresh);
  for (const std::string& key : storages_in_order(base.graph())) {
    const std::string member = storage_member(archive, key);
    if (!used.count(key) && archive.zip().find(member)) changes[member] = std::nullopt;
  }
  const std::string version = archive.root() + "/.format_version";
  if (!is_counting(keys) && archive.zip().find(version)) changes[version] = std::nullopt;
  changes[archive.pickle_member().name] = Change{Recipe::literal(std::move(bytes)), stamp.time};
  return changes;
}

}  // namespace ckptree::torch
