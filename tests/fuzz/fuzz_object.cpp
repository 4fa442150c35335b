// A pickle as the data.pkl of a checkpoint: object/ is shown, edited, and what is written is shown as the edits were.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "doubled_keys.hpp"
#include "formats/torch/format.hpp"
#include "formats/torch/rows.hpp"
#include "formats/torch/survey.hpp"
#include "small_checkpoint.hpp"

using namespace ckptree;

namespace {

constexpr std::size_t kMaxEntries = 1000;

Ptr<Model> open(const std::string& pickle) {
  ViewOptions options;
  options.edit_all = true;
  return torch_format().open(memory_source(memory_file("fuzz.pt", small_checkpoint(pickle))), options);
}

const torch::Pickled& pickled(const Model& model) {
  return *dynamic_cast<const torch::TorchModel&>(model).state().pickled;
}

/// Looks at what is below object/, each entry also by its name, and reads the beginning of each file. @return the paths
std::vector<TreePath> look(const Model& model) {
  std::vector<TreePath> seen, open{{"object"}};
  while (!open.empty() && seen.size() < kMaxEntries) {
    const TreePath directory = open.back();
    open.pop_back();
    std::set<std::string> names;
    model.list(directory, [&](const std::string& name, const Node& node) {
      if (name.empty() || name == "." || name == ".." || name.size() > 255 || name.find('/') != std::string::npos ||
          name.find('\0') != std::string::npos || !names.insert(name).second)
        std::abort();
      TreePath path = directory;
      path.push_back(name);
      const auto found = model.find(path);
      if (!found || found->kind != node.kind || found->target != node.target) std::abort();
      if (node.kind == Node::Kind::directory) open.push_back(path);
      try {
        char bytes[256];
        if (node.kind == Node::Kind::file) node.content.read(0, Buffer(bytes, sizeof bytes));
      } catch (const Error&) {
      }
      seen.push_back(std::move(path));
      return seen.size() < kMaxEntries;
    });
  }
  return seen;
}

/// Makes edits of all kinds, as many as there are entries.
Ptr<Model> edited(Ptr<Model> model, const std::vector<TreePath>& paths) {
  const char* const values[] = {"1", "0.5", "text", "true", "[1, 2]", "{\"a\": [{}]}", "[]", "null"};
  for (std::size_t i = 0; i < paths.size() && i < 100; ++i) {
    Op op;
    op.kind = static_cast<Op::Kind>(i % 6);
    op.path = paths[i];
    op.to = i % 4 == 0 ? TreePath{"object", "to" + std::to_string(i)} : paths[(i * 7) % paths.size()];
    op.content = Recipe::literal(values[i % 8]);
    if (op.kind == Op::Kind::make_dir) op.path.push_back("made");
    try {
      model = model->apply(op);
    } catch (const Error&) {
    }
  }
  return model;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Ptr<Model> model = open(std::string(reinterpret_cast<const char*>(data), size));
    if (model->find({"object"})->kind != Node::Kind::directory) return 0;
    const Ptr<Model> now = edited(model, look(*model));
    look(*now);
    if (doubled_keys(pickled(*now).graph()) > doubled_keys(pickled(*model).graph())) std::abort();
    const std::string bytes = pickle::encode(pickled(*now).graph());
    const Ptr<Model> stored = open(bytes);
    if (!pickled(*stored).obstacle().empty()) std::abort();
    look(*stored);
    const torch::Survey before(pickled(*now).graph()), after(pickled(*stored).graph());
    if (before.tensors().size() != after.tensors().size()) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
