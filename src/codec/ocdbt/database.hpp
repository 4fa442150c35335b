#pragma once

#include <string>

#include "ckptree/source.hpp"
#include "codec/zarr/store.hpp"

/// TensorStore's OCDBT: a versioned B+tree of keys and values in files that are written once.
/// @see https://google.github.io/tensorstore/kvstore/ocdbt/
namespace ckptree::ocdbt {

/// The newest version of the database at `directory` of `source` ("" is its top). Reads the manifest (of both kinds);
/// nodes and values when they are asked for. Keeps nodes in memory up to a bound.
/// @throws Error Errc::corrupt; std::system_error (ENOENT without a manifest)
Ptr<zarr::KeyValues> open_database(Ptr<Source> source, const std::string& directory);

}  // namespace ckptree::ocdbt
