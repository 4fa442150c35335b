#pragma once

#include <memory>
#include <string>

#include "codec/zarr/unpack.hpp"

namespace ckptree::zarr {

/// A chunk that Blosc packed, which older versions of TensorStore did unless told otherwise. It is unpacked as a whole
/// when it is first read: blocks of it could be, but not one byte after another.
/// @throws Error Errc::corrupt while reading; Errc::unsupported for a chunk over 256 MiB
std::unique_ptr<Stream> blosc_stream(std::unique_ptr<Stream> packed, std::string place);

}  // namespace ckptree::zarr
