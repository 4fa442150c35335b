// Metadata of any bytes, then a line break, then the bytes of every chunk: reading the array ends in bytes or in an
// Error, and reading a part of it gives the same bytes.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "ckptree/error.hpp"
#include "codec/zarr/array.hpp"

using namespace ckptree;

namespace {

constexpr std::uint64_t kRead = 16 << 10;  // of an array; a few bytes can claim to be terabytes

struct SameValue final : zarr::KeyValues {
  explicit SameValue(std::string v) : value(std::move(v)) {}
  std::optional<Recipe> find(const std::string& key) const override {
    if (key.size() % 7 == 0) return std::nullopt;
    return Recipe::literal(value);
  }
  const std::string value;
};

void expect(bool right) {
  if (!right) std::abort();
}

void read(const zarr::ZarrArray& array, const std::string& value, bool missing_is_damage) {
  if (!zarr::npy_descr(array)) return;
  const Recipe npy = zarr::npy_of(std::make_shared<SameValue>(value), "w", std::make_shared<zarr::ZarrArray>(array),
                                  std::make_shared<zarr::ChunkCache>(1 << 20), missing_is_damage, "w");
  std::string text(static_cast<std::size_t>(std::min(kRead, npy.size())), '\0');
  expect(npy.read(0, Buffer(text.data(), text.size())) == text.size());
  const std::size_t at = text.size() / 3;
  std::string part(text.size() / 2, '\0');
  expect(npy.read(at, Buffer(part.data(), part.size())) == part.size());
  expect(text.compare(at, part.size(), part) == 0);
  char last;
  npy.read(npy.size() - 1, Buffer(&last, 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string all(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(all.find('\n'), all.size());
  const std::string value = all.substr(std::min(end + 1, all.size()));
  for (const bool zarr3 : {false, true}) {
    try {
      read(zarr::parse_zarr(Bytes(all).substr(0, end), zarr3, "fuzz"), value, size % 2 == 0);
    } catch (const Error& e) {
      expect(e.code() == Errc::corrupt || e.code() == Errc::unsupported);
    }
  }
  return 0;
}
