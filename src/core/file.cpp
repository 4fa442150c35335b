#include "ckptree/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

#include "ckptree/error.hpp"
#include "ckptree/fd.hpp"
#include "real_path.hpp"

namespace ckptree {
namespace {

constexpr off_t kSlowToFree = 16 << 20;  // bytes

std::int64_t nanoseconds(const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; }

Fingerprint fingerprint_of(int fd, const std::string& name) {
  struct stat st;
  if (::fstat(fd, &st) != 0) throw_errno("stat " + name);
  return {st.st_dev, st.st_ino, static_cast<std::uint64_t>(st.st_size), nanoseconds(st.st_mtim),
          nanoseconds(st.st_ctim)};
}

[[noreturn]] void throw_past_end(const std::string& name, std::uint64_t at, std::size_t wanted, std::uint64_t size) {
  throw Error(Errc::corrupt, name + " at byte " + std::to_string(at) + ": needs " + std::to_string(wanted) +
                                 ", the file has " + std::to_string(size));
}

/// @return bytes read; fewer than asked only at the end
std::size_t read_fully(int fd, std::uint64_t at, Buffer into, const std::string& name) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("read " + name);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

class DiskFile final : public File {
 public:
  DiskFile(Fd fd, std::string name)
      : fd_(std::move(fd)), name_(std::move(name)), fingerprint_(fingerprint_of(fd_.get(), name_)) {}

  // Closing the last descriptor of a removed file frees its blocks: up to a second per GiB on ext4, which whoever
  // replaced a checkpoint must not wait for.
  ~DiskFile() override {
    struct stat st;
    if (::fstat(fd_.get(), &st) != 0 || st.st_nlink > 0 || st.st_size < kSlowToFree) return;
    try {
      std::thread([fd = fd_.get()] { ::close(fd); }).detach();
      fd_.release();
    } catch (const std::system_error&) {  // no thread to be had: closed here
    }
  }

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return fingerprint_.size; }
  Fingerprint fingerprint() const override { return fingerprint_; }
  int descriptor() const override { return fd_.get(); }

  void read(std::uint64_t at, Buffer into) const override {
    if (at > size() || into.size() > size() - at) throw_past_end(name_, at, into.size(), size());
    const std::size_t n = read_fully(fd_.get(), at, into, name_);
    // Links and renames change the ctime alone; the bytes are the same as long as size and mtime are.
    const Fingerprint now = fingerprint_of(fd_.get(), name_);
    if (now.size != fingerprint_.size || now.mtime_ns != fingerprint_.mtime_ns || n != into.size())
      throw Error(Errc::stale, name_ + ": was rewritten in place by another program while it was open");
  }

 private:
  Fd fd_;
  std::string name_;
  Fingerprint fingerprint_;
};

class PrivateFile final : public File {
 public:
  PrivateFile(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return fingerprint().size; }
  Fingerprint fingerprint() const override { return fingerprint_of(fd_.get(), name_); }
  int descriptor() const override { return fd_.get(); }

  void read(std::uint64_t at, Buffer into) const override {
    if (read_fully(fd_.get(), at, into, name_) != into.size()) throw_past_end(name_, at, into.size(), size());
  }

 private:
  Fd fd_;
  std::string name_;
};

class ReopeningFile final : public File {
 public:
  ReopeningFile(const File& seen, std::function<Ptr<File>()> open)
      : name_(seen.name()), fingerprint_(seen.fingerprint()), open_(std::move(open)) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return fingerprint_.size; }
  Fingerprint fingerprint() const override { return fingerprint_; }

  int descriptor() const override {
    const Ptr<File> file = known();
    return file ? file->descriptor() : -1;  // whoever uses it holds a pin
  }

  void read(std::uint64_t at, Buffer into) const override { opened()->read(at, into); }
  std::shared_ptr<const void> pin() const override { return opened(); }

 private:
  Ptr<File> known() const {
    const std::lock_guard<std::mutex> guard(mutex_);
    return file_.lock();
  }

  Ptr<File> opened() const {
    if (Ptr<File> file = known()) return file;
    Ptr<File> file;
    try {
      file = open_();
    } catch (const std::system_error& e) {
      if (e.code().value() != ENOENT && e.code().value() != ENOTDIR) throw;
      throw Error(Errc::stale, name_ + ": was removed by another program");
    }
    const Fingerprint now = file->fingerprint();
    if (now.device != fingerprint_.device || now.inode != fingerprint_.inode || now.size != fingerprint_.size ||
        now.mtime_ns != fingerprint_.mtime_ns)
      throw Error(Errc::stale, name_ + ": was replaced by another program");
    const std::lock_guard<std::mutex> guard(mutex_);
    file_ = file;
    return file;
  }

  const std::string name_;
  const Fingerprint fingerprint_;
  const std::function<Ptr<File>()> open_;
  mutable std::mutex mutex_;  // guards file_
  mutable std::weak_ptr<const File> file_;
};

class MemoryFile final : public File {
 public:
  MemoryFile(std::string name, std::string content, Fingerprint fingerprint)
      : name_(std::move(name)), content_(std::move(content)), fingerprint_(fingerprint) {
    fingerprint_.size = content_.size();
  }

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return content_.size(); }
  Fingerprint fingerprint() const override { return fingerprint_; }

  void read(std::uint64_t at, Buffer into) const override {
    if (at > size() || into.size() > size() - at) throw_past_end(name_, at, into.size(), size());
    if (into.size() > 0) std::memcpy(into.data(), content_.data() + at, into.size());
  }

 private:
  std::string name_, content_;
  Fingerprint fingerprint_;
};

Ptr<File> open_named(const std::string& at, const std::string& name) {
  // O_NONBLOCK: a FIFO under a checkpoint's name must not hang the mount.
  Fd fd(::open(at.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) throw_errno(name);
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) throw_errno("stat " + name);
  if (!S_ISREG(st.st_mode)) throw Error(Errc::not_a_checkpoint, name + ": expected a regular file");
  return std::make_shared<DiskFile>(std::move(fd), name);
}

}  // namespace

Ptr<File> open_file(const std::string& path) { return open_named(path, path); }

Ptr<File> open_file_below(const std::string& directory, const std::string& relative) {
  const std::string path = directory + "/" + relative;
  const Found found(path);
  if (found.real.compare(0, directory.size() + 1, directory + "/") != 0)
    throw Error(Errc::corrupt, path + ": a symbolic link leads out of the checkpoint, to " + found.real);
  return open_named(found.handle(), path);
}

Ptr<File> adopt_private_file(int descriptor, std::string name) {
  return std::make_shared<PrivateFile>(Fd(descriptor), std::move(name));
}

Ptr<File> reopening_file(const File& seen, std::function<Ptr<File>()> open) {
  return std::make_shared<ReopeningFile>(seen, std::move(open));
}

Ptr<File> memory_file(std::string name, std::string content, Fingerprint fingerprint) {
  return std::make_shared<MemoryFile>(std::move(name), std::move(content), fingerprint);
}

}  // namespace ckptree
