// A pickle as the data.pkl of a training checkpoint: migrations/registered/ is shown, migrations are registered, changed
// and unregistered, and what is written is shown as the edits were. The same bytes as a script, and as the text of a
// registered one.

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "doubled_keys.hpp"
#include "formats/torch/format.hpp"
#include "formats/torch/migration_scripts.hpp"
#include "formats/torch/migrations.hpp"
#include "formats/torch/rows.hpp"
#include "small_checkpoint.hpp"

using namespace ckptree;

namespace {

const TreePath kDirectory{"migrations", "registered"};
constexpr std::size_t kMaxEdits = 50;

Ptr<Model> open(const std::string& pickle) {
  ViewOptions options;
  options.edit_all = true;
  return torch_format().open(memory_source(memory_file("fuzz.pt", small_checkpoint(pickle))), options);
}

const pickle::Graph& graph_of(const Model& model) {
  return dynamic_cast<const torch::TorchModel&>(model).state().pickled->graph();
}

TreePath path_of(const std::string& name) { return {kDirectory[0], kDirectory[1], name}; }

/// Each entry, also by its name; what it says is what can be written there. @return the texts
std::vector<std::string> look(const Model& model) {
  std::vector<std::string> texts;
  std::set<std::string> names;
  model.list(kDirectory, [&](const std::string& name, const Node& node) {
    if (name.empty() || name == "." || name == ".." || name.size() > 255 || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos || !names.insert(name).second)
      std::abort();
    const auto found = model.find(path_of(name));
    if (!found || found->content.tag != node.content.tag) std::abort();
    texts.push_back(node.content.text(1 << 20, name));
    if (file_name_of(torch::migration_of(texts.back(), name).name).text != name) std::abort();
    return true;
  });
  return texts;
}

Ptr<Model> edited(Ptr<Model> model, const std::vector<std::string>& texts) {
  for (std::size_t i = 0; i < texts.size() && i < kMaxEdits; ++i) {
    torch::Migration m = torch::migration_of(texts[i], "");
    m.version = "9." + std::to_string(i);
    m.final = i % 4 == 0;
    if (i % 2 == 0) m.name += "_new";
    Op op;
    op.path = path_of(file_name_of(m.name).text);
    op.content = Recipe::literal(torch::json_of(m));
    if (i % 5 == 3) op.kind = Op::Kind::remove;
    try {
      model = model->apply(op);
    } catch (const Error&) {
      continue;
    }
    if (op.kind == Op::Kind::write && model->find(op.path)->content.tag != op.content.tag) std::abort();
  }
  return model;
}

void read_as_text(const std::string& text) {
  for (const char* name : {"1_script", "1_script.py"}) {
    try {
      torch::read_script(name, text, name);
    } catch (const Error&) {
    }
  }
  try {
    const torch::Migration m = torch::migration_of(text, "text");
    if (torch::json_of(torch::migration_of(torch::json_of(m), "again")) != torch::json_of(m)) std::abort();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  read_as_text(bytes);
  try {
    const Ptr<Model> model = open(bytes);
    const std::vector<std::string> texts = look(*model);
    if (const auto registered = torch::registered_in(graph_of(*model))) {
      const auto all = torch::migrations_of(*registered);
      const auto groups = torch::groups_of(all);
      if (!torch::compare(groups, all).extra.empty() && torch::group_of(groups, all) == groups.size() - 1) std::abort();
    }
    const Ptr<Model> now = edited(model, texts);
    if (doubled_keys(graph_of(*now)) > doubled_keys(graph_of(*model))) std::abort();
    const std::vector<std::string> made = look(*now);
    if (look(*open(pickle::encode(graph_of(*now)))) != made) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
