#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <xtl/xspan.hpp>

namespace ckptree {

/// Bytes somebody else keeps alive.
using Bytes = std::string_view;
/// Room to read into.
using Buffer = xtl::span<char>;

/// Shared and immutable: every Model, File and Snapshot is handed around like this.
template <class T>
using Ptr = std::shared_ptr<const T>;

}  // namespace ckptree
