// Values of arrays and of Python as text: codec/npy/element, codec/python.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "catch.hpp"
#include "codec/npy/element.hpp"
#include "codec/python/repr.hpp"

namespace npy = ckptree::npy;
namespace python = ckptree::python;
using ckptree::Bytes;

TEST_CASE("floats are spelled as Python's repr spells them", "[python]") {
  // Printed by Python 3.13.
  CHECK(python::repr(0.1) == "0.1");
  CHECK(python::repr(1.0) == "1.0");
  CHECK(python::repr(-0.0) == "-0.0");
  CHECK(python::repr(100000.0) == "100000.0");
  CHECK(python::repr(9999999999999998.0) == "9999999999999998.0");
  CHECK(python::repr(1e16) == "1e+16");
  CHECK(python::repr(0.0001) == "0.0001");
  CHECK(python::repr(0.00001234) == "1.234e-05");
  CHECK(python::repr(5e-324) == "5e-324");
  CHECK(python::repr(-1.7976931348623157e308) == "-1.7976931348623157e+308");
  CHECK(python::repr(0.1F) == "0.1");
  CHECK(python::repr(double{0.1F}) == "0.10000000149011612");
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(python::repr(-infinity) == "-inf");
  CHECK(python::json_number(infinity) == "Infinity");
  CHECK(python::json_number(-infinity) == "-Infinity");
  CHECK(python::repr(std::numeric_limits<float>::quiet_NaN()) == "nan");
  CHECK(python::json_number(std::numeric_limits<float>::quiet_NaN()) == "NaN");
  CHECK(python::json_number(100000.0F) == "100000.0");
}

TEST_CASE("strings and bytes have the quotes and escapes of Python's repr", "[python]") {
  CHECK(python::quoted("a") == "'a'");
  CHECK(python::quoted("it's") == "\"it's\"");
  CHECK(python::quoted("it's \"it\"") == "'it\\'s \"it\"'");
  CHECK(python::quoted("\t\n\r\\\x01\x7f") == "'\\t\\n\\r\\\\\\x01\\x7f'");
  CHECK(python::quoted("\xc3\xa4") == "'\xc3\xa4'");
  CHECK(python::quoted_bytes("\xc3'") == "\"\\xc3'\"");
}

TEST_CASE("an element of an array has the value NumPy gives it, in either byte order", "[npy]") {
  CHECK(npy::bits_of(Bytes("\x01\x02\x03", 3), true) == 0x010203);
  CHECK(npy::bits_of(Bytes("\x01\x02\x03", 3), false) == 0x030201);
  CHECK(npy::signed_of(0xff, 1) == -1);
  CHECK(npy::signed_of(0x7f, 1) == 127);
  CHECK(npy::signed_of(0x8000000000000000, 8) == std::numeric_limits<std::int64_t>::min());
  // float16: one, the smallest, a negative one, the largest; then those that are no numbers
  CHECK(npy::real_of(0x3c00, 2) == 1.0);
  CHECK(npy::real_of(0x0001, 2) == 5.960464477539063e-08);
  CHECK(npy::real_of(0xc100, 2) == -2.5);
  CHECK(npy::real_of(0x7bff, 2) == 65504.0);
  CHECK(npy::real_of(0xfc00, 2) == -std::numeric_limits<double>::infinity());
  CHECK(python::repr(npy::real_of(0x7e00, 2)) == "nan");
  CHECK(npy::real_of(0x3dcccccd, 4) == double{0.1F});
  CHECK(npy::real_of(0x3fb999999999999a, 8) == 0.1);
}

TEST_CASE("a text of NumPy ends before the zeros that fill it up", "[npy]") {
  CHECK(npy::text_of(Bytes("a\0\0\0\0\0\0\0\xe4\0\0\0\0\0\0\0", 16), false) == std::string("a\0\xc3\xa4", 4));
  CHECK(npy::text_of(Bytes("\0\x01\xf6\x00", 4), true) == "\xf0\x9f\x98\x80");
  CHECK(npy::text_of(Bytes(), false) == "");
  CHECK_FALSE(npy::text_of(Bytes("\0\0\x11\0", 4), false).has_value());
}
