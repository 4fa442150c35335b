#pragma once

#include <string>

#include "ckptree/bytes.hpp"

/// Values as Python spells them.
namespace ckptree::python {

/// repr of a float: "0.1", "1.0", "1e+16", "inf", "nan". Of a single one the fewest digits that tell it from other
/// single ones, as NumPy writes it.
std::string repr(double value);
std::string repr(float value);

/// The same as json.dumps writes it: "NaN", "Infinity" and "-Infinity" for what is no number.
std::string json_number(double value);
std::string json_number(float value);

/// repr of a str, whose characters past ASCII stay as they are.
std::string quoted(Bytes text);
/// repr of bytes behind its `b`.
std::string quoted_bytes(Bytes bytes);

}  // namespace ckptree::python
