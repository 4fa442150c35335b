#include <cstring>
#include <random>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "codec/npy/gather.hpp"
#include "codec/npy/npy.hpp"

using namespace ckptree;

namespace {

using Shape = std::vector<std::uint64_t>;

/// A .npy file with this dict as its header.
std::string npy_file(const std::string& dict, const std::string& data, int version = 1) {
  std::string file("\x93NUMPY", 6);
  file += static_cast<char>(version);
  file += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) file += static_cast<char>(dict.size() >> (8 * i));
  return file + dict + data;
}

npy::Header header_of(const std::string& file) { return npy::parse_header(Recipe::literal(file), "arrays/x.npy"); }

std::string all(const Recipe& recipe) { return recipe.text(1u << 30, "a test"); }

struct Spelling {
  const char* descr;
  const char* name;
  std::uint64_t size;
};

// From numpy 2.4: numpy.lib.format.dtype_to_descr(t), str(t), t.itemsize.
const Spelling kSpellings[] = {
    {"|b1", "bool", 1},
    {"|i1", "int8", 1},
    {"<i2", "int16", 2},
    {"<i4", "int32", 4},
    {"<i8", "int64", 8},
    {"|u1", "uint8", 1},
    {"<u2", "uint16", 2},
    {"<u4", "uint32", 4},
    {"<u8", "uint64", 8},
    {"<f2", "float16", 2},
    {"<f4", "float32", 4},
    {"<f8", "float64", 8},
    {"<f16", "float128", 16},
    {"<c8", "complex64", 8},
    {"<c16", "complex128", 16},
    {"<c32", "complex256", 32},
    {"<U5", "<U5", 20},
    {"|S5", "|S5", 5},
    {"|V2", "|V2", 2},
    {"<M8[ns]", "datetime64[ns]", 8},
    {"<m8[25s]", "timedelta64[25s]", 8},
    {"<M8", "datetime64", 8},
    {"<m8", "timedelta64", 8},
    {"<M8[Y]", "datetime64[Y]", 8},
    {">f8", ">f8", 8},
    {">i2", ">i2", 2},
    {">U5", ">U5", 20},
    {">M8[ns]", ">M8[ns]", 8},
    {">c16", ">c16", 16},
    {">m8[D]", ">m8[D]", 8},
    {">M8", ">M8", 8},
    {">f16", ">f16", 16},
};

}  // namespace

TEST_CASE("types are spelled as NumPy spells them, and found again by that name", "[npy]") {
  for (const Spelling& s : kSpellings) {
    INFO(s.descr);
    CHECK(npy::dtype_name(s.descr) == s.name);
    CHECK(npy::descr_of(s.name, "x") == s.descr);
    CHECK(npy::descr_of(s.descr, "x") == s.descr);
    CHECK(npy::item_size(s.descr) == s.size);
  }
}

TEST_CASE("other spellings of a type that NumPy takes become its own", "[npy]") {
  const std::pair<const char*, const char*> spellings[] = {
      {"f4", "<f4"},
      {"=f4", "<f4"},
      {"|f4", "<f4"},
      {"<b1", "|b1"},
      {">i1", "|i1"},
      {">S5", "|S5"},
      {"<V2", "|V2"},
      {"<U05", "<U5"},
      {"datetime64[1ns]", "<M8[ns]"},
      {"M8[7D]", "<M8[7D]"},
      {"timedelta64[generic]", "<m8"},
  };
  for (const auto& [given, descr] : spellings) CHECK(npy::descr_of(given, "x") == descr);
}

TEST_CASE("a name that is no plain dtype is damage, and says where", "[npy]") {
  for (const char* name : {"",
                           "object",
                           "O",
                           "|O8",
                           "float",
                           "float24",
                           "float0",
                           "int128",
                           "f12",
                           "<f3",
                           "c4",
                           "b2",
                           "U",
                           "S0",
                           "<U0",
                           "|V0",
                           "U536870912",
                           "S2147483648",
                           "datetime64[B]",
                           "datetime64[]",
                           "datetime64[0s]",
                           "datetime64[ns",
                           "datetime64[ns/2]",
                           "M4[s]",
                           "<f4 ",
                           " f4",
                           "f4f4",
                           "[('a', '<f4')]",
                           "i99999999999999999999",
                           "int8x",
                           "bool8"}) {
    INFO(name);
    REQUIRE_THROWS_WITH(npy::descr_of(name, "arrays/x.npy"),
                        says("arrays/x.npy: expected the name of a plain dtype, got '" + std::string(name) + "'"));
  }
  REQUIRE_THROWS_WITH(npy::item_size("<f3"), says("type '<f3': not a plain type that NumPy knows"));
}

TEST_CASE("a size that does not fit 63 bits is damage", "[npy]") {
  CHECK(npy::byte_size(Shape{}, "<f8", "x") == 8);
  CHECK(npy::byte_size(Shape{3, 0, 5}, "<f8", "x") == 0);
  CHECK(npy::byte_size(Shape{3, 4}, "<U5", "x") == 240);
  CHECK(npy::byte_size(Shape{1u << 30, 1u << 29}, "<f8", "x") == (std::uint64_t(1) << 62));
  for (const Shape& shape :
       {Shape{std::uint64_t(1) << 62}, Shape{1u << 31, 1u << 31, 1u << 31}, Shape{~std::uint64_t(0)},
        Shape{0, std::uint64_t(1) << 62}, Shape{std::uint64_t(1) << 62, 0}})
    REQUIRE_THROWS_WITH(npy::byte_size(shape, "<f8", "member a"),
                        says("member a: its shape needs more bytes than 63 bits"));
  REQUIRE_THROWS_WITH(npy::byte_size(Shape(65, 1), "<f8", "member a"), says("has 65 dimensions, at most 64"));
}

TEST_CASE("headers are byte for byte those of numpy.save", "[npy]") {
  const auto expected = [](const std::string& dict, std::size_t spaces) {
    return npy_file(dict + std::string(spaces, ' ') + "\n", "");
  };
  // Spaces as numpy 2.4 writes them.
  CHECK(npy::make_header("<f4", Shape{3}) == expected("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 60));
  CHECK(npy::make_header("<f8", Shape{}) == expected("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 62));
  CHECK(npy::make_header("|b1", Shape{8, 3}) ==
        expected("{'descr': '|b1', 'fortran_order': False, 'shape': (8, 3), }", 58));
  CHECK(npy::make_header(">f8", Shape{8, 3}, true) ==
        expected("{'descr': '>f8', 'fortran_order': True, 'shape': (8, 3), }", 59));
  for (std::uint64_t n = 1; n < 200; ++n) CHECK(npy::make_header("<M8[ns]", Shape(n % 30, n * n * n)).size() % 64 == 0);
}

TEST_CASE("what make_header writes, parse_header reads", "[npy]") {
  for (const Spelling& s : kSpellings) {
    const Shape shape{2, 3};
    const std::string head = npy::make_header(s.descr, shape, s.size == 8);
    const npy::Header h = header_of(head + std::string(6 * s.size, 'x'));
    CHECK(h.descr == s.descr);
    CHECK(h.shape == shape);
    CHECK(h.fortran_order == (s.size == 8));
    CHECK(h.data_offset == head.size());
  }
}

TEST_CASE("headers of any version, order, padding and quoting are read", "[npy]") {
  const std::string data(24, 'd');
  for (const std::string dict : {
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
           "{\"shape\":(2,3,),\"descr\":\"<f4\",\"fortran_order\":False}   \n",
           "{'shape': (2L, 3L), 'fortran_order': False, 'descr': 'f4'}\n",
           "  {  'fortran_order' : False ,\n 'shape' : ( 2 , 3 ) , 'descr' : '<f4' , } \r\n\t",
       }) {
    for (const int version : {1, 2, 3}) {
      INFO(dict << version);
      const npy::Header h = header_of(npy_file(dict, data, version));
      CHECK(h.descr == "<f4");
      CHECK(h.shape == Shape{2, 3});
      CHECK_FALSE(h.fortran_order);
      CHECK(h.data_offset == (version == 1 ? 10 : 12) + dict.size());
    }
  }
  CHECK(header_of(npy_file("{'descr': '>f8', 'fortran_order': True, 'shape': (), }", "12345678")).shape.empty());
}

TEST_CASE("a header that is not plain, whole and unambiguous is refused", "[npy]") {
  const std::pair<const char*, const char*> bad[] = {
      {"", "at character 1: expected '{'"},
      {"{'descr': '<f4', 'fortran_order': False}", "needs descr, fortran_order and shape"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", "the key 'descr' twice"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}", "an unknown key 'x'"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", "a structured type"},
      {"{'descr': ('<f4', (3,)), 'fortran_order': False, 'shape': ()}", "a structured type"},
      {"{'descr': '|O', 'fortran_order': False, 'shape': ()}", "an object type, which needs a pickle"},
      {"{'descr': '<q3', 'fortran_order': False, 'shape': ()}", "type '<q3' is not a plain type"},
      {"{'descr': '\\x3cf4', 'fortran_order': False, 'shape': ()}", "an escape in a string"},
      {"{'descr': '<f4, 'fortran_order': False, 'shape': ()}", "expected '}'"},
      {"{'descr': '<f4", "a string without its end"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "expected True or False"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "expected an extent"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", "written with a comma"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}", "expected ',' or ')'"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "expected an extent"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,", "expected an extent"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': [1]}", "expected '('"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} 0", "more text behind the dict"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}", "more bytes than 63 bits"},
  };
  for (const auto& [dict, sentence] : bad) {
    INFO(dict);
    try {
      header_of(npy_file(dict, "1234"));
      FAIL("was not refused");
    } catch (const Error& e) {
      CHECK(e.code() == Errc::rejected);
      // Where a quote is missing, the place of the complaint is the reader's choice.
      if (std::string(dict).find("'<f4, '") == std::string::npos) CHECK_THAT(e.what(), says(sentence));
      CHECK_THAT(e.what(), says("arrays/x.npy: "));
    }
  }
  std::string ones = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < 65; ++i) ones += "1,";
  REQUIRE_THROWS_WITH(header_of(npy_file(ones + ")}", "1234")), says("more than 64 dimensions"));
}

TEST_CASE("other files than .npy are refused", "[npy]") {
  REQUIRE_THROWS_WITH(header_of("{\"a\": 1, \"b\": 2}"), says("arrays/x.npy: not a .npy file"));
  REQUIRE_THROWS_WITH(header_of(npy_file("{}", "", 4)), says(".npy version 4.0, expected 1.0, 2.0 or 3.0"));
  REQUIRE_THROWS_WITH(header_of(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)),
                      says(".npy header of 4294967295 bytes, at most 65535"));
}

TEST_CASE("a file that ends too early is incomplete at every length, one that is too long is refused", "[npy]") {
  const std::string whole = npy::make_header("<i2", Shape{5}) + std::string(10, 'x');
  for (std::size_t n = 0; n < whole.size(); ++n) {
    try {
      header_of(whole.substr(0, n));
      FAIL("was not refused at " << n);
    } catch (const Error& e) {
      CHECK(e.code() == Errc::incomplete);
    }
  }
  REQUIRE_THROWS_WITH(header_of(whole.substr(0, whole.size() - 1)), says("the shape needs 10 bytes, there are 9"));
  REQUIRE_THROWS_WITH(header_of(whole.substr(0, 9)), says("ends in the header of a .npy file: needs 2 bytes, has 1"));
  REQUIRE_THROWS_WITH(header_of(whole + "yz"), says("2 bytes behind the 10 of its shape"));
  CHECK(header_of(whole).shape == Shape{5});
}

TEST_CASE("data in C order is an extent of the file it is in", "[npy]") {
  const std::string file = npy::make_header("<i2", Shape{5}) + "0123456789";
  const Recipe stored = Recipe::extent(memory_file("draft", file), 0, file.size(), "tag");
  const Recipe data = npy::data_in_c_order(stored, npy::parse_header(stored, "x"));
  CHECK(all(data) == "0123456789");
  REQUIRE(data.pieces.size() == 1);
  using Extent = std::pair<Ptr<File>, std::uint64_t>;
  CHECK(std::get<Extent>(data.pieces[0].from).second == file.size() - 10);
}

TEST_CASE("data may lie in several pieces", "[npy]") {
  const std::string file = npy::make_header("<i2", Shape{5}) + "0123456789";
  Recipe parts;
  for (std::size_t at = 0; at < file.size(); at += 7)
    parts.pieces.push_back({file.substr(at, 7), file.substr(at, 7).size()});
  CHECK(all(npy::data_in_c_order(parts, npy::parse_header(parts, "x"))) == "0123456789");
}

namespace {

/// Numbers each element by its place in C order and stores them in Fortran order.
std::string fortran_data(const Shape& shape, std::size_t item) {
  std::uint64_t n = 1;
  for (const std::uint64_t extent : shape) n *= extent;
  std::string data;
  Shape index(shape.size(), 0);
  for (std::uint64_t i = 0; i < n; ++i) {
    std::uint64_t c = 0;
    for (std::size_t d = 0; d < shape.size(); ++d) c = c * shape[d] + index[d];
    for (std::size_t b = 0; b < item; ++b) data += static_cast<char>(b < 8 ? c >> (8 * b) : b);
    for (std::size_t d = 0; d < shape.size() && ++index[d] == shape[d]; ++d) index[d] = 0;
  }
  return data;
}

/// Reads in steps of `step` bytes and says whether all elements come in order.
bool in_c_order(const Recipe& data, std::size_t item, std::size_t step) {
  std::string bytes;
  for (std::uint64_t at = 0; at < data.size(); at += step) {
    std::string part(step, '\0');
    part.resize(data.read(at, Buffer(part.data(), part.size())));
    bytes += part;
  }
  if (bytes.size() != data.size()) return false;
  for (std::uint64_t c = 0; c < bytes.size() / item; ++c)
    for (std::size_t b = 0; b < item; ++b)
      if (bytes[c * item + b] != static_cast<char>(b < 8 ? c >> (8 * b) : b)) return false;
  return true;
}

Recipe gathered(const Shape& shape, const std::string& descr) {
  const std::string file = npy::make_header(descr, shape, true) + fortran_data(shape, npy::item_size(descr));
  const Recipe stored = Recipe::literal(file);
  return npy::data_in_c_order(stored, npy::parse_header(stored, "x"));
}

}  // namespace

TEST_CASE("Fortran order is read as C order", "[npy]") {
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{2, 3}, Shape{3, 2}, Shape{1, 5, 1}, Shape{4, 1, 3},
                             Shape{2, 3, 4, 5}, Shape{5, 4, 3, 2}, Shape{0, 3}, Shape{3, 0}, Shape{100, 7}})
    for (const char* descr : {"<i2", ">i4", "<U5", "|S3"})
      for (const std::size_t step : {1, 5, 4096}) {
        INFO(descr << " rank " << shape.size() << " step " << step);
        CHECK(in_c_order(gathered(shape, descr), npy::item_size(descr), step));
      }
}

TEST_CASE("large arrays in Fortran order are gathered in tiles", "[npy]") {
  // Several tiles of whole rows; runs far apart; a row that is longer than a tile.
  for (const Shape& shape : {Shape{3000, 2000}, Shape{300000, 15}, Shape{2, 1500, 2000}, Shape{3, 6000000}})
    CHECK(in_c_order(gathered(shape, "<i4"), 4, 1000003));
}

TEST_CASE("a place in the middle of an array in Fortran order can be read alone", "[npy]") {
  const Recipe data = gathered({50, 40}, "<i2");
  char bytes[4];
  REQUIRE(data.read(2 * (17 * 40 + 39), Buffer(bytes, 4)) == 4);
  std::uint16_t element[2];
  std::memcpy(element, bytes, 4);
  CHECK(element[0] == 17 * 40 + 39);
  CHECK(element[1] == 18 * 40);
}

namespace {

/// Element by element, the slow way.
std::string gathered(const std::string& stored, const npy::Strided& array, std::size_t item) {
  std::string out;
  std::vector<std::uint64_t> index(array.shape.size(), 0);
  for (const std::uint64_t extent : array.shape)
    if (extent == 0) return out;
  for (;;) {
    std::uint64_t at = array.offset;
    for (std::size_t i = 0; i < index.size(); ++i) at += index[i] * array.strides[i];
    out.append(stored, at, item);
    std::size_t i = index.size();
    while (i > 0 && ++index[i - 1] == array.shape[i - 1]) index[--i] = 0;
    if (i == 0) return out;
  }
}

}  // namespace

TEST_CASE("strided elements are gathered in C order, from wherever one reads", "[npy]") {
  const auto seed = GENERATE(range(0, 60));
  std::mt19937 random(static_cast<unsigned>(seed));
  const auto below = [&](std::uint64_t n) { return random() % n; };
  const std::size_t item = std::size_t(1) << below(5);
  npy::Strided array;
  array.offset = item * below(20);
  std::uint64_t last = array.offset;
  for (std::uint64_t rank = below(5); rank > 0; --rank) {
    array.shape.push_back(below(12) == 0 ? 0 : 1 + below(9));
    array.strides.push_back(item * (below(4) == 0 ? 0 : below(4) == 0 ? 5000 + below(9000) : 1 + below(40)));
    last += (array.shape.back() == 0 ? 0 : array.shape.back() - 1) * array.strides.back();
  }
  std::string stored(last + item, 0);
  for (char& c : stored) c = static_cast<char>(random());
  const Recipe made = npy::gather(Recipe::literal(stored), array, item);
  const std::string expected = gathered(stored, array, item);
  REQUIRE(made.size() == expected.size());
  CHECK(made.text(1 << 30, "made") == expected);
  for (int i = 0; i < 5 && !expected.empty(); ++i) {
    const std::uint64_t at = below(expected.size());
    std::string part(below(300), 0);
    part.resize(made.read(at, Buffer(part.data(), part.size())));
    CHECK(part == expected.substr(at, part.size()));
  }
}

TEST_CASE("an array of many tiles is gathered tile by tile", "[npy]") {
  // 48 MB: a permutation, one of every second element, and rows that are longer than a tile.
  const std::uint64_t n = 12'000'000;
  std::string stored(4 * n, 0);
  for (std::uint64_t i = 0; i < n; ++i) {
    const auto value = static_cast<std::uint32_t>(i);
    std::memcpy(&stored[4 * i], &value, 4);
  }
  const Recipe recipe = Recipe::literal(stored);
  const auto check = [&](const npy::Strided& array) {
    const Recipe made = npy::gather(recipe, array, 4);
    const std::string expected = gathered(stored, array, 4);
    REQUIRE(made.size() == expected.size());
    CHECK((made.text(1 << 30, "made") == expected));
    std::string part(1000, 0);
    for (const std::uint64_t at : {std::uint64_t{3}, made.size() / 2 - 500, made.size() - 1000}) {
      made.read(at, Buffer(part.data(), part.size()));
      CHECK((part == expected.substr(at, 1000)));
    }
  };
  check({{200, 300, 200}, {4, 4 * 40'000, 4 * 200}, 0});
  check({{1200, 5000}, {4 * 10'000, 8}, 4});
  check({{2, 6'000'000}, {4, 8}, 0});
}
