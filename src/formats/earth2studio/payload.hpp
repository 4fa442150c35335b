#pragma once

#include <map>
#include <string>

#include "ckptree/recipe.hpp"
#include "ckptree/source.hpp"
#include "formats/earth2studio/json_tree.hpp"

/// The two encodings of one value: the payload of manifests and states, `{"kind": ...}` throughout, and the catalog's
/// JSON encoding, in which scalars, lists and objects stay as they are.
namespace ckptree::earth2studio {

/// Where the arrays of a payload are.
struct ArrayBase {
  const Source& source;
  std::string directory;  // relative to the source
};

/// The kind of a payload. @throws Error Errc::corrupt with `place` when it has none that is known, or lacks members
std::string kind_of(const Json& payload, const std::string& place);
/// The path of an array's file below its base. @throws Error Errc::corrupt for one that leads out of it
std::string array_path(const Json& payload, const std::string& place);

/// A payload in the catalog's encoding. Reads the arrays.
/// @throws Error Errc::corrupt, Errc::unsupported for arrays whose values JSON cannot spell
Json encode(const Json& payload, const ArrayBase& arrays, const std::string& place);

/// A value in both encodings, and the arrays that are new: their bytes by path below the base.
struct Both {
  Json payload, value;
  std::map<std::string, std::string> arrays;
};

/// What an edit makes of a value: where the new one says the same as the old, the payload stays; lists stay tuples,
/// numbers floats, arrays arrays, for the catalog's encoding cannot tell.
/// @param old_payload, old_value  null: there was none
/// @param path  of an array here, without its suffix: parts joined by '/'
/// @throws Error Errc::rejected for what Earth2Studio could not read
Both merge(const Json* old_payload, const Json* old_value, const Json& value, const std::string& path,
           const std::string& place);

/// First 24 digits of the SHA-256 of a key: how upstream names files.
std::string hashed(Bytes key);

// structured.cpp
/// The header of a .npy file whose elements are structures, which only NumPy can take apart; empty for any other file.
std::string structured_header(const Recipe& file);

// array_json.cpp
/// A .npy file as `ndarray_label`.
Json label_of_array(const Recipe& file, const std::string& place);
/// The .npy file of an `ndarray_label`. @throws Error Errc::rejected for values that do not fit the dtype
std::string array_of_label(const Json& label, const std::string& place);

}  // namespace ckptree::earth2studio
