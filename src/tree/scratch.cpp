#include "tree/scratch.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "ckptree/error.hpp"
#include "ckptree/log.hpp"

namespace ckptree {
namespace {

// Up to this size the bytes of a draft are kept as text: every document of a usual size, no more memory than it.
constexpr std::uint64_t kText = 1 << 20;

// A file name has 255 bytes; the rest of ours is added to it. src/commit sweeps by the same rule.
constexpr std::size_t kNameKept = 200;

std::uint64_t size_of(int fd, const std::string& name) {
  struct stat st;
  if (::fstat(fd, &st) != 0) throw_errno("stat " + name);
  return static_cast<std::uint64_t>(st.st_size);
}

void write_fully(int fd, std::uint64_t at, Bytes bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("write " + name);
    bytes.remove_prefix(static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
  }
}

std::string make_directory(const std::string& prefix) {
  std::string name = prefix + "XXXXXX";
  return ::mkdtemp(name.data()) ? name : std::string();
}

}  // namespace

Scratch::Scratch(std::string checkpoint, std::uint64_t limit) : checkpoint_(std::move(checkpoint)), limit_(limit) {}

Scratch::~Scratch() {
  if (directory_.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
  if (error) log(directory_ + ": could not be removed: " + error.message());
}

const std::string& Scratch::directory() {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (!directory_.empty()) return directory_;
  const std::filesystem::path checkpoint(checkpoint_);
  const std::string name = "." + checkpoint.filename().string().substr(0, kNameKept) + ".ckptree-scratch-";
  // Who sweeps what dead mounts left may take the directory before it is locked: then another is made.
  while (directory_.empty()) {
    std::string made = make_directory((checkpoint.parent_path() / name).string());
    if (made.empty()) {
      const char* elsewhere = std::getenv("TMPDIR");
      made = make_directory(std::string(elsewhere ? elsewhere : "/tmp") + "/" + name);
    }
    if (made.empty()) throw_errno("make a directory for drafts beside " + checkpoint_);
    lock_ = Fd(::open(made.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lock_) continue;
    if (::flock(lock_.get(), LOCK_EX) != 0) throw_errno("lock " + made);
    struct stat st;
    if (::fstat(lock_.get(), &st) == 0 && st.st_nlink > 0) directory_ = made;
  }
  return directory_;
}

std::string Scratch::fresh_path() { return directory() + "/" + std::to_string(next_++); }

Fd Scratch::private_file() {
  const std::string path = fresh_path();
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) throw_errno("make a draft beside " + checkpoint_);
  ::unlink(path.c_str());
  return fd;
}

Recipe Scratch::freeze(int descriptor, const std::string& name) {
  const std::uint64_t size = size_of(descriptor, name);
  const Ptr<File> file = adopt_private_file(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0), name);
  return keep(Recipe::extent(file, 0, size, ""), name);
}

Recipe Scratch::keep(const Recipe& content, const std::string& name) {
  const std::uint64_t size = content.size();
  if (size <= kText) return Recipe::literal(content.text(kText, name));
  Fd copy = private_file();
  std::vector<char> buffer(kText);
  std::string tag;
  for (std::uint64_t at = 0; at < size;) {
    const std::size_t n = content.read(at, Buffer(buffer.data(), buffer.size()));
    const Bytes part(buffer.data(), n);
    write_fully(copy.get(), at, part, name);
    tag = tag_of(tag + tag_of(part));  // a chain over the parts: equal bytes, equal tag
    at += n;
  }
  return Recipe::extent(adopt_private_file(copy.release(), name), 0, size, tag);
}

void Scratch::charge(std::uint64_t before, std::uint64_t after, const std::string& name) {
  if (after <= before) {
    release(before - after);
    return;
  }
  const std::uint64_t growth = after - before;
  std::uint64_t used = used_;
  do {
    if (growth > limit_ - std::min(used, limit_))
      throw Error(Errc::no_space, name + ": scratch files may hold " + std::to_string(limit_) + " bytes, " +
                                      std::to_string(used) + " are in use (-o scratch_limit=)");
  } while (!used_.compare_exchange_weak(used, used + growth));
}

void Scratch::write(int descriptor, std::uint64_t at, Bytes bytes, const std::string& name) {
  const std::uint64_t before = size_of(descriptor, name);
  charge(before, std::max(before, at + bytes.size()), name);
  write_fully(descriptor, at, bytes, name);
}

void Scratch::resize(int descriptor, std::uint64_t size, const std::string& name) {
  charge(size_of(descriptor, name), size, name);
  if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0) throw_errno("truncate " + name);
}

void Scratch::release(std::uint64_t size) {
  std::uint64_t used = used_;
  while (!used_.compare_exchange_weak(used, used - std::min(used, size))) {
  }
}

std::uint64_t Scratch::freed_by_removing(const std::string& real) {
  struct stat st;
  return ::lstat(real.c_str(), &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1
             ? static_cast<std::uint64_t>(st.st_size)
             : 0;
}

}  // namespace ckptree
