#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "zip_archive.hpp"

/// Pickles of tensors, opcode by opcode: what torch.save writes, and what nobody would.
namespace ckptree_test::py {

using Text = std::string;

inline Text global(const Text& module, const Text& name) { return "c" + module + "\n" + name + "\n"; }
inline Text str(const Text& text) { return "X" + le(text.size(), 4) + text; }
inline Text boolean(bool value) { return value ? "\x88" : "\x89"; }
/// An int as torch writes it: the shortest opcode.
inline Text integer(std::int64_t value) {
  if (value >= 0 && value < 256) return "K" + le(static_cast<std::uint64_t>(value), 1);
  if (value >= 0 && value < 65536) return "M" + le(static_cast<std::uint64_t>(value), 2);
  if (value >= INT32_MIN && value <= INT32_MAX) return "J" + le(static_cast<std::uint64_t>(value), 4);
  return Text("\x8a\x08") + le(static_cast<std::uint64_t>(value), 8);
}
inline Text tuple(const std::vector<Text>& items) {
  if (items.empty()) return ")";
  Text all;
  for (const Text& item : items) all += item;
  return items.size() <= 3 ? all + static_cast<char>(0x84 + items.size()) : "(" + all + "t";
}
inline Text counts(const std::vector<std::int64_t>& values) {
  std::vector<Text> items;
  for (const std::int64_t value : values) items.push_back(integer(value));
  return tuple(items);
}
inline Text call(const Text& function, const std::vector<Text>& arguments) { return function + tuple(arguments) + "R"; }
inline Text dict(const std::vector<std::pair<Text, Text>>& entries) {
  Text all = "}(";
  for (const auto& [key, value] : entries) all += str(key) + value;
  return all + "u";
}
inline const Text kHooks = call(global("collections", "OrderedDict"), {});
inline Text ordered_dict(const std::vector<std::pair<Text, Text>>& entries) { return kHooks + dict(entries).substr(1); }
inline Text pickle(const Text& object) { return "\x80\x02" + object + "."; }

inline Text storage(const Text& type, const Text& key, std::int64_t numel, const Text& location = "cpu") {
  const Text cls = type == "UntypedStorage" ? global("torch.storage", type) : global("torch", type);
  return tuple({str("storage"), cls, str(key), str(location), integer(numel)}) + "Q";
}
using Counts = std::vector<std::int64_t>;
inline Text tensor(const Text& storage, std::int64_t offset, const Counts& shape, const Counts& stride) {
  return call(global("torch._utils", "_rebuild_tensor_v2"),
              {storage, integer(offset), counts(shape), counts(stride), boolean(false), kHooks});
}
/// Its storage has no class, but bytes; the type stands beside.
inline Text tensor_v3(const Text& dtype, const Text& key, std::int64_t bytes, const Counts& shape,
                      const Counts& stride) {
  return call(global("torch._utils", "_rebuild_tensor_v3"),
              {storage("UntypedStorage", key, bytes), integer(0), counts(shape), counts(stride), boolean(false), kHooks,
               global("torch", dtype)});
}
/// One dimension of float32 with a storage of its own.
inline Text floats(const Text& key, std::int64_t numel) {
  return tensor(storage("FloatStorage", key, numel), 0, {numel}, {1});
}

}  // namespace ckptree_test::py
