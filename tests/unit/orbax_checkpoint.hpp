#pragma once

#include <memory>
#include <string>

#include "ckptree/session.hpp"
#include "commit/memory_disk.hpp"
#include "commit/store.hpp"
#include "formats/orbax/format.hpp"

namespace ckptree_test {

/// A checkpoint of Orbax, v0 with plain zarr files, on a disk in memory: at /ck, or as a step at /run/100.
class OrbaxCheckpoint {
 public:
  static constexpr const char* kStep =
      R"({"item_handlers": {"state": "x.Handler"}, "metrics": {}, "performance_metrics": {"step": 1.0}, )"
      R"("init_timestamp_nsecs": 1778718401651849216, "commit_timestamp_nsecs": null, "custom_metadata": {"lr": 0.10}})";

  static std::string leaf(const std::string& key, const std::string& type, int kind = 2) {
    return "\"('" + key + "',)\": {\"key_metadata\": [{\"key\": \"" + key +
           "\", \"key_type\": " + std::to_string(kind) + "}], \"value_metadata\": {\"value_type\": \"" + type +
           "\", \"skip_deserialize\": false, \"write_shape\": [2]}}";
  }
  static std::string tree(const std::string& leaves) {
    return "{\"tree_metadata\": {" + leaves + "}, \"use_ocdbt\": false, \"use_zarr3\": false}";
  }
  static std::string zarray(const std::string& shape) {
    return "{\"chunks\":" + shape +
           ",\"compressor\":null,\"dimension_separator\":\".\",\"dtype\":\"<i4\",\"fill_value\":null,"
           "\"filters\":null,\"order\":\"C\",\"shape\":" +
           shape + ",\"zarr_format\":2}";
  }

  static void fill(ckptree::MemoryDisk& disk, const std::string& at) {
    const auto add = [&](const std::string& path, const std::string& content) {
      disk.add(at + "/" + path, {content, "rw"});
    };
    add("_CHECKPOINT_METADATA", kStep);
    add("state/_METADATA", tree(leaf("a", "jax.Array") + ", " + leaf("n", "scalar") + ", " + leaf("s", "string") +
                                ", " + leaf("e", "Dict") + ", " + leaf("gone", "jax.Array")));
    add("state/a/.zarray", zarray("[2]"));
    add("state/a/0", std::string("\1\0\0\0\2\0\0\0", 8));
    add("state/n/.zarray", zarray("[]"));
    add("state/n/0", std::string("\7\0\0\0", 4));
    add("state/_strings.json", R"({"s": "text"})");
    add("state/_sharding", R"({"YQ==": "{\"sharding_type\": \"SingleDeviceSharding\", \"device_str\": \"cpu:0\"}"})");
    add("state/array_metadatas/process_0",
        R"({"array_metadatas": [{"array_metadata": {"param_name": "a", "ext_metadata": {"random_key_impl": "rbg"}}}]})");
    add("config/metadata", R"({"q": 1})");
    add("broken/_METADATA", "{");
  }

  explicit OrbaxCheckpoint(ckptree::ViewOptions options = {}, bool filled = true) : options_(std::move(options)) {
    if (filled) fill(disk, "/ck");
  }

  void open(const std::string& at = "/ck", bool steps = false) {
    const ckptree::Format& format = steps ? ckptree::orbax_steps_format() : ckptree::orbax_format();
    session = std::make_shared<ckptree::Session>(ckptree::make_store(format, at, disk, {options_, false}));
  }

  std::string file(const std::string& path) { return disk.seen().at(path).content; }
  std::optional<ckptree::Node> node(const std::string& path) const {
    return session->working()->find(ckptree::parse_path(path));
  }
  bool has(const std::string& path) const { return node(path).has_value(); }
  std::string read(const std::string& path) const { return node(path).value().content.text(1u << 20, path); }
  std::string names(const std::string& path) const {
    std::string text;
    session->working()->list(ckptree::parse_path(path), [&](const std::string& name, const ckptree::Node&) {
      text += (text.empty() ? "" : " ") + name;
      return true;
    });
    return text;
  }
  static ckptree::Op write_of(const std::string& path, const std::string& text) {
    ckptree::Op op;
    op.path = ckptree::parse_path(path);
    op.content = ckptree::Recipe::literal(text);
    return op;
  }
  void edit(const std::string& path, const std::string& text) {
    session->save({write_of(path, text)}, session->epoch());
  }

  ckptree::MemoryDisk disk;
  std::shared_ptr<ckptree::Session> session;

 private:
  ckptree::ViewOptions options_;
};

}  // namespace ckptree_test
