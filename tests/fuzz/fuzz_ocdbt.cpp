// A database of any bytes: a manifest and a data file whose CRCs are made right, so that what is behind them is reached.
// Every lookup ends in a value or in an Error.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "../unit/ocdbt_database.hpp"
#include "codec/ocdbt/database.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

using Files = std::map<std::string, std::string>;

void look_up(const Files& files) {
  try {
    const auto database = ocdbt::open_database(std::make_shared<TestDirectory>(files), "");
    for (const char* key : {"a/zarr.json", "a/c/0", "b", "", "zzz"}) {
      try {
        if (const auto value = database->find(key)) value->text(1 << 20, key);
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
}

Files of_node(const std::string& node, int height) {
  return {{"manifest.ocdbt", manifest({{"d/1"}}, {{1, height, 0, 0, node.size()}})}, {"d/1", node}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string all(reinterpret_cast<const char*>(data), size);
  look_up({{"manifest.ocdbt", all}});
  if (all.empty()) return 0;
  look_up(of_node(all, 0));
  // The first byte: how many of the others are the manifest.
  const std::size_t cut = std::min<std::size_t>(static_cast<unsigned char>(all[0]) + 1u, all.size());
  const std::string first = all.substr(1, cut - 1), rest = all.substr(cut);
  const std::string node = envelope(kNode, rest);
  look_up({{"manifest.ocdbt", envelope(kManifest, first)}, {"d/1", node}});
  const int height = rest.empty() ? 0 : static_cast<unsigned char>(rest[0]);
  look_up(of_node(node, height));
  look_up(of_node(envelope(kNode, rest, 1), 0));
  return 0;
}
