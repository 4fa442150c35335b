#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "ckptree/fd.hpp"
#include "ckptree/recipe.hpp"

namespace ckptree {

/// A private directory of the real filesystem, beside the checkpoint: swap files, temporaries, whole `.git`s, and the
/// drafts of documents live in it while the mount is up. Links, modes and locks come for free; the bytes are counted.
class Scratch {
 public:
  /// @param checkpoint  the directory is made beside it when first needed; where that cannot be, in TMPDIR
  /// @param limit       bytes it may hold
  Scratch(std::string checkpoint, std::uint64_t limit);
  ~Scratch();  // removes everything
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// A path in it that nothing has yet.
  std::string fresh_path();
  /// A file without a name, open for reading and writing. Its bytes are given back when the last holder lets go.
  std::shared_ptr<Fd> private_file();
  /// Shares the descriptor of a scratch file: if the file has no name left when the last holder lets go, its bytes are
  /// given back.
  std::shared_ptr<Fd> share(Fd file);
  /// The bytes of a draft as they are now, safe from what its writer does next: small ones as text, large ones as a
  /// copy.
  Recipe freeze(int descriptor, const std::string& name);
  /// The same of a file that nobody writes to any more: without a copy, so that it works on a full disk as well.
  static Recipe adopt(const std::shared_ptr<Fd>& file, const std::string& name);
  /// The same for any recipe; the copy no longer holds on to the files it came from.
  Recipe keep(const Recipe& content, const std::string& name);

  /// Writes at `at`, counting what the file grows by. @throws Error Errc::no_space past the limit
  void write(int descriptor, std::uint64_t at, Bytes bytes, const std::string& name);
  /// fallocate(2). @throws as write
  void allocate(int descriptor, int mode, std::uint64_t at, std::uint64_t size, const std::string& name);
  /// @throws as write
  void resize(int descriptor, std::uint64_t size, const std::string& name);
  /// Tells that a file of `size` bytes is gone.
  void release(std::uint64_t size);
  /// Bytes that go when this name goes: 0 while the file has others, and for all that is no file.
  static std::uint64_t freed_by_removing(const std::string& real);

 private:
  const std::string& directory();
  void charge(std::uint64_t before, std::uint64_t after, const std::string& name);

  const std::string checkpoint_;
  const std::uint64_t limit_;
  std::mutex mutex_;  // guards the making of the directory; nothing is taken while it is held
  std::string directory_;
  Fd lock_;  // on the directory, as long as it is ours: others sweep what nobody holds
  std::atomic<std::uint64_t> next_{1};
  // Shared with files that outlive this: what was refused is kept by the session.
  const std::shared_ptr<std::atomic<std::uint64_t>> used_ = std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace ckptree
