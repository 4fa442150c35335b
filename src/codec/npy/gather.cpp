#include "codec/npy/gather.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

#include "ckptree/error.hpp"

namespace ckptree::npy {
namespace {

// Bytes of the result that are worked out and kept at once; the more, the fewer passes over the stored data.
constexpr std::uint64_t kTile = 16u << 20;
// Tiles that are kept at all, of whatever arrays: what readers of many arrays at once may cost.
constexpr std::size_t kTiles = 4;
// Bytes of the stored data that are read at once where the wanted ones lie close together.
constexpr std::uint64_t kWindow = 1u << 20;
// Elements further from each other than this are read one by one.
constexpr std::uint64_t kFar = 4096;

/// Some bytes of a result, that follow each other.
struct Tile {
  std::uint64_t begin = 0;
  std::string bytes;
  bool has(std::uint64_t at) const noexcept { return at >= begin && at - begin < bytes.size(); }
};

/// The tiles made last. Whoever made one has no other hold on it.
class Recent {
 public:
  void keep(std::shared_ptr<const Tile> tile) {
    const std::lock_guard<std::mutex> guard(mutex_);
    tiles_[next_++ % kTiles].swap(tile);
  }

 private:
  std::mutex mutex_;  // guards both; nothing is taken while it is held
  std::array<std::shared_ptr<const Tile>, kTiles> tiles_;
  std::size_t next_ = 0;
};

Recent& recent() {
  static Recent tiles;
  return tiles;
}

/// One dimension: its extent, and bytes from one index to the next, stored and in the result.
struct Dimension {
  std::uint64_t extent, stored, made;
};

/// Reads of the stored data, mostly ascending.
struct Window {
  const Recipe& stored;
  std::uint64_t ahead;  // bytes worth reading at once
  std::uint64_t begin = 0;
  std::string bytes;

  const char* at(std::uint64_t offset, std::uint64_t size) {
    if (offset < begin || offset - begin > bytes.size() || bytes.size() - (offset - begin) < size) {
      const std::uint64_t wanted = std::min(std::max(ahead, size), stored.size() - offset);
      bytes.clear();  // not to be copied when it grows
      bytes.resize(static_cast<std::size_t>(wanted));
      begin = offset;
      stored.read(offset, Buffer(bytes.data(), bytes.size()));
    }
    return bytes.data() + (offset - begin);
  }
};

/// A tile of the result is one index of the slow dimensions, a range of the next, and all of the fast ones. It is made
/// by one pass over the stored data that it comes from, in the order in which that is stored.
class Gather final : public Computed {
 public:
  Gather(Recipe stored, std::vector<Dimension> dimensions, std::uint64_t offset, std::uint64_t item)
      : stored_(std::move(stored)), dimensions_(std::move(dimensions)), offset_(offset), item_(item) {}

  void read(std::uint64_t at, Buffer into) const override {
    std::size_t done = 0;
    while (done < into.size()) {
      const std::uint64_t from = at + done;
      const auto tile = tile_with(from);
      const auto inside = static_cast<std::size_t>(from - tile->begin);
      const std::size_t n = std::min(into.size() - done, tile->bytes.size() - inside);
      std::memcpy(into.data() + done, tile->bytes.data() + inside, n);
      done += n;
    }
  }

 private:
  std::shared_ptr<const Tile> tile_with(std::uint64_t at) const {
    const std::lock_guard<std::mutex> guard(mutex_);
    auto tile = last_.lock();
    if (tile && tile->has(at)) return tile;
    tile = make(at);
    last_ = tile;
    recent().keep(tile);
    return tile;
  }

  std::shared_ptr<const Tile> make(std::uint64_t at) const {
    // The first dimension of which a tile holds several indices, and how many.
    std::size_t split = 0;
    while (split < dimensions_.size() && dimensions_[split].made > kTile) ++split;
    const auto tile = std::make_shared<Tile>();
    std::uint64_t from = offset_;
    std::vector<Dimension> loops;
    std::uint64_t size = item_;
    for (std::size_t i = 0; i < dimensions_.size(); ++i) {
      const Dimension& d = dimensions_[i];
      std::uint64_t index = at / d.made;
      at %= d.made;
      if (i > split) {
        loops.push_back(d);
        continue;
      }
      if (i == split) {
        const std::uint64_t each = kTile / d.made;
        index = index / each * each;
        loops.push_back({std::min(each, d.extent - index), d.stored, d.made});
        size = loops.back().extent * d.made;
      }
      from += index * d.stored;
      tile->begin += index * d.made;
    }
    tile->bytes.resize(static_cast<std::size_t>(size));
    std::stable_sort(loops.begin(), loops.end(),
                     [](const Dimension& a, const Dimension& b) { return a.stored > b.stored; });
    fill(tile->bytes, loops, from);
    return tile;
  }

  void fill(std::string& bytes, const std::vector<Dimension>& loops, std::uint64_t from) const {
    const std::size_t outer = loops.empty() ? 0 : loops.size() - 1;
    const Dimension inner = loops.empty() ? Dimension{1, 0, item_} : loops.back();
    const std::uint64_t step = outer > 0 ? loops[outer - 1].stored : inner.stored;
    Window window{stored_, step < kWindow / 2 ? kWindow : 0, 0, {}};
    std::vector<std::uint64_t> index(outer, 0);
    std::uint64_t to = 0;
    for (;;) {
      run(bytes, window, inner, from, to);
      std::size_t i = outer;
      for (; i > 0; --i) {
        const Dimension& d = loops[i - 1];
        from += d.stored;
        to += d.made;
        if (++index[i - 1] < d.extent) break;
        from -= d.stored * d.extent;
        to -= d.made * d.extent;
        index[i - 1] = 0;
      }
      if (i == 0) return;
    }
  }

  /// Elements of one dimension.
  void run(std::string& bytes, Window& window, const Dimension& d, std::uint64_t from, std::uint64_t to) const {
    const std::uint64_t once = d.stored == 0 ? d.extent : d.stored > kFar ? 1 : kWindow / std::max(item_, d.stored);
    for (std::uint64_t done = 0; done < d.extent;) {
      const std::uint64_t n = std::min(std::max<std::uint64_t>(once, 1), d.extent - done);
      const char* in = window.at(from + done * d.stored, (n - 1) * d.stored + item_);
      char* out = &bytes[static_cast<std::size_t>(to + done * d.made)];
      if (d.stored == item_ && d.made == item_) {
        std::memcpy(out, in, static_cast<std::size_t>(n * item_));
      } else {
        for (std::uint64_t i = 0; i < n; ++i) std::memcpy(out + i * d.made, in + i * d.stored, item_);
      }
      done += n;
    }
  }

  const Recipe stored_;
  const std::vector<Dimension> dimensions_;
  const std::uint64_t offset_, item_;

  mutable std::mutex mutex_;  // held over reads of the stored data; Recent's is taken in it
  mutable std::weak_ptr<const Tile> last_;
};

}  // namespace

Recipe gather(const Recipe& stored, const Strided& array, std::uint64_t item) {
  std::vector<Dimension> dimensions;
  std::uint64_t size = item;
  for (std::size_t i = array.shape.size(); i-- > 0;) {
    if (array.shape[i] == 1) continue;
    // What follows without a gap is one dimension.
    if (!dimensions.empty() && dimensions.back().stored * dimensions.back().extent == array.strides[i])
      dimensions.back().extent *= array.shape[i];
    else dimensions.push_back({array.shape[i], array.strides[i], size});
    size *= array.shape[i];
  }
  std::reverse(dimensions.begin(), dimensions.end());

  Recipe made;
  made.tag = "gather:" + std::to_string(array.offset) + ":" + std::to_string(item);
  for (const Dimension& d : dimensions) made.tag += ":" + std::to_string(d.extent) + "*" + std::to_string(d.stored);
  made.tag += ":" + stored.tag;
  if (size == 0) return made;
  if (item > kTile)
    throw Error(Errc::unsupported, "elements of " + std::to_string(item) + " bytes that do not lie in order: at most " +
                                       std::to_string(kTile) + " are possible");
  const Ptr<Computed> piece = std::make_shared<Gather>(stored, std::move(dimensions), array.offset, item);
  made.pieces.push_back({piece, size});
  return made;
}

}  // namespace ckptree::npy
