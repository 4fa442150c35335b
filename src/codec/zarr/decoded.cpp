#include "codec/zarr/decoded.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "ckptree/error.hpp"

namespace ckptree::zarr {
namespace {

struct InMemory final : Computed {
  explicit InMemory(std::string b) : bytes(std::move(b)) {}
  void read(std::uint64_t at, Buffer into) const override { std::memcpy(into.data(), bytes.data() + at, into.size()); }
  const std::string bytes;
};

struct OfRecipe final : Computed {
  explicit OfRecipe(Recipe r) : recipe(std::move(r)) {}
  void read(std::uint64_t at, Buffer into) const override { recipe.read(at, into); }
  const Recipe recipe;
};

class OfStream final : public Computed {
 public:
  OfStream(std::function<std::unique_ptr<Stream>()> open, std::uint64_t size, std::string place, std::size_t window,
           std::uint64_t memory)
      : open_(std::move(open)), size_(size), place_(std::move(place)), kept_(window), memory_(memory) {}

  void read(std::uint64_t at, Buffer into) const override {
    const std::lock_guard<std::mutex> guard(mutex_);
    try {
      while (into.size() > 0) {
        if (!stream_ || at < end_ - window_.size()) restart();
        while (end_ <= at) advance();
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), end_ - at));
        std::memcpy(into.data(), window_.data() + (at - (end_ - window_.size())), n);
        into = into.subspan(n);
        at += n;
      }
    } catch (...) {
      stream_.reset();
      throw;
    }
  }

 private:
  void restart() const {
    stream_ = open_();
    window_.clear();
    end_ = 0;
  }

  void advance() const {
    const std::size_t step = kept_ / 8;
    if (window_.size() + step > 2 * kept_) window_.erase(0, window_.size() - kept_);
    window_.reserve(2 * kept_);
    const std::size_t before = window_.size();
    window_.resize(before + static_cast<std::size_t>(std::min<std::uint64_t>(step, size_ - end_)));
    const std::size_t n = stream_->read(Buffer(window_.data() + before, window_.size() - before));
    end_ += n;
    if (before + n < window_.size())
      throw Error(Errc::corrupt,
                  place_ + ": has " + std::to_string(end_) + " bytes, expected " + std::to_string(size_));
    if (stream_->memory() > memory_)
      throw Error(Errc::unsupported, place_ + ": needs more memory to be unpacked than it says at its beginning");
    char more;
    if (end_ == size_ && stream_->read(Buffer(&more, 1)) > 0)
      throw Error(Errc::corrupt, place_ + ": has more than the " + std::to_string(size_) + " bytes expected");
  }

  const std::function<std::unique_ptr<Stream>()> open_;
  const std::uint64_t size_;
  const std::string place_;
  const std::size_t kept_;
  const std::uint64_t memory_;
  mutable std::mutex mutex_;  // guards what follows; held over reads of the packed bytes
  mutable std::unique_ptr<Stream> stream_;
  mutable std::string window_;     // the last bytes unpacked
  mutable std::uint64_t end_ = 0;  // where the window ends
};

}  // namespace

Ptr<Computed> bytes_in_memory(std::string bytes) { return std::make_shared<InMemory>(std::move(bytes)); }

Ptr<Computed> bytes_of_recipe(Recipe recipe) { return std::make_shared<OfRecipe>(std::move(recipe)); }

Ptr<Computed> bytes_of_stream(std::function<std::unique_ptr<Stream>()> open, std::uint64_t size, std::string place,
                              std::size_t window, std::uint64_t memory) {
  return std::make_shared<OfStream>(std::move(open), size, std::move(place), window, memory);
}

}  // namespace ckptree::zarr
