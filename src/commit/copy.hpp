#pragma once

#include <cstdint>
#include <string>

/// Bytes from one open file to another, as the filesystem does it best.
namespace ckptree {

/// Makes the empty file `to` the first `size` bytes of `from`: blocks are shared where the filesystem can; else they
/// are copied, and holes stay holes. @param name  of `to`, for the errors
void clone_bytes(int from, int to, std::uint64_t size, const std::string& name);

/// Copies [at, at + size) of `from` to `to` at `to_at`. @param name  of `to`, for the errors
void copy_bytes(int from, std::uint64_t at, int to, std::uint64_t to_at, std::uint64_t size, const std::string& name);

/// All of `bytes` to `to` at `at`.
void write_bytes(int to, std::uint64_t at, const char* bytes, std::size_t size, const std::string& name);

}  // namespace ckptree
