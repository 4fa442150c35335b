#pragma once

#include <cerrno>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "ckptree/error.hpp"
#include "ckptree/model.hpp"
#include "ckptree/source.hpp"

/// What formats of directories share: stored files as they are shown.
namespace ckptree {

inline std::timespec mtime_of(const File& file) {
  constexpr std::int64_t second = 1'000'000'000;
  const std::int64_t ns = file.fingerprint().mtime_ns;
  std::timespec time{};
  time.tv_sec = ns / second;
  time.tv_nsec = static_cast<long>(ns % second);
  if (time.tv_nsec < 0) {
    --time.tv_sec;
    time.tv_nsec += static_cast<long>(second);
  }
  return time;
}

/// A file of a source, to be shown: open only while somebody reads it.
/// @throws as Source::open
inline Ptr<File> shown_file(const Ptr<Source>& source, const std::string& path) {
  return reopening_file(*source->open(path), [source, path] { return source->open(path); });
}

/// All of a stored file; its tag is the file itself, so that a hard link of it keeps its number.
inline Recipe whole_file(const Ptr<File>& file) {
  const Fingerprint seen = file->fingerprint();
  std::string tag = "file:" + std::to_string(seen.device) + ":" + std::to_string(seen.inode) + ":" +
                    std::to_string(seen.size) + ":" + std::to_string(seen.mtime_ns);
  return Recipe::extent(file, 0, file->size(), std::move(tag));
}

/// A file or directory of a source under its own name, for `.ckptree/raw/`.
inline std::optional<Node> stored_node(const Ptr<Source>& source, const TreePath& path, std::timespec mtime) {
  const std::string relative = to_string(path);
  Node node;
  node.mtime = mtime;
  try {
    const Ptr<File> file = shown_file(source, relative);
    node.content = whole_file(file);
    node.mtime = mtime_of(*file);
    return node;
  } catch (const Error&) {
    // A directory, or nothing that can be shown.
  } catch (const std::system_error& e) {
    if (e.code().value() != EISDIR) return std::nullopt;
  }
  node.kind = Node::Kind::directory;
  try {
    source->list(relative);
    return node;
  } catch (const Error&) {
    return std::nullopt;  // a symbolic link that is not followed
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

/// The entries of such a directory. @throws Error Errc::not_found, Errc::not_directory
inline void list_stored(const Ptr<Source>& source, const TreePath& path, std::timespec mtime,
                        const std::function<bool(const std::string&, const Node&)>& each) {
  Names names;
  try {
    names = source->list(to_string(path));
  } catch (const std::system_error& e) {
    throw Error(e.code().value() == ENOTDIR ? Errc::not_directory : Errc::not_found,
                "raw/" + to_string(path) + ": no such directory");
  }
  for (const std::string& name : names) {
    TreePath child = path;
    child.push_back(name);
    const auto node = stored_node(source, child, mtime);
    if (node && !each(name, *node)) return;
  }
}

}  // namespace ckptree
