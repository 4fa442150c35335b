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

/// Directories that their user closed (`chmod 0 d`) are opened again, so that they can be removed.
void make_searchable(const std::filesystem::path& top) {
  std::vector<std::filesystem::path> open{top};
  std::error_code ignored;
  while (!open.empty()) {
    const std::filesystem::path dir = open.back();
    open.pop_back();
    std::filesystem::permissions(dir, std::filesystem::perms::owner_all, std::filesystem::perm_options::add, ignored);
    for (const auto& entry : std::filesystem::directory_iterator(dir, ignored))
      if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) open.push_back(entry.path());
  }
}

std::string make_directory(const std::string& prefix) {
  std::string name = prefix + "XXXXXX";
  return ::mkdtemp(name.data()) ? name : std::string();
}

/// A private file that is no longer written to.
class KeptFile final : public File {
 public:
  KeptFile(std::shared_ptr<Fd> fd, std::uint64_t size, std::string name)
      : fd_(std::move(fd)), size_(size), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return size_; }
  Fingerprint fingerprint() const override { return {0, 0, size_, 0, 0}; }
  int descriptor() const override { return fd_->get(); }

  void read(std::uint64_t at, Buffer into) const override {
    for (std::size_t done = 0; done < into.size();) {
      const ssize_t n = ::pread(fd_->get(), into.data() + done, into.size() - done, static_cast<off_t>(at + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw_errno("read " + name_);
      if (n == 0) throw Error(Errc::corrupt, name_ + " at byte " + std::to_string(at + done) + ": the copy ends there");
      done += static_cast<std::size_t>(n);
    }
  }

 private:
  std::shared_ptr<Fd> fd_;
  std::uint64_t size_;
  std::string name_;
};

/// Equal bytes, equal tag: a chain over the parts, each of which is given to `each`.
template <class Each>
std::string tag_of_parts(const Recipe& content, const Each& each) {
  std::vector<char> buffer(kText);
  std::string tag;
  for (std::uint64_t at = 0; const std::size_t n = content.read(at, Buffer(buffer.data(), buffer.size())); at += n) {
    const Bytes part(buffer.data(), n);
    each(at, part);
    tag = tag_of(tag + tag_of(part));
  }
  return tag;
}

void give_back(std::atomic<std::uint64_t>& counter, std::uint64_t size) {
  std::uint64_t used = counter;
  while (!counter.compare_exchange_weak(used, used - std::min(used, size))) {
  }
}

}  // namespace

Scratch::Scratch(std::string checkpoint, std::uint64_t limit) : checkpoint_(std::move(checkpoint)), limit_(limit) {}

Scratch::~Scratch() {
  if (directory_.empty()) return;
  make_searchable(directory_);
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

std::shared_ptr<Fd> Scratch::share(Fd file) {
  return {new Fd(std::move(file)), [used = used_](Fd* shared) {
            struct stat st;
            if (::fstat(shared->get(), &st) == 0 && st.st_nlink == 0)
              give_back(*used, static_cast<std::uint64_t>(st.st_size));
            delete shared;
          }};
}

std::shared_ptr<Fd> Scratch::private_file() {
  const std::string path = fresh_path();
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) throw_errno("make a draft beside " + checkpoint_);
  ::unlink(path.c_str());
  return share(std::move(fd));
}

Recipe Scratch::freeze(int descriptor, const std::string& name) {
  const std::uint64_t size = size_of(descriptor, name);
  const Ptr<File> file = adopt_private_file(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0), name);
  return keep(Recipe::extent(file, 0, size, ""), name);
}

Recipe Scratch::keep(const Recipe& content, const std::string& name) {
  const std::uint64_t size = content.size();
  if (size <= kText) return Recipe::literal(content.text(kText, name));
  const std::shared_ptr<Fd> copy = private_file();
  const std::string tag =
      tag_of_parts(content, [&](std::uint64_t at, Bytes part) { write(copy->get(), at, part, name); });
  return Recipe::extent(std::make_shared<KeptFile>(copy, size, name), 0, size, tag);
}

Recipe Scratch::adopt(const std::shared_ptr<Fd>& file, const std::string& name) {
  const std::uint64_t size = size_of(file->get(), name);
  const auto kept = std::make_shared<KeptFile>(file, size, name);
  const std::string tag = tag_of_parts(Recipe::extent(kept, 0, size, ""), [](std::uint64_t, Bytes) {});
  return Recipe::extent(kept, 0, size, tag);
}

void Scratch::charge(std::uint64_t before, std::uint64_t after, const std::string& name) {
  if (after <= before) {
    release(before - after);
    return;
  }
  const std::uint64_t growth = after - before;
  std::uint64_t used = *used_;
  do {
    if (growth > limit_ - std::min(used, limit_))
      throw Error(Errc::no_space, name + ": scratch files may hold " + std::to_string(limit_) + " bytes, " +
                                      std::to_string(used) + " are in use (-o scratch_limit=)");
  } while (!used_->compare_exchange_weak(used, used + growth));
}

void Scratch::write(int descriptor, std::uint64_t at, Bytes bytes, const std::string& name) {
  const std::uint64_t before = size_of(descriptor, name);
  const std::uint64_t after = std::max(before, at + bytes.size());
  charge(before, after, name);
  try {
    write_fully(descriptor, at, bytes, name);
  } catch (...) {
    release(after - std::max(before, size_of(descriptor, name)));
    throw;
  }
}

void Scratch::allocate(int descriptor, int mode, std::uint64_t at, std::uint64_t size, const std::string& name) {
  // Room behind the end of a file would be in no account.
  if ((mode & FALLOC_FL_KEEP_SIZE) && !(mode & FALLOC_FL_PUNCH_HOLE))
    throw Error(Errc::unsupported, name + ": no room can be reserved behind its end");
  const std::uint64_t before = size_of(descriptor, name);
  charge(before, std::max(before, at + size), name);
  if (::fallocate(descriptor, mode, static_cast<off_t>(at), static_cast<off_t>(size)) != 0) {
    release(std::max(before, at + size) - before);
    throw_errno("fallocate " + name);
  }
  release(std::max(before, at + size) - size_of(descriptor, name));
}

void Scratch::resize(int descriptor, std::uint64_t size, const std::string& name) {
  charge(size_of(descriptor, name), size, name);
  if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0) throw_errno("truncate " + name);
}

void Scratch::release(std::uint64_t size) { give_back(*used_, size); }

std::uint64_t Scratch::freed_by_removing(const std::string& real) {
  struct stat st;
  return ::lstat(real.c_str(), &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1
             ? static_cast<std::uint64_t>(st.st_size)
             : 0;
}

}  // namespace ckptree
