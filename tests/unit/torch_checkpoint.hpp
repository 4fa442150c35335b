#pragma once

#include <map>
#include <string>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"
#include "commit/memory_disk.hpp"
#include "commit/store.hpp"
#include "formats/torch/format.hpp"
#include "zip_archive.hpp"

/// A checkpoint on a disk in memory, seen and edited through the torch format.
namespace ckptree_test {

using Shape = std::vector<std::uint64_t>;

inline std::string npy_file(const std::string& descr, const Shape& shape, const std::string& data,
                            bool fortran = false) {
  return npy::make_header(descr, shape, fortran) + data;
}

/// Two arrays, one of them in a directory, as anemoi's save_metadata stores them.
inline const std::string kIndex =
    R"({"lat": {"path": "m/anemoi-metadata/lat.numpy", "shape": [3], "dtype": "float32"}, )"
    R"("era": {"mask": {"path": "m/anemoi-metadata/era/mask.numpy", "shape": [2, 4], "dtype": "bool"}}})";
inline const std::string kMetadata =
    R"({"version": "1.0", "config": {"lr": 0.001, "steps": [1, 2]}, "supporting_arrays_paths": )" + kIndex +
    R"(, "uuid": "x"})";
inline const std::string kLat = "aaaabbbbcccc", kMask("\0\1\0\1\1\1\0\0", 8);

inline Archive with_metadata(const std::string& metadata = kMetadata) {
  Archive a = checkpoint();
  return a.python("m/anemoi-metadata/anemoi.json", metadata)
      .python("m/anemoi-metadata/lat.numpy", kLat)
      .python("m/anemoi-metadata/era/mask.numpy", kMask);
}

class Mounted {
 public:
  explicit Mounted(const Archive& archive, ViewOptions options = {}) : Mounted(archive.bytes(), std::move(options)) {}
  explicit Mounted(const std::string& bytes, ViewOptions options = {}) {
    disk.add(kPath, {bytes, "0640"});
    store_ = make_store(torch_format(), kPath, disk, {std::move(options), false});
    committed_ = store_->open();
    working_ = committed_.model;
  }

  const Model& operator*() const { return *working_; }
  const Model* operator->() const { return working_.get(); }

  std::optional<Node> find(const std::string& path) const { return working_->find(parse_path(path)); }
  std::string read(const std::string& path) const {
    const auto node = find(path);
    if (!node) throw Error(Errc::not_found, path + ": not there");
    return node->content.text(1 << 30, path);
  }
  std::string tag(const std::string& path) const { return find(path)->content.tag; }
  /// Names in a directory, with a '/' behind those of directories.
  std::vector<std::string> names(const std::string& path) const {
    std::vector<std::string> all;
    working_->list(parse_path(path), [&](const std::string& name, const Node& node) {
      all.push_back(name + (node.kind == Node::Kind::directory ? "/" : ""));
      return true;
    });
    return all;
  }

  void apply(Op op) { working_ = working_->apply(op); }
  void write(const std::string& path, std::string content) {
    Op op;
    op.path = parse_path(path);
    op.content = Recipe::literal(std::move(content));
    apply(op);
  }
  void edit(Op::Kind kind, const std::string& path, const std::string& to = "") {
    Op op;
    op.kind = kind;
    op.path = parse_path(path);
    op.to = parse_path(to);
    apply(op);
  }
  void rename(const std::string& path, const std::string& to) { edit(Op::Kind::rename, path, to); }
  void remove(const std::string& path) { edit(Op::Kind::remove, path); }

  /// @return the number of changes that were made to the disk
  std::size_t commit() {
    const std::size_t before = disk.changes();
    Stamp stamp;
    stamp.time.tv_sec = 1'750'000'000;
    committed_ = store_->commit(committed_, *working_, stamp);
    working_ = committed_.model;
    return disk.changes() - before;
  }

  /// The archive as it is on the disk.
  std::shared_ptr<const zip::Directory> archive() { return zip::Directory::read(disk.open(kPath)); }
  std::string member(const std::string& name) {
    const auto d = archive();
    if (!d->find(name)) throw Error(Errc::not_found, name + ": no such member");
    return text_of(*d, name);
  }
  bool has_member(const std::string& name) { return archive()->find(name) != nullptr; }
  std::vector<std::string> waiting() const {
    std::vector<std::string> all;
    for (const TreePath& path : working_->waiting()) all.push_back(to_string(path));
    return all;
  }
  bool warns(const std::string& part) const {
    for (const std::string& warning : working_->warnings())
      if (warning.find(part) != std::string::npos) return true;
    return false;
  }

  static constexpr char kPath[] = "/d/m.pt";
  MemoryDisk disk;

 private:
  std::shared_ptr<Checkpoint> store_;
  Snapshot committed_;
  Ptr<Model> working_;
};

/// The metadata document with another index of arrays.
inline std::string metadata_with(const std::string& index) {
  std::string text = kMetadata;
  return text.replace(text.find(kIndex), kIndex.size(), index);
}

using Names = std::vector<std::string>;

}  // namespace ckptree_test
