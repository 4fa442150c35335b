#include "ckptree/cursor.hpp"

#include "ckptree/error.hpp"

namespace ckptree {

Bytes Cursor::take(std::uint64_t size, const char* field) {
  if (size > left())
    fail(std::string(field) + " needs " + std::to_string(size) + ", " + std::to_string(left()) + " left");
  const Bytes taken = bytes_.substr(at_, size);
  at_ += size;
  return taken;
}

std::size_t Cursor::count(std::uint64_t n, std::size_t bytes_each, const char* field) const {
  if (n > left() / bytes_each)
    fail(std::to_string(n) + " " + field + " need " + std::to_string(bytes_each) + " bytes each, " +
         std::to_string(left()) + " left");
  return n;
}

void Cursor::fail(const std::string& text) const {
  throw Error(Errc::corrupt, place_ + " at byte " + std::to_string(offset()) + ": " + text);
}

}  // namespace ckptree
