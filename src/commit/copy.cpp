#include "commit/copy.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "ckptree/error.hpp"

namespace ckptree {
namespace {

// Each chunk is handed to the device while the next is copied, so that the sync at the end finds little to do. On ext4,
// one GiB: 0.4 s in chunks of 8 to 64 MiB, 0.6 s without handing over, over 3 s as one call.
constexpr std::uint64_t kChunk = 16u << 20;
// Below this, asking for the blocks beforehand costs more than it saves.
constexpr std::uint64_t kWorthReserving = 1u << 20;
constexpr std::size_t kBuffer = 1u << 20;

bool is_full_or_broken(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO || error == ENOMEM;
}

[[noreturn]] void throw_shrunk(const std::string& name, std::uint64_t at) {
  throw Error(Errc::stale, name + ": the file it is copied from ends at byte " + std::to_string(at) +
                               ", it was longer when the commit began");
}

/// A full disk shows before gigabytes are written, and the blocks lie together.
void reserve(int to, std::uint64_t at, std::uint64_t size, const std::string& name) {
  if (size < kWorthReserving) return;
  if (::fallocate(to, 0, static_cast<off_t>(at), static_cast<off_t>(size)) != 0 && is_full_or_broken(errno))
    throw_errno("allocate " + std::to_string(size) + " bytes of " + name);
}

/// @return bytes copied; fewer than `size` where the kernel cannot copy between these two files
std::uint64_t copy_in_kernel(int from, std::uint64_t at, int to, std::uint64_t to_at, std::uint64_t size,
                             const std::string& name) {
  std::uint64_t done = 0;
  while (done < size) {
    auto in = static_cast<off64_t>(at + done), out = static_cast<off64_t>(to_at + done);
    const auto ask = static_cast<std::size_t>(std::min(kChunk, size - done));
    const ssize_t n = ::copy_file_range(from, &in, to, &out, ask, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && is_full_or_broken(errno)) throw_errno("copy to " + name);
    if (n <= 0) break;
    if (size > kChunk)
      ::sync_file_range(to, static_cast<off64_t>(to_at + done), static_cast<off64_t>(n), SYNC_FILE_RANGE_WRITE);
    done += static_cast<std::uint64_t>(n);
  }
  return done;
}

void copy_through_memory(int from, std::uint64_t at, int to, std::uint64_t to_at, std::uint64_t size,
                         const std::string& name) {
  std::vector<char> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(size, kBuffer)));
  for (std::uint64_t done = 0; done < size;) {
    const auto ask = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - done));
    const ssize_t n = ::pread(from, buffer.data(), ask, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("read what is copied to " + name);
    if (n == 0) throw_shrunk(name, at + done);
    write_bytes(to, to_at + done, buffer.data(), static_cast<std::size_t>(n), name);
    done += static_cast<std::uint64_t>(n);
  }
}

}  // namespace

void write_bytes(int to, std::uint64_t at, const char* bytes, std::size_t size, const std::string& name) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = ::pwrite(to, bytes + done, size - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("write " + name);
    done += static_cast<std::size_t>(n);
  }
}

void copy_bytes(int from, std::uint64_t at, int to, std::uint64_t to_at, std::uint64_t size, const std::string& name) {
  reserve(to, to_at, size, name);
  const std::uint64_t done = copy_in_kernel(from, at, to, to_at, size, name);
  if (done < size) copy_through_memory(from, at + done, to, to_at + done, size - done, name);
}

void clone_bytes(int from, int to, std::uint64_t size, const std::string& name) {
  const auto end = static_cast<off_t>(size);
  struct stat st;
  if (::fstat(from, &st) != 0) throw_errno("stat what is copied to " + name);
  if (st.st_size < end) throw_shrunk(name, static_cast<std::uint64_t>(st.st_size));
  const bool shared = size > 0 && ::ioctl(to, FICLONE, from) == 0;
  if (::ftruncate(to, end) != 0) throw_errno("set the size of " + name);
  for (off_t at = 0; !shared && at < end;) {
    off_t data = ::lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return;  // a hole up to the end
    const bool knows_holes = data >= 0;
    if (!knows_holes) data = at;
    if (data >= end) return;
    off_t hole = knows_holes ? ::lseek(from, data, SEEK_HOLE) : end;
    if (hole < 0 || hole > end) hole = end;
    const auto begin = static_cast<std::uint64_t>(data);
    copy_bytes(from, begin, to, begin, static_cast<std::uint64_t>(hole - data), name);
    at = hole;
  }
}

}  // namespace ckptree
