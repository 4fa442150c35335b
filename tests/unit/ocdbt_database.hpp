#pragma once

#include <map>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "ckptree/source.hpp"
#include "codec/zarr/crc32c.hpp"

/// Writes the bytes of OCDBT databases, right and wrong ones. @see src/codec/ocdbt
namespace ckptree_test {

inline std::string varint(std::uint64_t n) {
  std::string text;
  for (; n > 0x7F; n >>= 7) text += static_cast<char>(n | 0x80);
  return text + static_cast<char>(n);
}

template <class T>
std::string varints(const std::vector<T>& all) {
  std::string text;
  for (const T n : all) text += varint(n);
  return text;
}

inline std::string little_endian(std::uint64_t n, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(n >> 8 * i & 0xFF);
  return text;
}

constexpr std::uint32_t kManifest = 0x0cdb3a2a, kNode = 0x0cdb20de;
constexpr std::uint64_t kNothing = ~std::uint64_t{0};

/// A manifest or a node; the body is packed already, as `compression` says.
inline std::string envelope(std::uint32_t magic, const std::string& body, int compression = 0) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(magic >> shift & 0xFF);
  text += little_endian(4 + 8 + 2 + body.size() + 4, 8) + varint(0) + static_cast<char>(compression) + body;
  return text + little_endian(ckptree::zarr::crc32c(text), 4);
}

struct TestFile {
  std::string path;
  std::size_t base = 0;
};

inline std::string file_table(const std::vector<TestFile>& files) {
  std::string text = varint(files.size()), suffixes, bases, paths;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (i > 0) text += varint(0);
    suffixes += varint(files[i].path.size());
    bases += varint(files[i].base);
    paths += files[i].path;
  }
  return files.empty() ? text : text + suffixes + bases + paths;
}

inline std::string config(int kind = 0, int arity_log2 = 4) {
  return std::string(16, 'u') + static_cast<char>(kind) + varint(1024) + varint(100'000'000) +
         static_cast<char>(arity_log2) + varint(1) + little_endian(0, 4);
}

struct TestVersion {
  std::uint64_t generation = 1;
  int height = 0;
  std::uint64_t file = 0, offset = 0, length = 0;
};

inline std::string versions(const std::vector<TestVersion>& all) {
  std::vector<std::uint64_t> generations, files, offsets, lengths, zeros(all.size());
  std::string heights, times;
  for (const TestVersion& v : all) {
    generations.push_back(v.generation);
    heights += static_cast<char>(v.height);
    files.push_back(v.file);
    offsets.push_back(v.offset);
    lengths.push_back(v.length);
    times += little_endian(1, 8);
  }
  return varint(all.size()) + varints(generations) + heights + varints(files) + varints(offsets) + varints(lengths) +
         varints(zeros) + varints(zeros) + varints(zeros) + times;
}

inline std::string manifest(const std::vector<TestFile>& files, const std::vector<TestVersion>& all) {
  return envelope(kManifest, config() + file_table(files) + versions(all) + varint(0));
}

/// Sorted keys, told in full or by what they share with the one before.
inline std::string keys(const std::vector<std::string>& all, const std::string& between = "") {
  std::string prefixes, suffixes, text;
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::size_t same = 0;
    while (i > 0 && same < all[i - 1].size() && same < all[i].size() && all[i - 1][same] == all[i][same]) ++same;
    if (i > 0) prefixes += varint(same);
    suffixes += varint(all[i].size() - same);
    text += all[i].substr(same);
  }
  return prefixes + suffixes + between + text;
}

struct TestValue {
  std::string text;  // in the node itself, unless
  bool far = false;  // it is in a file
  std::uint64_t file = 0, offset = 0, length = 0;
};

inline std::string leaf(const std::map<std::string, TestValue>& entries, const std::vector<TestFile>& files = {}) {
  std::vector<std::string> names;
  std::string lengths, kinds, far_files, offsets, near;
  for (const auto& [key, value] : entries) {
    names.push_back(key);
    lengths += varint(value.far ? value.length : value.text.size());
    kinds += static_cast<char>(value.far);
    if (value.far) {
      far_files += varint(value.file);
      offsets += varint(value.offset);
    } else {
      near += value.text;
    }
  }
  return envelope(kNode, std::string(1, '\0') + file_table(files) + varint(names.size()) + keys(names) + lengths +
                             kinds + far_files + offsets + near);
}

struct TestChild {
  std::string first;       // key
  std::size_t common = 0;  // bytes of it that all keys below begin with
  std::uint64_t file = 0, offset = 0, length = 0;
};

inline std::string interior(int height, const std::vector<TestChild>& children, const std::vector<TestFile>& files) {
  std::vector<std::string> names;
  std::vector<std::uint64_t> commons, file, offset, length, zeros(children.size());
  for (const TestChild& c : children) {
    names.push_back(c.first);
    commons.push_back(c.common);
    file.push_back(c.file);
    offset.push_back(c.offset);
    length.push_back(c.length);
  }
  return envelope(kNode, std::string(1, static_cast<char>(height)) + file_table(files) + varint(names.size()) +
                             keys(names, varints(commons)) + varints(file) + varints(offset) + varints(length) +
                             varints(zeros) + varints(zeros) + varints(zeros));
}

/// A directory in memory, named /ckpt.
class TestDirectory final : public ckptree::Source {
 public:
  explicit TestDirectory(std::map<std::string, std::string> files) : files_(std::move(files)) {}

  const std::string& path() const override { return path_; }
  bool is_directory() const override { return true; }
  ckptree::Names list(const std::string& relative) const override {
    const std::string above = relative.empty() ? "" : relative + "/";
    ckptree::Names names;
    for (const auto& [name, content] : files_)
      if (name.compare(0, above.size(), above) == 0) names.push_back(name.substr(above.size()));
    return names;
  }
  ckptree::Ptr<ckptree::File> open(const std::string& relative) const override {
    const auto found = files_.find(relative);
    if (found == files_.end())
      throw ckptree::Error(ckptree::Errc::not_found, path_ + "/" + relative + ": no such file");
    return ckptree::memory_file(path_ + "/" + relative, found->second);
  }

 private:
  const std::string path_ = "/ckpt";
  const std::map<std::string, std::string> files_;
};

}  // namespace ckptree_test
