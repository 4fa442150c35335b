#pragma once

#include <optional>
#include <string>

#include "ckptree/bytes.hpp"

namespace ckptree::orbax {

/// _CHECKPOINT_METADATA of a checkpoint, or _ROOT_METADATA of a directory of steps, read as Orbax reads it: broken JSON
/// counts as empty, a member of a wrong type is an error. Its text is kept, and an edit replaces one value in it.
struct StepMetadata {
  enum class Kind { checkpoint, root };

  /// @param text  nothing when there is no such file
  static StepMetadata read(Kind kind, std::optional<std::string> text, const std::string& place);

  /// The file with another custom_metadata, every other byte as it was. Unknown members beside it, which Orbax moves
  /// into an empty custom_metadata and refuses beside another, are moved into it.
  /// @param custom  a valid object
  std::string with_custom(Bytes custom) const;
  /// What Orbax shows for `custom`: with the unknown members.
  std::string shown_custom(Bytes custom) const;

  /// What Orbax knows beside custom_metadata, as literals: what no edit may change.
  std::string others() const;

  Kind kind = Kind::checkpoint;
  std::optional<std::string> text;
  bool editable = false;                       // it is there, and Orbax reads it
  std::string problem;                         // why it does not; empty when it does
  std::string custom = "{}";                   // as stored, with the white space around it
  std::string init = "null", commit = "null";  // literals: nanoseconds since 1970
  bool is_direct = false;                      // item_handlers is a string
};

/// Nanoseconds since 1970 in ISO 8601, UTC, with nine decimals; "null" for what is no 64-bit integer.
std::string iso_time(const std::string& nanoseconds);

}  // namespace ckptree::orbax
