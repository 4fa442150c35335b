#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ckptree/recipe.hpp"
#include "codec/zarr/unpack.hpp"

namespace ckptree::zarr {

/// Bytes in memory.
Ptr<Computed> bytes_in_memory(std::string bytes);
/// The bytes of a recipe, where they are.
Ptr<Computed> bytes_of_recipe(Recipe recipe);
/// `size` bytes of a stream, of which up to twice `window` are in memory. Reading forward goes on; going back opens it
/// again, unless what is wanted is still in the window: the kernel reads ahead in several threads, slightly out of
/// order.
/// @param memory  bytes that the stream may take; one that takes more is refused (Errc::unsupported)
Ptr<Computed> bytes_of_stream(std::function<std::unique_ptr<Stream>()> open, std::uint64_t size, std::string place,
                              std::size_t window, std::uint64_t memory);

}  // namespace ckptree::zarr
