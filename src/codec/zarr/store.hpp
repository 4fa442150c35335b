#pragma once

#include <optional>
#include <string>

#include "ckptree/recipe.hpp"
#include "ckptree/source.hpp"

namespace ckptree::zarr {

/// Keys to bytes, as zarr has it: an OCDBT database, or a plain directory.
struct KeyValues {
  virtual ~KeyValues() = default;
  /// The value of a key; nothing when there is none. Safe to call from several threads.
  /// @throws Error Errc::corrupt; std::system_error
  virtual std::optional<Recipe> find(const std::string& key) const = 0;
};

/// The files below `directory` of `source` ("" is its top). A key that is no plain path has no value.
Ptr<KeyValues> directory_store(Ptr<Source> source, std::string directory);

}  // namespace ckptree::zarr
