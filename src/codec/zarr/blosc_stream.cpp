#include "codec/zarr/blosc_stream.hpp"

#include <blosc.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "ckptree/error.hpp"

namespace ckptree::zarr {
namespace {

// In memory at once, beside the cache. No ratio would tell a size that lies from a chunk of zeros.
constexpr std::size_t kMaxChunk = 256u << 20;

class Unpacked final : public Stream {
 public:
  Unpacked(std::unique_ptr<Stream> packed, std::string place) : packed_(std::move(packed)), place_(std::move(place)) {}

  std::size_t read(Buffer into) override {
    if (packed_) {
      unpack();
      packed_.reset();
    }
    const std::size_t n = std::min<std::size_t>(into.size(), bytes_.size() - at_);
    std::memcpy(into.data(), bytes_.data() + at_, n);
    at_ += n;
    return n;
  }
  std::uint64_t memory() const override { return bytes_.capacity(); }

 private:
  void unpack() {
    const std::string packed = read_at_most(*packed_, kMaxChunk + BLOSC_MAX_OVERHEAD, place_);
    std::size_t size = 0;
    if (packed.size() < BLOSC_MIN_HEADER_LENGTH || blosc_cbuffer_validate(packed.data(), packed.size(), &size) < 0)
      throw Error(Errc::corrupt, place_ + ": blosc: is damaged, or not as long as it says");
    if (size > kMaxChunk)
      throw Error(Errc::unsupported, place_ + ": blosc: " + std::to_string(size) + " bytes, at most " +
                                         std::to_string(kMaxChunk) + " are unpacked");
    bytes_.resize(size);
    const int n = blosc_decompress_ctx(packed.data(), bytes_.data(), size, 1);
    if (n < 0 || static_cast<std::size_t>(n) != size) throw Error(Errc::corrupt, place_ + ": blosc: is damaged");
  }

  std::unique_ptr<Stream> packed_;  // null once it was read
  const std::string place_;
  std::string bytes_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Stream> blosc_stream(std::unique_ptr<Stream> packed, std::string place) {
  return std::make_unique<Unpacked>(std::move(packed), std::move(place));
}

}  // namespace ckptree::zarr
