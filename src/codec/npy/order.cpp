#include <algorithm>
#include <cstring>
#include <mutex>

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"

namespace ckptree::npy {
namespace {

// Bytes of the result that are worked out and kept at once; the more, the fewer passes over the stored data.
constexpr std::uint64_t kTile = 16u << 20;
// Bytes of the stored data that are read at once where the wanted ones lie close together.
constexpr std::uint64_t kWindow = 1u << 20;

/// Bytes [at, at + size) of a recipe.
Recipe slice(const Recipe& whole, std::uint64_t at, std::uint64_t size) {
  Recipe part;
  part.tag = whole.tag + "@" + std::to_string(at) + "+" + std::to_string(size);
  for (const Recipe::Piece& piece : whole.pieces) {
    if (size == 0) break;
    if (at >= piece.size) {
      at -= piece.size;
      continue;
    }
    const std::uint64_t take = std::min(size, piece.size - at);
    if (const auto* text = std::get_if<std::string>(&piece.from)) {
      part.pieces.push_back({text->substr(static_cast<std::size_t>(at), static_cast<std::size_t>(take)), take});
    } else if (const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&piece.from)) {
      part.pieces.push_back({std::make_pair(extent->first, extent->second + at), take});
    } else {
      struct Tail final : Computed {
        Tail(Ptr<Computed> c, std::uint64_t o) : computed(std::move(c)), offset(o) {}
        void read(std::uint64_t from, Buffer into) const override { computed->read(offset + from, into); }
        Ptr<Computed> computed;
        std::uint64_t offset;
      };
      part.pieces.push_back({Ptr<Computed>(std::make_shared<Tail>(std::get<Ptr<Computed>>(piece.from), at)), take});
    }
    size -= take;
    at = 0;
  }
  return part;
}

/// Data in Fortran order, read in C order. The first dimension is the fastest in one and the slowest in the other, so
/// the stored data is columns of `rows_` elements, one for each index of the other dimensions. A tile of the result is
/// some whole rows, or a part of one row where that is longer than a tile; it is made in one pass over the stored data.
class Gather final : public Computed {
 public:
  Gather(Recipe stored, std::vector<std::uint64_t> shape, std::uint64_t item)
      : stored_(std::move(stored)), shape_(std::move(shape)), item_(item), rows_(shape_.front()) {
    for (std::size_t i = 1; i < shape_.size(); ++i) columns_ *= shape_[i];
  }

  void read(std::uint64_t at, Buffer into) const override {
    const std::lock_guard<std::mutex> guard(mutex_);
    std::size_t done = 0;
    while (done < into.size()) {
      const std::uint64_t from = at + done;
      if (from < begin_ || from >= begin_ + tile_.size()) fill(from / item_);
      const auto inside = static_cast<std::size_t>(from - begin_);
      const std::size_t n = std::min(into.size() - done, tile_.size() - inside);
      std::memcpy(into.data() + done, tile_.data() + inside, n);
      done += n;
    }
  }

 private:
  /// Makes the tile with element `element` of the result in it.
  void fill(std::uint64_t element) const {
    const std::uint64_t row_bytes = columns_ * item_;
    const std::uint64_t row = element / columns_;
    std::uint64_t first_row = row, rows = 1, first = 0, columns = columns_;
    if (row_bytes <= kTile) {
      const std::uint64_t each = kTile / row_bytes;
      first_row = row / each * each;
      rows = std::min(each, rows_ - first_row);
    } else {
      const std::uint64_t each = std::max<std::uint64_t>(1, kTile / item_);
      first = element % columns_ / each * each;
      columns = std::min(each, columns_ - first);
    }
    // Not a tile until it is complete.
    begin_ = 0;
    tile_.clear();
    std::string tile(static_cast<std::size_t>(rows * columns * item_), '\0');
    Window window{stored_, rows_ * item_, rows * item_, 0, {}};
    std::vector<std::uint64_t> index(shape_.size(), 0);  // of the column; the first dimension is not used
    std::uint64_t at = 0;                                 // of the column, in a row of the result
    for (std::uint64_t stored = 0; stored < columns_; ++stored) {
      if (at >= first && at < first + columns) {
        const char* run = window.run((stored * rows_ + first_row) * item_);
        for (std::uint64_t i = 0; i < rows; ++i)
          std::memcpy(&tile[static_cast<std::size_t>((i * columns + at - first) * item_)], run + i * item_, item_);
      }
      advance(index, at);
    }
    tile_ = std::move(tile);
    begin_ = (first_row * columns_ + first) * item_;
  }

  /// To the next column as stored: of the dimensions behind the first, the earliest is the fastest.
  void advance(std::vector<std::uint64_t>& index, std::uint64_t& at) const {
    std::uint64_t stride = columns_;
    for (std::size_t i = 1; i < shape_.size(); ++i) {
      stride /= shape_[i];
      at += stride;
      if (++index[i] < shape_[i]) return;
      at -= stride * shape_[i];
      index[i] = 0;
    }
  }

  /// Runs of the stored data, ascending.
  struct Window {
    const Recipe& stored;
    std::uint64_t step, run_size;  // bytes from one run to the next, and of each
    std::uint64_t begin;
    std::string bytes;

    const char* run(std::uint64_t at) {
      if (at < begin || at + run_size > begin + bytes.size()) {
        const std::uint64_t wanted = step < kWindow / 2 ? std::max(kWindow, run_size) : run_size;
        bytes.resize(static_cast<std::size_t>(std::min(wanted, stored.size() - at)));
        begin = at;
        stored.read(at, Buffer(bytes.data(), bytes.size()));
      }
      return bytes.data() + (at - begin);
    }
  };

  const Recipe stored_;
  const std::vector<std::uint64_t> shape_;
  const std::uint64_t item_, rows_;
  std::uint64_t columns_ = 1;

  mutable std::mutex mutex_;  // guards the tile; held over reads of the stored data, and nothing else is taken then
  mutable std::uint64_t begin_ = 0;
  mutable std::string tile_;
};

}  // namespace

Recipe data_in_c_order(const Recipe& file, const Header& header) {
  Recipe stored = slice(file, header.data_offset, file.size() - header.data_offset);
  const auto longer = std::count_if(header.shape.begin(), header.shape.end(), [](std::uint64_t n) { return n != 1; });
  if (!header.fortran_order || longer < 2 || stored.size() == 0) return stored;
  if (item_size(header.descr) > kTile)
    throw Error(Errc::unsupported, "type '" + header.descr + "' in Fortran order: an element is larger than " +
                                       std::to_string(kTile) + " bytes");
  Recipe ordered;
  ordered.tag = "c:" + stored.tag;
  const std::uint64_t size = stored.size();
  std::vector<std::uint64_t> shape;
  for (const std::uint64_t n : header.shape)
    if (n != 1) shape.push_back(n);
  ordered.pieces.push_back(
      {Ptr<Computed>(std::make_shared<Gather>(std::move(stored), std::move(shape), item_size(header.descr))), size});
  return ordered;
}

}  // namespace ckptree::npy
