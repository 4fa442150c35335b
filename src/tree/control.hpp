#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ckptree/session.hpp"

/// `.ckptree/`: the control directory, as rows over a Session (tree.md section 1). Paths are below it.
namespace ckptree::control {

std::optional<Node> find(const Session& session, const TreePath& path);
void list(const Session& session, const TreePath& path,
          const std::function<bool(const std::string&, const Node&)>& each);
/// Whether a file answers to writes. What is written to it is a command, not content.
bool takes_writes(const TreePath& path);
/// @throws Error Errc::invalid for a value out of range; what the command throws
void write(Session& session, const TreePath& path, Bytes text);
/// Removes an entry of rejected/. @throws Error Errc::immutable for anything else
void remove(Session& session, const TreePath& path);

}  // namespace ckptree::control
