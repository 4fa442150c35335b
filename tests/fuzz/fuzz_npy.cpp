#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"

using namespace ckptree;

/// A .npy file: what is accepted can be written again, read in C order, and is as long as its shape says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Recipe file = Recipe::literal(std::string(reinterpret_cast<const char*>(data), size));
  try {
    const npy::Header header = npy::parse_header(file, "fuzz.npy");
    const Recipe ordered = npy::data_in_c_order(file, header);
    if (ordered.size() != npy::byte_size(header.shape, header.descr, "fuzz.npy")) std::abort();
    ordered.text(size, "fuzz.npy");
    if (npy::descr_of(npy::dtype_name(header.descr), "fuzz.npy") != header.descr) std::abort();
    Recipe again = ordered;
    const std::string text = npy::make_header(header.descr, header.shape);
    again.pieces.insert(again.pieces.begin(), {text, text.size()});
    if (npy::parse_header(again, "again.npy").shape != header.shape) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
