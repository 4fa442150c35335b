#include <zip.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <string>

#include "ckptree/error.hpp"
#include "codec/zip/directory.hpp"
#include "codec/zip/record.hpp"

namespace ckptree::zip {
namespace {

constexpr std::uint16_t kDeflated = 8;
// Deflate writes at least two bits, of a match of at most 258 bytes.
constexpr std::uint64_t kMaxRatio = 1032;

template <class T, auto close>
struct Close {
  void operator()(T* p) const noexcept { close(p); }
};
template <class T, auto close>
using Handle = std::unique_ptr<T, Close<T, close>>;

/// One member of an archive as libzip sees it: an archive of its own, around the compressed bytes where they are.
/// What the rest of the real archive says never reaches libzip.
struct Lone {
  Recipe bytes;
  std::uint64_t size = 0, at = 0;
  std::exception_ptr failure;  // must not fly through C
  zip_error_t error{};

  static zip_int64_t call(void* self, void* data, zip_uint64_t size, zip_source_cmd_t command) noexcept;
  zip_int64_t read(void* data, zip_uint64_t wanted);
  zip_int64_t stat(void* data);
};

zip_int64_t Lone::call(void* self, void* data, zip_uint64_t size, zip_source_cmd_t command) noexcept {
  auto& me = *static_cast<Lone*>(self);
  switch (command) {
    case ZIP_SOURCE_OPEN: me.at = 0; return 0;
    case ZIP_SOURCE_READ: return me.read(data, size);
    case ZIP_SOURCE_STAT: return me.stat(data);
    case ZIP_SOURCE_SEEK: {
      const auto to = zip_source_seek_compute_offset(me.at, me.size, data, size, &me.error);
      if (to >= 0) me.at = static_cast<std::uint64_t>(to);
      return to < 0 ? -1 : 0;
    }
    case ZIP_SOURCE_TELL: return static_cast<zip_int64_t>(me.at);
    case ZIP_SOURCE_ERROR: return zip_error_to_data(&me.error, data, size);
    case ZIP_SOURCE_SUPPORTS: return ZIP_SOURCE_SUPPORTS_SEEKABLE;
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE: return 0;
    default: zip_error_set(&me.error, ZIP_ER_OPNOTSUPP, 0); return -1;
  }
}

zip_int64_t Lone::read(void* data, zip_uint64_t wanted) {
  try {
    const std::size_t n = bytes.read(at, Buffer(static_cast<char*>(data), static_cast<std::size_t>(wanted)));
    at += n;
    return static_cast<zip_int64_t>(n);
  } catch (...) {
    failure = std::current_exception();
    zip_error_set(&error, ZIP_ER_READ, 0);
    return -1;
  }
}

zip_int64_t Lone::stat(void* data) {
  auto* st = static_cast<zip_stat_t*>(data);
  zip_stat_init(st);
  st->valid = ZIP_STAT_SIZE;
  st->size = size;
  return sizeof *st;
}

Recipe lone_archive(const Ptr<File>& file, std::uint64_t data, const Member& m) {
  Record r;
  r.needed = m.compressed >= kFull32 || m.size >= kFull32 ? 45 : 20;
  r.method = m.method;
  r.crc = m.crc;
  r.compressed = m.compressed;
  r.size = m.size;
  r.name = "m";
  const std::string front = local_header(r, "", 1), record = encode(r);
  Recipe all;
  all.pieces.push_back({front, front.size()});
  all.pieces.push_back({std::pair(file, data), m.compressed});
  const std::string back = record + trailer(front.size() + m.compressed, record.size(), 1, false, "");
  all.pieces.push_back({back, back.size()});
  return all;
}

/// The content of one deflated member. Reading forward streams; going back opens it again, unless what is wanted is
/// still in the window: the kernel reads ahead in several threads, slightly out of order.
class Inflated final : public Computed {
 public:
  Inflated(Ptr<File> file, std::uint64_t data, Member m) : file_(std::move(file)), data_(data), member_(std::move(m)) {}

  void read(std::uint64_t at, Buffer into) const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    try {
      while (into.size() > 0) {
        if (!open_ || at < end_ - window_.size()) open();
        while (end_ <= at) advance();
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), end_ - at));
        const auto from = static_cast<std::size_t>(at - (end_ - window_.size()));
        std::copy_n(window_.data() + from, n, into.data());
        into = into.subspan(n);
        at += n;
      }
    } catch (...) {
      close();
      throw;
    }
  }

 private:
  static constexpr std::size_t kStep = 64 << 10;
  static constexpr std::size_t kWindow = 1 << 20;  // a few of the kernel's largest reads

  [[noreturn]] void fail(const std::string& text) const {
    throw Error(Errc::corrupt, file_->name() + ": member " + quoted(member_.name) + ": " + text);
  }
  [[noreturn]] void fail(const char* what, zip_error_t* error) const {
    if (source_.failure) std::rethrow_exception(source_.failure);
    fail(std::string(what) + ": " + zip_error_strerror(error));
  }

  void close() const {
    open_.reset();
    archive_.reset();
    window_.clear();
    end_ = 0;
  }

  void open() const {
    close();
    source_ = {};
    source_.bytes = lone_archive(file_, data_, member_);
    source_.size = source_.bytes.size();
    zip_error_t error;
    zip_error_init(&error);
    Handle<zip_error_t, zip_error_fini> fini(&error);
    Handle<zip_source_t, zip_source_free> source(zip_source_function_create(&Lone::call, &source_, &error));
    if (!source) fail("cannot be inflated", &error);
    archive_.reset(zip_open_from_source(source.get(), ZIP_RDONLY, &error));
    if (!archive_) fail("cannot be inflated", &error);
    source.release();  // the archive owns it now
    open_.reset(zip_fopen_index(archive_.get(), 0, 0));
    if (!open_) fail("cannot be inflated", zip_get_error(archive_.get()));
  }

  /// Inflates the next step into the window. Never a byte more than the record says.
  void advance() const {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(kStep, member_.size - end_));
    if (window_.size() + n > 2 * kWindow) window_.erase(0, window_.size() - kWindow);
    const std::size_t before = window_.size();
    window_.resize(before + n);
    const zip_int64_t got = zip_fread(open_.get(), window_.data() + before, n);
    if (got < 0) fail("cannot be inflated", zip_file_get_error(open_.get()));
    window_.resize(before + static_cast<std::size_t>(got));
    end_ += static_cast<std::uint64_t>(got);
    if (got == 0)
      fail("inflates to " + std::to_string(end_) + " bytes, the directory says " + std::to_string(member_.size));
    if (end_ == member_.size) finish();
  }

  /// Behind the last byte there must be nothing, and libzip has the CRC.
  void finish() const {
    char more;
    const zip_int64_t got = zip_fread(open_.get(), &more, 1);
    if (got > 0) fail("inflates to more than the " + std::to_string(member_.size) + " bytes that the directory says");
    zip_error_t* error = zip_file_get_error(open_.get());
    // torch can be told not to compute CRCs; then they are 0.
    if (got < 0 && !(zip_error_code_zip(error) == ZIP_ER_CRC && member_.crc == 0)) fail("cannot be inflated", error);
  }

  Ptr<File> file_;
  std::uint64_t data_;
  Member member_;
  mutable std::mutex mutex_;  // guards what follows; nothing else is taken while it is held
  mutable Lone source_;       // before the handles, which call it when they are closed
  mutable Handle<zip_t, zip_discard> archive_;
  mutable Handle<zip_file_t, zip_fclose> open_;
  mutable std::string window_;     // the last bytes inflated
  mutable std::uint64_t end_ = 0;  // where the window ends in the content
};

std::string tag(const File& file, const Member& m) {
  if (m.crc != 0 || m.size == 0) return tag_from(m.crc, m.size);
  const Fingerprint f = file.fingerprint();
  std::string t = "z:" + std::to_string(m.size);
  for (const std::uint64_t n : {f.device, f.inode, f.size, static_cast<std::uint64_t>(f.mtime_ns),
                                static_cast<std::uint64_t>(f.ctime_ns), m.header})
    t += ":" + std::to_string(n);
  return t + ":" + m.name;
}

}  // namespace

std::string tag_from(std::uint32_t crc, std::uint64_t size) {
  char text[48];
  std::snprintf(text, sizeof text, "crc:%08x:%llu", crc, static_cast<unsigned long long>(size));
  return text;
}

Recipe Directory::content(const Member& m) const {
  const auto refuse = [&](Errc code, const std::string& text) -> void {
    throw Error(code, file()->name() + ": member " + quoted(m.name) + ": " + text);
  };
  const std::uint64_t data = data_offset(m);
  if (m.encrypted()) refuse(Errc::unsupported, "is encrypted");
  if (m.stored()) return Recipe::extent(file(), data, m.size, tag(*file(), m));
  if (m.method != kDeflated)
    refuse(Errc::unsupported,
           "compression method " + std::to_string(m.method) + "; stored (0) and deflated (8) are read");
  if (m.size / kMaxRatio > m.compressed)
    refuse(Errc::corrupt, std::to_string(m.compressed) + " bytes cannot inflate to " + std::to_string(m.size));
  Recipe r;
  r.tag = tag(*file(), m);
  if (m.size > 0) r.pieces.push_back({Ptr<Computed>(std::make_shared<Inflated>(file(), data, m)), m.size});
  return r;
}

}  // namespace ckptree::zip
