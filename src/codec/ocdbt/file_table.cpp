#include "codec/ocdbt/file_table.hpp"

#include "codec/ocdbt/columns.hpp"
#include "codec/ocdbt/envelope.hpp"

namespace ckptree::ocdbt {

std::vector<DataFile> read_file_table(Cursor& cursor, const std::string& base) {
  constexpr std::size_t kMaxPath = 65535;  // TensorStore's
  // A node refers to a handful, a database with a file for every value to as many as a node has entries.
  constexpr std::size_t kMaxFiles = 1 << 20;
  const std::size_t n = cursor.count(varint(cursor, "number of files"), 2, "files");
  if (n > kMaxFiles) cursor.fail(std::to_string(n) + " files, at most " + std::to_string(kMaxFiles) + " are expected");
  const Column shared = varints(cursor, n > 0 ? n - 1 : 0, "shared part of a path", 16);
  const Column own = varints(cursor, n, "size of a path", 16);
  const Column bases = varints(cursor, n, "size of a base path", 16);
  std::vector<DataFile> files;
  files.reserve(n);
  std::string path;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (i > 0 && shared[i - 1] > path.size())
      cursor.fail("a path shares " + std::to_string(shared[i - 1]) + " bytes with one of " +
                  std::to_string(path.size()));
    path.resize(i > 0 ? static_cast<std::size_t>(shared[i - 1]) : 0);
    path += cursor.take(own[i], "path of a file");
    if (bases[i] > path.size() || base.size() + path.size() > kMaxPath)
      cursor.fail("a path of " + std::to_string(base.size() + path.size()) + " bytes with a base of " +
                  std::to_string(bases[i]) + " bytes");
    // A few bytes can stand for a path of thousands.
    total += base.size() + path.size();
    if (total > kMaxNode) cursor.fail("paths of more than " + std::to_string(kMaxNode) + " bytes");
    files.push_back({base + path, base.size() + static_cast<std::size_t>(bases[i])});
  }
  return files;
}

}  // namespace ckptree::ocdbt
