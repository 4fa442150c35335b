// A pickle as the data.pkl of a checkpoint: tensors/, values/ and imports/ are shown, names edited, and what is written
// has the names that the edits gave.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "doubled_keys.hpp"
#include "formats/torch/format.hpp"
#include "formats/torch/rows.hpp"
#include "formats/torch/storages.hpp"
#include "small_checkpoint.hpp"

using namespace ckptree;

namespace {

constexpr std::size_t kMaxEntries = 200;

Ptr<Model> open(const std::string& pickle) {
  ViewOptions options;
  options.edit_all = true;
  return torch_format().open(memory_source(memory_file("fuzz.pt", small_checkpoint(pickle))), options);
}

const torch::Pickled& pickled(const Model& model) {
  return *dynamic_cast<const torch::TorchModel&>(model).state().pickled;
}

/// Looks at each entry of a directory, also by its name, and reads some of it. @return the names
std::vector<std::string> look(const Model& model, const std::string& directory) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  model.list({directory}, [&](const std::string& name, const Node& node) {
    if (name.empty() || name == "." || name == ".." || name.size() > 255 || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos || !seen.insert(name).second)
      std::abort();
    const auto found = model.find({directory, name});
    if (!found || found->content.tag != node.content.tag) std::abort();
    try {
      char bytes[256];
      const std::uint64_t size = node.content.size();
      node.content.read(names.size() % 2 == 0 || size < sizeof bytes ? 0 : size - sizeof bytes,
                        Buffer(bytes, sizeof bytes));
    } catch (const Error&) {
    }
    names.push_back(name);
    return names.size() < kMaxEntries;
  });
  return names;
}

Ptr<Model> edited(Ptr<Model> model, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    Op op;
    op.kind = i % 3 == 0 ? Op::Kind::rename : i % 3 == 1 ? Op::Kind::exchange : Op::Kind::remove;
    op.path = {"tensors", names[i]};
    op.to = {"tensors", i % 2 == 0 ? "new." + names[i] : names[(i * 7) % names.size()]};
    try {
      model = model->apply(op);
    } catch (const Error&) {
    }
  }
  return model;
}

/// Gives classes and functions other names: those that torch makes tensors with keep theirs.
Ptr<Model> with_other_imports(Ptr<Model> model) {
  std::vector<TreePath> names;
  for (const std::string& module : look(*model, "imports"))
    model->list({"imports", module}, [&](const std::string& name, const Node&) {
      names.push_back({"imports", module, name});
      return names.size() < kMaxEntries;
    });
  for (std::size_t i = 0; i < names.size(); ++i) {
    Op op;
    op.kind = i % 3 == 0 ? Op::Kind::rename : i % 3 == 1 ? Op::Kind::exchange : Op::Kind::remove;
    op.path = names[i];
    op.to = i % 2 == 0 ? TreePath{"imports", names[i][1], "Other"} : names[(i * 7) % names.size()];
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
    const std::vector<std::string> names = look(*model, "tensors");
    look(*model, "values");
    const Ptr<Model> renamed = with_other_imports(model);
    if (look(*renamed, "tensors").size() < names.size()) std::abort();
    const Ptr<Model> now = edited(renamed, names);
    const std::size_t doubled = doubled_keys(pickled(*model).graph());
    if (doubled_keys(pickled(*now).graph()) > doubled) std::abort();
    std::vector<std::string> made = look(*now, "tensors");
    const std::string bytes = pickle::encode(pickled(*now).graph());
    const Ptr<Model> stored = open(bytes);
    torch::storages_in_order(pickled(*stored).graph());
    std::vector<std::string> again = look(*stored, "tensors");
    // Those that are numbered because they share a name have new numbers, or none; a key that came twice in its dict,
    // which no Python writes, comes to light when the second has another name.
    const auto is_numbered = [](const std::string& name) { return name.find(':') != std::string::npos; };
    const bool numbered = std::any_of(made.begin(), made.end(), is_numbered);
    std::sort(made.begin(), made.end());
    std::sort(again.begin(), again.end());
    if (!numbered && doubled == 0 && made.size() < kMaxEntries && again != made) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
