#include "codec/ocdbt/manifest.hpp"

#include "ckptree/cursor.hpp"
#include "codec/ocdbt/columns.hpp"
#include "codec/ocdbt/envelope.hpp"

namespace ckptree::ocdbt {
namespace {

// TensorStore's limit of the height of a tree fits into a byte; 2^64 keys need less.
constexpr unsigned kMaxHeight = 64;

/// uuid, kind, limits, compression. @return whether the versions are in numbered files
bool read_config(Cursor& cursor, unsigned& arity_log2) {
  cursor.skip(16, "uuid");
  const auto kind = cursor.le<std::uint8_t>("manifest kind");
  if (kind > 1) cursor.fail("manifest kind " + std::to_string(kind) + ", expected 0 or 1");
  varint(cursor, "largest inline value", 32);
  varint(cursor, "largest node", 32);
  arity_log2 = cursor.le<std::uint8_t>("version tree arity");
  if (arity_log2 < 1 || arity_log2 > 16)
    cursor.fail("version tree arity 2^" + std::to_string(arity_log2) + ", expected 2^1 to 2^16");
  const auto compression = varint(cursor, "compression of nodes", 32);
  if (compression > 1) cursor.fail("compression of nodes " + std::to_string(compression) + ", expected 0 or 1");
  if (compression == 1) cursor.skip(4, "compression level");
  return kind == 1;
}

/// The versions that the manifest itself holds, by columns; the last is the newest:
///
///   n; generation; height of the root, a byte; file, offset, size of the root; number of keys, bytes of nodes, bytes
///   of values; time, 8 bytes
void read_versions(Cursor& cursor, const std::vector<DataFile>& files, unsigned arity_log2, Manifest& manifest) {
  constexpr std::uint64_t kMissing = ~std::uint64_t{0};
  const std::uint64_t claimed = varint(cursor, "number of versions");
  if (claimed < 1 || claimed > std::uint64_t{1} << arity_log2)
    cursor.fail(std::to_string(claimed) + " versions, expected 1 to 2^" + std::to_string(arity_log2));
  const std::size_t n = cursor.count(claimed, 16, "versions");
  const Column generations = varints(cursor, n, "generation");
  for (std::size_t i = 0; i < n; ++i)
    if (generations[i] <= (i > 0 ? generations[i - 1] : 0)) cursor.fail("generations that do not increase");
  const Bytes heights = cursor.take(n, "height of a root");
  const Column file = varints(cursor, n, "file of a root"), offset = varints(cursor, n, "offset of a root"),
               size = varints(cursor, n, "size of a root");
  for (const char* field : {"number of keys", "bytes of nodes", "bytes of values"}) varints(cursor, n, field);
  cursor.skip(8 * n, "commit time");
  manifest.generation = generations.back();
  if (offset.back() == kMissing && size.back() == kMissing) return;
  const auto height = static_cast<unsigned char>(heights.back());
  if (height > kMaxHeight)
    cursor.fail("a tree of height " + std::to_string(height) + ", at most " + std::to_string(kMaxHeight) +
                " is possible");
  if (file.back() >= files.size())
    cursor.fail("file " + std::to_string(file.back()) + " of " + std::to_string(files.size()));
  manifest.root = Root{{files[static_cast<std::size_t>(file.back())], offset.back(), size.back()}, height};
}

/// Older versions, which nobody asks for.
void skip_version_nodes(Cursor& cursor) {
  const std::size_t n = cursor.count(varint(cursor, "number of version nodes"), 14, "version nodes");
  for (const char* field : {"generation", "file", "offset", "size", "number of generations"}) varints(cursor, n, field);
  cursor.skip(9 * n, "commit time and height");
}

}  // namespace

Manifest parse_manifest(Bytes encoded, const std::string& place) {
  const std::string body = open_envelope(encoded, kManifestMagic, place);
  Cursor cursor(body, place + " (its body)");
  Manifest manifest;
  unsigned arity_log2 = 0;
  manifest.numbered = read_config(cursor, arity_log2);
  if (!manifest.numbered) {
    const std::vector<DataFile> files = read_file_table(cursor, "");
    read_versions(cursor, files, arity_log2, manifest);
    skip_version_nodes(cursor);
  }
  if (cursor.left() > 0) cursor.fail(std::to_string(cursor.left()) + " bytes too many");
  return manifest;
}

}  // namespace ckptree::ocdbt
