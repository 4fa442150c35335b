#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ckptree/session.hpp"
#include "codec/npy/npy.hpp"
#include "commit/memory_disk.hpp"
#include "commit/store.hpp"
#include "formats/earth2studio/catalog.hpp"
#include "formats/earth2studio/format.hpp"
#include "formats/earth2studio/payload.hpp"

namespace ckptree_test {

inline std::string npy_of(const std::string& descr, const std::vector<std::uint64_t>& shape, const std::string& data) {
  return ckptree::npy::make_header(descr, shape) + data;
}

/// A store of three rows as upstream writes it, on a disk in memory, at /store.
class TestStore {
 public:
  static ckptree::ViewOptions all() {
    ckptree::ViewOptions options;
    options.edit_all = true;
    return options;
  }

  explicit TestStore(ckptree::ViewOptions options = all()) : options_(std::move(options)) {
    fill(disk);
    open();
  }

  static void fill(ckptree::MemoryDisk& disk) {
    using namespace ckptree::earth2studio;
    Entries rows;
    int n = 0;
    for (const char* id :
         {"commit_00000001_aaaaaaaaaaaa", "commit_00000002_bbbbbbbbbbbb", "commit_00000003_cccccccccccc"}) {
      ++n;
      const Json entry = row_json(id, n, "{\"member\": 1}");
      rows.push_back(Entry::make(entry, id));
      Json manifest = parse(R"({"checkpoint": "forecast", "mode": "append", "version": 1, "metadata": {
          "lead_time": {"kind": "np_timedelta64", "unit": "h", "value": 6}, "note": {"kind": "str", "value": "a text"},
          "pair": {"items": [{"kind": "int", "value": 1}, {"kind": "int", "value": 2}], "kind": "tuple"},
          "rate": {"kind": "float", "value": 0.5}}})",
                            "manifest");
      for (const char* key : {"commit_id", "labels", "rank", "saved_at", "world_size", "write_count"})
        manifest.set(key, *entry.find(key));
      const std::string hash = hashed("my.module.Noise"), top = "/store/commits/" + std::string(id) + "/";
      manifest.set("states",
                   parse("{\"my.module.Noise\": {\"path\": \"states/" + hash + "\", \"schema_hash\": \"hash\"}}", "s"));
      disk.add(top + "manifest.json", {dumps(manifest) + "\n", "rw"});
      disk.add(top + "states/" + hash + "/metadata.json",
               {dumps(parse(R"({"state_id": "my.module.Noise", "schema_hash": "hash", "fields": {
                  "noise": {"kind": "tensor", "path": "noise.npy", "dtype": "float32", "shape": [2]},
                  "seed": {"kind": "int", "value": 42}, "state_id": {"kind": "str", "value": "mine"},
                  "tags": {"items": [{"kind": "int", "value": 1}, {"kind": "str", "value": "two"}], "kind": "tuple"}}})",
                            "state")) +
                    "\n",
                "rw"});
      disk.add(top + "states/" + hash + "/noise.npy", {npy_of("<f4", {2}, "abcdefgh"), "rw"});
    }
    disk.add("/store/catalog.json", {catalog_text(rows), "rw"});
  }

  static ckptree::earth2studio::Json row_json(const std::string& id, int n, const std::string& labels) {
    using namespace ckptree::earth2studio;
    Json row = parse(R"({"metadata": {"lead_time": {"kind": "np_timedelta64", "unit": "h", "value": 6},
        "note": "a text", "pair": [1, 2], "rate": 0.5}, "metadata_keys": ["lead_time", "note", "rate", "pair"],
        "rank": 0, "state_ids": ["my.module.Noise"], "world_size": 1})",
                     "row");
    row.set("commit_id", Json::string(id));
    row.set("labels", parse(labels, "labels"));
    row.set("saved_at", Json::string("2024-01-0" + std::to_string(n) + "T00:00:00+00:00"));
    row.set("write_count", Json::number(n));
    return row;
  }

  void open() {
    checkpoint_ = ckptree::make_store(ckptree::earth2studio_format(), "/store", disk, {options_, false});
    session = std::make_shared<ckptree::Session>(checkpoint_);
  }

  std::string file(const std::string& path) { return disk.seen().at("/store/" + path).content; }
  void put(const std::string& path, const std::string& content) { disk.overwrite("/store/" + path, content); }

  std::optional<ckptree::Node> node(const std::string& path) const {
    return session->working()->find(ckptree::parse_path(path));
  }
  bool has(const std::string& path) const { return node(path).has_value(); }
  std::string read(const std::string& path) const { return node(path).value().content.text(1u << 20, path); }
  std::string link(const std::string& path) const { return node(path).value().target; }
  std::string names(const std::string& path) const {
    std::string text;
    session->working()->list(ckptree::parse_path(path), [&](const std::string& name, const ckptree::Node&) {
      text += (text.empty() ? "" : " ") + name;
      return true;
    });
    return text;
  }
  std::string commit_id(int row) const {
    const std::string line = read("rows/" + std::to_string(row) + "/commit_id");
    return line.substr(0, line.size() - 1);
  }

  void save(ckptree::Op op, std::uint64_t epoch) { session->save({std::move(op)}, epoch); }
  void save(const std::string& path, const std::string& text, std::uint64_t epoch) {
    save(write_of(path, text), epoch);
  }
  void edit(const std::string& path, const std::string& text) { save(write_of(path, text), session->epoch()); }
  void remove(const std::string& path) { save(op_of(ckptree::Op::Kind::remove, path), session->epoch()); }
  void make_dir(const std::string& path) { save(op_of(ckptree::Op::Kind::make_dir, path), session->epoch()); }
  void rename(const std::string& path, const std::string& to) {
    ckptree::Op op = op_of(ckptree::Op::Kind::rename, path);
    op.to = ckptree::parse_path(to);
    save(std::move(op), session->epoch());
  }

  static ckptree::Op op_of(ckptree::Op::Kind kind, const std::string& path) {
    ckptree::Op op;
    op.kind = kind;
    op.path = ckptree::parse_path(path);
    return op;
  }
  static ckptree::Op write_of(const std::string& path, const std::string& text) {
    ckptree::Op op = op_of(ckptree::Op::Kind::write, path);
    op.content = ckptree::Recipe::literal(text);
    return op;
  }

  /// What a run does that has the rows of the first catalog in memory: those of these numbers, and a new one.
  void run_writes(const std::vector<std::size_t>& kept, const ckptree::earth2studio::Json& added) {
    using namespace ckptree::earth2studio;
    ckptree::MemoryDisk first;
    fill(first);
    const Entries before = parse_catalog(first.seen().at("/store/catalog.json").content, "catalog.json");
    Entries rows;
    for (const std::size_t i : kept) rows.push_back(before.at(i));
    rows.push_back(Entry::make(added, "added"));
    put("catalog.json", catalog_text(rows));
  }

  ckptree::MemoryDisk disk;
  std::shared_ptr<ckptree::Session> session;

 private:
  ckptree::ViewOptions options_;
  std::shared_ptr<ckptree::Checkpoint> checkpoint_;
};

}  // namespace ckptree_test
