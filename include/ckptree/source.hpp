#pragma once

#include <string>
#include <vector>

#include "ckptree/file.hpp"

namespace ckptree {

using Names = std::vector<std::string>;

/// The checkpoint on disk, read-only: one file (its relative path is ""), or a directory of files.
struct Source {
  virtual ~Source() = default;
  /// Where it is, absolute, symbolic links resolved.
  virtual const std::string& path() const = 0;
  virtual bool is_directory() const = 0;
  virtual Names list(const std::string& relative) const = 0;
  virtual Ptr<File> open(const std::string& relative) const = 0;
};

/// A file or directory of the real disk. @throws std::system_error (ENOENT, EACCES) with the path
Ptr<Source> open_source(const std::string& path);
/// Names in a directory at or below another one, whose path has no symbolic links, sorted.
/// @throws Error Errc::corrupt when one leads there: what is walked ends; std::system_error
Names list_below(const std::string& directory, const std::string& relative);
/// One file in memory: tests, fuzzers, the crash enumerator.
Ptr<Source> memory_source(Ptr<File> file);

}  // namespace ckptree
