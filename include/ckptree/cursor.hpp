#pragma once

#include <cstring>
#include <string>
#include <type_traits>

#include "ckptree/bytes.hpp"

namespace ckptree {

/// Walks over bytes that nobody has checked. Every read names its field; one that runs past the end throws
/// Errc::corrupt with the place, the field, and both numbers.
class Cursor {
 public:
  /// @param place   what is read, e.g. "model.pt: end of central directory"; named in every error
  /// @param origin  offset of the first byte in its file, for the errors
  Cursor(Bytes bytes, std::string place, std::uint64_t origin = 0)
      : bytes_(bytes), place_(std::move(place)), origin_(origin) {}

  std::size_t left() const noexcept { return bytes_.size() - at_; }
  /// Offset in the file of the next byte.
  std::uint64_t offset() const noexcept { return origin_ + at_; }

  /// An unsigned little-endian integer.
  template <class T>
  T le(const char* field) {
    static_assert(std::is_unsigned_v<T>, "fields of a file are read unsigned");
    const Bytes b = take(sizeof(T), field);
    T value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;)
      value = static_cast<T>((value << 7 << 1) | static_cast<unsigned char>(b[i]));
    return value;
  }

  /// The next `size` bytes. They live as long as the bytes given to the constructor.
  Bytes take(std::uint64_t size, const char* field);
  void skip(std::uint64_t size, const char* field) { take(size, field); }

  /// A count read from a file, checked against the bytes left before anything is reserved for it.
  std::size_t count(std::uint64_t n, std::size_t bytes_each, const char* field) const;

  /// Throws Errc::corrupt: the place, the offset, and `text`.
  [[noreturn]] void fail(const std::string& text) const;

 private:
  Bytes bytes_;
  std::string place_;
  std::uint64_t origin_;
  std::size_t at_ = 0;
};

}  // namespace ckptree
