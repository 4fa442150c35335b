#include "formats/torch/storages.hpp"

#include "ckptree/error.hpp"

namespace ckptree::torch {

std::string storage_member(const Archive& archive, Bytes key) { return archive.root() + "/data/" + std::string(key); }

Recipe storage_content(const Archive& archive, const StorageInfo& storage, const std::string& place) {
  const std::string name = storage_member(archive, storage.key);
  const zip::Member* member = archive.zip().find(name);
  if (!member) throw Error(Errc::corrupt, place + ": its storage '" + name + "' is not in the archive");
  if (member->size != storage.bytes())
    throw Error(Errc::corrupt, place + ": its storage of " + std::to_string(storage.numel) + " elements of " +
                                   std::string(storage.dtype->name) + " needs " + std::to_string(storage.bytes()) +
                                   " bytes, member '" + name + "' has " + std::to_string(member->size));
  return archive.zip().content(*member);
}

std::vector<std::string> storages_in_order(const pickle::Graph& decoded) {
  std::vector<std::string> keys;
  std::set<Bytes> seen;
  // Nodes are numbered as their opcodes come.
  for (pickle::Id id = 0; id < decoded.size(); ++id) {
    if (decoded.kind(id) != pickle::Kind::persistent) continue;
    try {
      const Bytes key = describe_storage(decoded, id).key;
      if (seen.insert(key).second) keys.emplace_back(key);
    } catch (const Error&) {
      // No storage of torch's, or a broken one: of no member that could be told.
    }
  }
  return keys;
}

std::set<Bytes> named_storages(const pickle::Graph& decoded) {
  std::set<Bytes> names;
  const auto take = [&](pickle::Id id) {
    if (id != pickle::kNone && decoded.kind(id) == pickle::Kind::text) names.emplace(decoded.text(id));
  };
  for (pickle::Id id = 0; id < decoded.size(); ++id) {
    if (decoded.kind(id) != pickle::Kind::persistent) continue;
    const pickle::Id tuple = decoded.count(id) > 0 ? decoded.child(id, 0) : pickle::kNone;
    take(tuple);
    if (tuple == pickle::kNone || decoded.kind(tuple) != pickle::Kind::tuple) continue;
    for (std::size_t i = 0; i < decoded.count(tuple); ++i) take(decoded.child(tuple, i));
  }
  return names;
}

}  // namespace ckptree::torch
