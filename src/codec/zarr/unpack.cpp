#include "codec/zarr/unpack.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "ckptree/cursor.hpp"
#include "ckptree/error.hpp"
#include "codec/zarr/blosc_stream.hpp"
#include "codec/zarr/crc32c.hpp"

namespace ckptree::zarr {
namespace {

constexpr std::size_t kStep = 128 << 10;  // packed bytes in hand at once
// zstd's own command refuses more without being told; TensorStore writes no frame that needs it.
constexpr int kMaxWindowLog = 27;

class Stored final : public Stream {
 public:
  explicit Stored(Recipe recipe) : recipe_(std::move(recipe)) {}
  std::size_t read(Buffer into) override {
    const std::size_t n = recipe_.read(at_, into);
    at_ += n;
    return n;
  }
  std::uint64_t memory() const override { return sizeof *this; }

 private:
  const Recipe recipe_;
  std::uint64_t at_ = 0;
};

/// What the decompressors share: packed bytes in hand.
class Packed : public Stream {
 public:
  Packed(std::unique_ptr<Stream> from, std::string place) : place_(std::move(place)), from_(std::move(from)) {}

  std::uint64_t memory() const override { return from_->memory() + bytes_.capacity() + own_memory(); }

 protected:
  virtual std::uint64_t own_memory() const = 0;

  const std::string place_;

  [[noreturn]] void fail(const std::string& text) const { throw Error(Errc::corrupt, place_ + ": " + text); }
  Bytes packed() const { return Bytes(bytes_).substr(at_); }
  void used(std::size_t n) { at_ += n; }
  /// Some packed bytes, unless there are none left at all.
  bool more() {
    if (at_ < bytes_.size()) return true;
    bytes_.resize(kStep);
    bytes_.resize(from_->read(Buffer(bytes_.data(), bytes_.size())));
    at_ = 0;
    return !bytes_.empty();
  }

 private:
  const std::unique_ptr<Stream> from_;
  std::string bytes_;
  std::size_t at_ = 0;
};

class Zstd final : public Packed {
 public:
  Zstd(std::unique_ptr<Stream> from, std::string place)
      : Packed(std::move(from), std::move(place)), context_(ZSTD_createDCtx()) {
    if (!context_) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  }

  std::size_t read(Buffer into) override {
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    while (out.pos < out.size) {
      const bool has = more();
      if (!has && whole_) break;
      const Bytes bytes = packed();
      ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
      const std::size_t before = out.pos;
      const std::size_t wants = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(wants)) fail(std::string("zstd: ") + ZSTD_getErrorName(wants));
      used(in.pos);
      whole_ = wants == 0;
      if (!has && out.pos == before) fail("ends within its zstd frame");
    }
    return out.pos;
  }

 private:
  std::uint64_t own_memory() const override { return ZSTD_sizeof_DCtx(context_.get()); }

  struct Free {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };
  const std::unique_ptr<ZSTD_DCtx, Free> context_;
  bool whole_ = false;  // a frame has ended, and no other one has begun
};

class Gzip final : public Packed {
 public:
  Gzip(std::unique_ptr<Stream> from, std::string place) : Packed(std::move(from), std::move(place)) {
    constexpr int kGzipOrZlib = 15 + 32;
    if (inflateInit2(&z_, kGzipOrZlib) != Z_OK) throw std::bad_alloc();
  }
  ~Gzip() override { inflateEnd(&z_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  std::size_t read(Buffer into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const bool has = more();
      if (!has && whole_) break;
      if (!has) fail("ends within its gzip stream");
      if (whole_ && inflateReset(&z_) != Z_OK) fail("gzip: cannot begin another stream");
      const Bytes bytes = packed();
      const auto room = static_cast<uInt>(std::min<std::size_t>(into.size() - done, 1u << 30));
      // zlib takes the input as writable and does not write.
      z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      z_.avail_in = static_cast<uInt>(bytes.size());
      z_.next_out = reinterpret_cast<Bytef*>(into.data() + done);
      z_.avail_out = room;
      const int status = inflate(&z_, Z_NO_FLUSH);
      if (status != Z_OK && status != Z_STREAM_END) fail(std::string("gzip: ") + (z_.msg ? z_.msg : "is damaged"));
      used(bytes.size() - z_.avail_in);
      done += room - z_.avail_out;
      whole_ = status == Z_STREAM_END;
    }
    return done;
  }

 private:
  std::uint64_t own_memory() const override { return 48 << 10; }  // zlib's own estimate, and its window

  z_stream z_{};
  bool whole_ = false;  // a stream has ended, and no other one has begun
};

/// Four bytes of CRC-32C end it; they are looked at once everything before them has been read.
class Checked final : public Packed {
 public:
  Checked(std::unique_ptr<Stream> from, std::string place) : Packed(std::move(from), std::move(place)) {}

  std::size_t read(Buffer into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      if (held_.size() <= kCrc) {
        if (!more()) {
          check();
          break;
        }
        held_.append(packed());
        used(packed().size());
        continue;
      }
      const std::size_t n = std::min(into.size() - done, held_.size() - kCrc);
      std::memcpy(into.data() + done, held_.data(), n);
      crc_ = crc32c(Bytes(held_).substr(0, n), crc_);
      held_.erase(0, n);
      done += n;
    }
    return done;
  }

 private:
  static constexpr std::size_t kCrc = 4;

  std::uint64_t own_memory() const override { return held_.capacity(); }

  void check() const {
    Cursor end(held_, place_);
    const auto stored = end.le<std::uint32_t>("crc32c");
    if (stored != crc_) fail("its crc32c is " + std::to_string(crc_) + ", it says " + std::to_string(stored));
  }

  std::string held_;
  std::uint32_t crc_ = 0;
};

/// Appends up to `wanted` bytes, in steps that grow with what there is. @return whether there were as many
bool append(std::string& bytes, Stream& stream, std::uint64_t wanted) {
  const std::uint64_t end = bytes.size() + wanted;
  while (bytes.size() < end) {
    const std::size_t before = bytes.size();
    bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(end, std::max(2 * before, kStep))));
    const std::size_t n = stream.read(Buffer(bytes.data() + before, bytes.size() - before));
    const bool over = before + n < bytes.size();
    bytes.resize(before + n);
    if (over) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<Stream> unpack(const Recipe& packed, const std::vector<Packing>& packings, const std::string& place) {
  std::unique_ptr<Stream> stream = std::make_unique<Stored>(packed);
  for (auto packing = packings.rbegin(); packing != packings.rend(); ++packing) {
    switch (*packing) {
      case Packing::zstd: stream = std::make_unique<Zstd>(std::move(stream), place); break;
      case Packing::gzip: stream = std::make_unique<Gzip>(std::move(stream), place); break;
      case Packing::blosc: stream = blosc_stream(std::move(stream), place); break;
      case Packing::crc32c: stream = std::make_unique<Checked>(std::move(stream), place); break;
    }
  }
  return stream;
}

std::string read_exactly(Stream& stream, std::uint64_t size, const std::string& place) {
  std::string bytes;
  if (!append(bytes, stream, size))
    throw Error(Errc::corrupt,
                place + ": has " + std::to_string(bytes.size()) + " bytes, expected " + std::to_string(size));
  char more;
  if (stream.read(Buffer(&more, 1)) > 0)
    throw Error(Errc::corrupt, place + ": has more than the " + std::to_string(size) + " bytes expected");
  return bytes;
}

std::string read_at_most(Stream& stream, std::uint64_t limit, const std::string& place) {
  std::string bytes;
  if (append(bytes, stream, limit + 1))
    throw Error(Errc::corrupt, place + ": has more than " + std::to_string(limit) + " bytes");
  return bytes;
}

}  // namespace ckptree::zarr
