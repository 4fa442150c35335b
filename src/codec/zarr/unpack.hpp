#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ckptree/recipe.hpp"
#include "codec/zarr/array.hpp"

namespace ckptree::zarr {

/// Bytes that come one after another, with a bounded memory of their own.
struct Stream {
  virtual ~Stream() = default;
  /// The next bytes; fewer than the room only at the end. @throws Error Errc::corrupt, naming the place
  virtual std::size_t read(Buffer into) = 0;
  /// Bytes of memory that it takes, once something was read.
  virtual std::uint64_t memory() const = 0;
};

/// The content of `packed` as it was before it was packed.
/// @param place  named in errors
std::unique_ptr<Stream> unpack(const Recipe& packed, const std::vector<Packing>& packings, const std::string& place);

/// All of a stream that must have exactly `size` bytes: not one more is unpacked. The room grows with what there is.
std::string read_exactly(Stream& stream, std::uint64_t size, const std::string& place);
/// All of a stream. @throws Error Errc::corrupt when it has more than `limit` bytes
std::string read_at_most(Stream& stream, std::uint64_t limit, const std::string& place);

}  // namespace ckptree::zarr
