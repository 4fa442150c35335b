#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ckptree/name.hpp"
#include "formats/earth2studio/json_tree.hpp"

/// The fields of a state as a tree of files: names, and what each payload looks like.
namespace ckptree::earth2studio {

enum class Look { directory, array, string, scalar, list, typed };

/// A list whose items are all scalars is one file.
/// @throws Error Errc::corrupt as kind_of
Look look_of(const Json& payload, const std::string& place);

/// A payload and the name it is shown under.
using Child = std::pair<std::string, const Json*>;
/// What is in a container, in its order. @param top  the fields of a state: beside state_id and schema_hash
std::vector<Child> children(const Json& payload, const std::string& place);
std::vector<Child> top_children(const Json& fields, const std::string& place);
/// The payload at a path below a state; null when there is none.
const Json* find_payload(const Json& fields, const TreePath& path, const std::string& place);
Json* find_payload(Json& fields, const TreePath& path, const std::string& place);

/// The payload after a write of its file; its kind stays, but that of None.
/// @throws Error Errc::rejected, Errc::incomplete for a text that is not of the kind
Json edited_payload(const Json& payload, const std::string& text, const std::string& place);

/// What a file of a payload that is no array holds.
std::string text_of_payload(const Json& payload, Look look);

}  // namespace ckptree::earth2studio
