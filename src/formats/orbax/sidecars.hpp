#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "ckptree/source.hpp"
#include "codec/json/json.hpp"

/// The files beside the arrays of a pytree.
namespace ckptree::orbax {

/// _sharding: by name of the array in base64, the JSON text that Orbax stored.
using Shardings = std::map<std::string, std::string>;
/// @throws Error Errc::corrupt
std::shared_ptr<const Shardings> read_shardings(const Source& source, const std::string& path);
/// The key of a name: base64 with the alphabet for URLs, padded.
std::string sharding_key(const std::string& name);
/// What is shown of one: its fields, and the text as `serialized`; "null" of an empty one.
std::string sharding_json(const std::string& serialized);

/// array_metadatas/process_*: the implementation of random keys, by name of the array.
using KeyKinds = std::map<std::string, std::string>;
std::shared_ptr<const KeyKinds> read_key_kinds(const Source& source, const std::string& directory);

/// _strings.json: the values of string leaves.
class Strings {
 public:
  /// @throws Error Errc::corrupt
  static std::shared_ptr<const Strings> read(const Source& source, const std::string& path);
  /// The value of a leaf, as a literal: a JSON pointer of the name, as it is, leads there.
  std::optional<std::string> value(const std::string& name) const;

 private:
  std::string text_;
  std::map<std::string, json::Extent> top_;  // of equal keys the last
};

}  // namespace ckptree::orbax
