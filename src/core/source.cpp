#include "ckptree/source.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "ckptree/error.hpp"
#include "real_path.hpp"

namespace ckptree {
namespace {

Names names_in(const std::string& at, const std::string& name) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(at.c_str()), &::closedir);
  if (!dir) throw_errno(name);
  Names names;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string in = entry->d_name;
    if (in != "." && in != "..") names.push_back(in);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class DiskSource final : public Source {
 public:
  DiskSource(std::string path, bool is_directory) : path_(std::move(path)), is_directory_(is_directory) {}

  const std::string& path() const override { return path_; }
  bool is_directory() const override { return is_directory_; }

  Names list(const std::string& relative) const override {
    const std::string place = below(relative);
    return names_in(place, place);
  }

  Ptr<File> open(const std::string& relative) const override { return open_file(below(relative)); }

 private:
  std::string below(const std::string& relative) const { return relative.empty() ? path_ : path_ + "/" + relative; }

  std::string path_;
  bool is_directory_;
};

class MemorySource final : public Source {
 public:
  explicit MemorySource(Ptr<File> file) : file_(std::move(file)) {}

  const std::string& path() const override { return file_->name(); }
  bool is_directory() const override { return false; }
  Names list(const std::string&) const override { throw Error(Errc::not_directory, path() + ": not a directory"); }
  Ptr<File> open(const std::string& relative) const override {
    if (!relative.empty()) throw Error(Errc::not_found, path() + "/" + relative + ": no such file");
    return file_;
  }

 private:
  Ptr<File> file_;
};

}  // namespace

Ptr<Source> open_source(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), &std::free);
  struct stat st;
  if (!real || ::stat(real.get(), &st) != 0) throw_errno(path);
  return std::make_shared<DiskSource>(real.get(), S_ISDIR(st.st_mode));
}

Names list_below(const std::string& directory, const std::string& relative) {
  const std::string path = relative.empty() ? directory : directory + "/" + relative;
  const Found found(path);
  const Names names = names_in(found.handle(), path);
  if (found.real != path) throw Error(Errc::corrupt, path + ": a symbolic link stands for a directory");
  return names;
}

Ptr<Source> memory_source(Ptr<File> file) { return std::make_shared<MemorySource>(std::move(file)); }

}  // namespace ckptree
