// A file of a checkpoint of Orbax: bytes that another machine wrote. The first byte tells which; the rest of the
// checkpoint is well.

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <system_error>

#include "ckptree/error.hpp"
#include "formats/orbax/format.hpp"
#include "formats/orbax/step_metadata.hpp"

using namespace ckptree;

namespace {

using Files = std::map<std::string, std::string>;

struct Folder final : Source {
  explicit Folder(Files f) : files(std::move(f)) {}
  const std::string& path() const override { return top; }
  bool is_directory() const override { return true; }
  Names list(const std::string& relative) const override {
    Names names;
    const std::string prefix = relative.empty() ? "" : relative + "/";
    for (const auto& [path, content] : files) {
      if (path.compare(0, prefix.size(), prefix) != 0) continue;
      const std::string name = path.substr(prefix.size(), path.find('/', prefix.size()) - prefix.size());
      if (names.empty() || names.back() != name) names.push_back(name);
    }
    if (names.empty()) throw std::system_error(ENOENT, std::generic_category(), relative);
    return names;
  }
  Ptr<File> open(const std::string& relative) const override {
    const auto file = files.find(relative);
    if (file == files.end()) throw std::system_error(ENOENT, std::generic_category(), relative);
    return memory_file(relative, file->second);
  }
  Files files;
  const std::string top = "/checkpoint";
};

/// Looks at everything, a few levels deep. What cannot be shown says so with an Error.
void walk(const Model& model, const TreePath& path, std::size_t& left) {
  if (path.size() > 8) return;
  try {
    model.list(path, [&](const std::string& name, const Node&) {
      if (left == 0) return false;
      --left;
      TreePath child = path;
      child.push_back(name);
      try {
        const auto node = model.find(child);
        if (!node) std::abort();  // what is listed can be found
        if (node->kind == Node::Kind::file && node->content.size() < 4096) node->content.text(4096, name);
        if (node->kind == Node::Kind::directory) walk(model, child, left);
      } catch (const Error&) {
      }
      return true;
    });
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const char* const paths[] = {"_CHECKPOINT_METADATA", "state/_METADATA",
                               "state/_sharding",      "state/array_metadatas/process_0",
                               "state/_strings.json",  "_CHECKPOINT_DELETION"};
  Files files{
      {"_CHECKPOINT_METADATA", "{}"},
      {"state/_METADATA",
       R"x({"tree_metadata": {"('a',)": {"key_metadata": [{"key": "a", "key_type": 2}], "value_metadata": {"value_type":
       "jax.Array"}}, "('s',)": {"key_metadata": [{"key": "s", "key_type": 2}], "value_metadata": {"value_type":
       "string"}}}, "use_ocdbt": false})x"},
      {"state/a/.zarray",
       R"({"chunks":[2],"compressor":null,"dtype":"<i4","fill_value":null,"filters":null,"order":"C","shape":[2],"zarr_format":2})"},
  };
  files[paths[data[0] % 6]] = text;
  try {
    const auto model = orbax_format().open(std::make_shared<Folder>(std::move(files)), {});
    std::size_t left = 200;
    walk(*model, {}, left);
  } catch (const Error&) {
  }
  const auto metadata = orbax::StepMetadata::read(orbax::StepMetadata::Kind::checkpoint, text, "file");
  if (!metadata.editable) return 0;
  const auto again =
      orbax::StepMetadata::read(orbax::StepMetadata::Kind::checkpoint, metadata.with_custom("{\"a\": 1}"), "file");
  if (!again.editable || again.init != metadata.init || again.commit != metadata.commit) std::abort();
  return 0;
}
