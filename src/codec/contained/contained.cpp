#include "codec/contained/contained.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace ckptree {
namespace {

// Each may lead to what has as many again: `latest` to a step, and in that an item of another step.
constexpr int kMaxLinks = 2;

/// Where a path leads; empty when it leads nowhere.
std::string real(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> found(::realpath(path.c_str(), nullptr), &std::free);
  return found ? found.get() : "";
}

std::string joined(const std::string& directory, const std::string& name) {
  return (directory == "/" ? "" : directory) + "/" + name;
}

bool is_in(const std::string& path, const std::string& directory) {
  return path.compare(0, directory.size(), directory) == 0 &&
         (path.size() == directory.size() || path[directory.size()] == '/' || directory == "/");
}

class Contained final : public Source {
 public:
  explicit Contained(Ptr<Source> source) : source_(std::move(source)) {}

  const std::string& path() const override { return source_->path(); }
  bool is_directory() const override { return source_->is_directory(); }
  Names list(const std::string& relative) const override {
    check(relative);
    return source_->list(relative);
  }
  Ptr<File> open(const std::string& relative) const override {
    const std::size_t slash = relative.rfind('/');
    if (slash != std::string::npos) check(relative.substr(0, slash));
    return source_->open(relative);
  }

 private:
  void check(const std::string& directory) const {
    const std::string whole = below(directory), end = real(whole);
    if (directory.empty() || end.empty() || end == whole) return;  // what is not there, the source tells
    const std::string top = real(path());
    std::vector<std::string> visited{top};
    int links = 0;
    for (std::size_t begin = 0, slash = 0; slash != std::string::npos; begin = slash + 1) {
      slash = directory.find('/', begin);
      const std::string next = real(below(directory.substr(0, slash)));
      if (next.empty()) return;
      // An entry that is no link leads to itself.
      if (next != joined(visited.back(), directory.substr(begin, slash - begin))) ++links;
      const bool back = std::any_of(visited.begin(), visited.end(), [&](const auto& v) { return is_in(v, next); });
      if (!is_in(next, top) || back || links > kMaxLinks)
        throw std::system_error(ELOOP, std::generic_category(),
                                whole + ": a link to a directory outside the checkpoint, or back, is not followed");
      visited.push_back(next);
    }
  }

  std::string below(const std::string& relative) const { return relative.empty() ? path() : joined(path(), relative); }

  const Ptr<Source> source_;
};

}  // namespace

Ptr<Source> contained_source(Ptr<Source> source) { return std::make_shared<Contained>(std::move(source)); }

}  // namespace ckptree
