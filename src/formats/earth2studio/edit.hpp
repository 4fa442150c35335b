#pragma once

#include <map>
#include <string>

#include "formats/earth2studio/row.hpp"

namespace ckptree::earth2studio {

/// What an edited row becomes: its entry and its manifest, under the old commit's id, and the files of its commit that
/// differ from the old one's: new bytes by path, and paths that go.
struct Rewritten {
  Json entry, manifest;
  std::map<std::string, Recipe> files;
  std::map<std::string, std::string> moved;  // new path -> path in the old commit
};

/// @throws Error Errc::rejected for what Earth2Studio could not read, Errc::corrupt when the old commit is damaged
Rewritten rewritten(const StoreRow& row);

}  // namespace ckptree::earth2studio
