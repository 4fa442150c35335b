#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "ckptree/model.hpp"
#include "formats/document/document.hpp"
#include "formats/earth2studio/json_tree.hpp"

namespace ckptree::earth2studio {

class StoreRow;

/// The row to be written next, as its files stand below next/. Nothing of it is looked at before it becomes a row, but
/// that its documents are JSON and its arrays .npy.
struct Next {
  std::shared_ptr<const Document> metadata, labels;  // null: nothing was written, "{}"
  /// Below states/: files, and directories (no content).
  std::map<TreePath, std::optional<Recipe>> states;
  std::set<TreePath> touched;  // by edits, from the top of the tree

  bool is_empty() const noexcept { return !metadata && !labels && states.empty(); }
};

/// A row that was written and has no commit yet. What a commit adds: its id, when it is saved.
struct Written {
  Json entry, manifest;
  std::map<std::string, Recipe> files;  // of the commit, but for the manifest
};

/// What next/ becomes as a row.
/// @param last  the last row that has a commit: it tells what files do not (tensor or ndarray, list or tuple); null:
///              there is none
/// @throws Error Errc::rejected with the place below next/ for what Earth2Studio could not read
Written written(const Next& next, const StoreRow* last, std::int64_t write_count);

/// One more than that of the row before. @throws Error Errc::rejected when there is no more
std::int64_t next_write_count(std::int64_t last);

}  // namespace ckptree::earth2studio
