#pragma once

#include <set>
#include <string>
#include <vector>

#include "formats/torch/archive.hpp"
#include "formats/torch/tensor_info.hpp"

/// The members data/KEY of an archive: what tensors are views of.
namespace ckptree::torch {

std::string storage_member(const Archive& archive, Bytes key);
/// The bytes of a storage, as they are in the file, or inflated where somebody deflated them.
/// @throws Error Errc::corrupt with `place` when there are none, or not as many as the pickle says
Recipe storage_content(const Archive& archive, const StorageInfo& storage, const std::string& place);
/// Keys of the storages that a pickle refers to, as they are met first when it is loaded. Of a decoded graph: in one
/// that was edited since, what was erased is still found.
std::vector<std::string> storages_in_order(const pickle::Graph& decoded);

/// Every text in a persistent id: the keys of storages, also of such as describe_storage() does not understand.
/// Views of the graph.
std::set<Bytes> named_storages(const pickle::Graph& decoded);

}  // namespace ckptree::torch
