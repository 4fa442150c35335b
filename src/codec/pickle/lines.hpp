#pragma once

#include <string>

#include "ckptree/bytes.hpp"

/// Values that protocol 0 writes as lines of text.
namespace ckptree::pickle {

/// STRING: a str of Python 2 as its repr. `text` gets its bytes; false when it is none.
bool read_string_line(Bytes line, std::string& text);
/// UNICODE: raw-unicode-escape, as UTF-8. False for a broken escape.
bool read_unicode_line(Bytes line, std::string& text);
/// FLOAT: repr(float). False when it is none.
bool read_float_line(Bytes line, double& value);

}  // namespace ckptree::pickle
