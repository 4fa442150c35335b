#include <algorithm>
#include <cstring>
#include <memory>

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"
#include "codec/zarr/chunks.hpp"

namespace ckptree::zarr {
namespace {

/// Some neighbouring dimensions that lie in one row, in the array as in its chunks.
struct Dimension {
  std::uint64_t extent, chunk;  // elements
  std::uint64_t stride;         // bytes from one index to the next in a chunk
  std::size_t first;            // of these dimensions; only it has more than one chunk
};

std::vector<Dimension> dimensions_of(const ZarrArray& array) {
  const std::size_t rank = array.shape.size();
  std::vector<std::uint64_t> strides(rank);
  std::uint64_t stride = array.item_size;
  for (std::size_t i = rank; i-- > 0;) {
    const std::size_t d = array.codecs.order.empty() ? i : array.codecs.order[i];
    strides[d] = stride;
    stride *= array.chunk_shape[d];
  }
  std::vector<Dimension> dimensions;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::uint64_t extent = array.shape[i], chunk = array.chunk_shape[i];
    if (!dimensions.empty() && extent == chunk && dimensions.back().stride == strides[i] * chunk) {
      dimensions.back().extent *= extent;
      dimensions.back().chunk *= chunk;
      dimensions.back().stride = strides[i];
    } else {
      dimensions.push_back({extent, chunk, strides[i], i});
    }
  }
  if (dimensions.empty()) dimensions.push_back({1, 1, array.item_size, 0});
  return dimensions;
}

/// The elements of an array in C order, run by run: elements that follow each other in the array and in a chunk.
class Data final : public Computed {
 public:
  explicit Data(Chunks chunks)
      : chunks_(std::move(chunks)), dimensions_(dimensions_of(chunks_.array())), item_(chunks_.array().item_size) {}

  void read(std::uint64_t at, Buffer into) const override {
    Reader reader{*this, {}, nullptr};
    reader.coordinates.assign(chunks_.array().shape.size(), 0);
    bool same = false;
    while (into.size() > 0) {
      const Run run = run_at(at / item_, reader.coordinates, same);
      if (!same) reader.chunk = chunks_.at(reader.coordinates);
      same = true;
      const std::uint64_t inside = at % item_;
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), run.elements * item_ - inside));
      reader.copy(run.offset, inside, into.subspan(0, n));
      into = into.subspan(n);
      at += n;
    }
  }

 private:
  struct Run {
    std::uint64_t offset;  // in the chunk, of the first element
    std::uint64_t elements;
  };

  /// The run that begins with an element, and where its chunk is. `same`: unchanged if the chunk is the one before.
  Run run_at(std::uint64_t element, std::vector<std::uint64_t>& coordinates, bool& same) const {
    Run run{0, 0};
    for (std::size_t i = dimensions_.size(); i-- > 0;) {
      const Dimension& d = dimensions_[i];
      const std::uint64_t index = element % d.extent, within = index % d.chunk;
      element /= d.extent;
      run.offset += within * d.stride;
      if (i + 1 == dimensions_.size()) run.elements = std::min(d.chunk - within, d.extent - index);
      if (coordinates.empty()) continue;  // a scalar
      same = same && coordinates[d.first] == index / d.chunk;
      coordinates[d.first] = index / d.chunk;
    }
    return run;
  }

  struct Reader {
    const Data& data;
    std::vector<std::uint64_t> coordinates;
    Ptr<Computed> chunk;

    /// Bytes of a run, from byte `inside` of its first element.
    void copy(std::uint64_t offset, std::uint64_t inside, Buffer into) const {
      const std::uint64_t item = data.item_, stride = data.dimensions_.back().stride;
      if (!chunk) return fill(inside, into);
      if (stride == item) return chunk->read(offset + inside, into);
      for (std::size_t done = 0; done < into.size();) {
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(item - inside, into.size() - done));
        chunk->read(offset + inside, into.subspan(done, n));
        done += n;
        offset += stride;
        inside = 0;
      }
    }

    void fill(std::uint64_t inside, Buffer into) const {
      const auto& value = data.chunks_.array().fill;
      if (!value)
        throw Error(Errc::unsupported, "a chunk is not stored, and its fill value is none that can be told of " +
                                           data.chunks_.array().dtype);
      for (std::size_t i = 0; i < into.size(); ++i) into[i] = (*value)[(inside + i) % value->size()];
    }
  };

  const Chunks chunks_;
  const std::vector<Dimension> dimensions_;
  const std::uint64_t item_;
};

}  // namespace

Recipe npy_of(Ptr<KeyValues> values, const std::string& name, Ptr<ZarrArray> array, Ptr<ChunkCache> cache,
              bool missing_is_damage, std::string tag) {
  const auto descr = npy_descr(*array);
  if (!descr) throw Error(Errc::unsupported, name + ": " + array->unsupported + " is not supported");
  Recipe npy;
  npy.tag = tag;
  const std::string header = npy::make_header(*descr, array->shape);
  npy.pieces.push_back({header, header.size()});
  const std::uint64_t size = npy::byte_size(array->shape, *descr, name);
  if (size == 0) return npy;
  Chunks chunks(std::move(values), name, std::move(array), std::move(cache), missing_is_damage, std::move(tag));
  const Ptr<Computed> data = std::make_shared<Data>(std::move(chunks));
  npy.pieces.push_back({data, size});
  return npy;
}

}  // namespace ckptree::zarr
