#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"
#include "codec/zip/directory.hpp"
#include "formats/torch/format.hpp"
#include "small_checkpoint.hpp"

using namespace ckptree;

namespace {

/// What is left of a file when a plan has run.
std::string after(const Plan& plan, const std::string& before) {
  std::string file;
  for (const Step& step : plan.steps) {
    if (step.kind == Step::Kind::clone) file = before.substr(0, static_cast<std::size_t>(step.size));
    if (step.kind == Step::Kind::truncate) file.resize(static_cast<std::size_t>(step.size));
    if (step.kind == Step::Kind::verify) step.check(memory_file("new.pt", file));
    if (step.kind != Step::Kind::write) continue;
    const std::string bytes = step.content.text(1 << 26, "a piece");
    if (file.size() < step.at + bytes.size()) file.resize(static_cast<std::size_t>(step.at) + bytes.size());
    file.replace(static_cast<std::size_t>(step.at), bytes.size(), bytes);
  }
  return file;
}

/// Whether every member lies where the directory says. Of an archive where one lies in another nothing is promised but
/// that the check of the new one finds it out.
bool is_sound(const std::string& bytes) {
  try {
    const auto directory = zip::Directory::read(memory_file("fuzz.pt", bytes));
    for (const zip::Member& member : directory->members()) directory->end_offset(member);
    return true;
  } catch (const Error&) {
    return false;
  }
}

Ptr<Model> open(const std::string& bytes) {
  return torch_format().open(memory_source(memory_file("fuzz.pt", bytes)), ViewOptions{});
}

/// Looks at everything below `top`, and reads the beginning of each file. @return path -> tag, of what can be read
template <class List>
std::map<TreePath, std::string> look(const TreePath& top, const List& list) {
  std::map<TreePath, std::string> seen;
  std::vector<TreePath> open{top};
  std::size_t entries = 0;
  while (!open.empty() && entries < 2000) {
    const TreePath directory = open.back();
    open.pop_back();
    try {
      list(directory, [&](const std::string& name, const Node& node) {
        if (name.empty() || name == "." || name == ".." || name.size() > 255 || name.find('/') != std::string::npos ||
            name.find('\0') != std::string::npos)
          std::abort();
        TreePath path = directory;
        path.push_back(name);
        if (node.kind == Node::Kind::directory) {
          open.push_back(path);
        } else {
          try {
            char bytes[4096];
            node.content.read(0, Buffer(bytes, sizeof bytes));
            seen[path] = node.content.tag;
          } catch (const Error&) {
          }
        }
        return ++entries < 2000;
      });
    } catch (const Error&) {
    }
  }
  return seen;
}

std::map<TreePath, std::string> look(const Model& model, const TreePath& top) {
  return look(top, [&](const TreePath& path, const auto& each) { model.list(path, each); });
}

/// Makes edits, and stores those that were taken: the tree that comes back is the one that was made.
void edit(Ptr<Model> base, const std::string& bytes) {
  Ptr<Model> model = base;
  const auto apply = [&](Op::Kind kind, TreePath path, TreePath to, const std::string& content) {
    Op op;
    op.kind = kind;
    op.path = std::move(path);
    op.to = std::move(to);
    op.content = Recipe::literal(content);
    try {
      model = model->apply(op);
    } catch (const Error&) {
    }
  };
  const std::uint64_t shape[] = {3};
  const std::string array = npy::make_header("<f4", shape) + "0123456789ab";
  std::vector<TreePath> arrays;
  for (const auto& [path, tag] : look(*model, {"arrays"}))
    if (arrays.size() < 20) arrays.push_back(path);
  apply(Op::Kind::make_dir, {"arrays", "d"}, {}, "");
  apply(Op::Kind::write, {"arrays", "d", "new.npy"}, {}, array);
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const std::string n = std::to_string(i);
    if (i % 4 == 0) apply(Op::Kind::rename, arrays[i], {"arrays", "d", n + ".npy"}, "");
    if (i % 4 == 1) apply(Op::Kind::remove, arrays[i], {}, "");
    if (i % 4 == 2) apply(Op::Kind::write, arrays[i], {}, array);
    if (i % 4 == 3) apply(Op::Kind::exchange, arrays[i], arrays[i - 1], "");
  }
  apply(Op::Kind::write, {"metadata", "new"}, {}, "1");
  if (!model->find({"metadata.json"})) apply(Op::Kind::write, {"metadata.json"}, {}, "{\"version\": 1}");

  std::string fresh;
  try {
    const ChangeSet changes = torch_format().seal(*base, *model, Stamp{});
    if (changes.empty()) return;
    Medium medium;
    medium.temporary = "/d/.fuzz.pt";
    const Plan plan = torch_format().plan(*base, *memory_source(memory_file("fuzz.pt", bytes)), changes, medium);
    fresh = after(plan, bytes);
  } catch (const Error& e) {
    if (e.code() != Errc::io || !is_sound(bytes)) return;
    std::fprintf(stderr, "the plan makes another archive: %s\n", e.what());
    std::abort();
  }
  const auto made = look(*model, {"arrays"}), stored = look(*open(fresh), {"arrays"});
  if (made == stored) return;
  for (const auto* tree : {&made, &stored})
    for (const auto& [path, tag] : *tree)
      std::fprintf(stderr, "%s: %s %s\n", tree == &made ? "made" : "stored", to_string(path).c_str(), tag.c_str());
  std::abort();
}

}  // namespace

/// What begins like a zip is an archive; any other bytes are the metadata document of a small one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const bool is_archive =
      bytes.compare(0, 4, "PK\3\4") == 0 || bytes.compare(0, 2, "\x80\x02") == 0 || bytes.size() > 20000;
  try {
    if (!is_archive) {
      const std::string small = small_checkpoint();
      ChangeSet changes;
      changes["m/anemoi-metadata/anemoi.json"] = Change{Recipe::literal(bytes), {}};
      bytes = after(torch_format().plan(*open(small), *memory_source(memory_file("fuzz.pt", small)), changes, Medium{}),
                    small);
    }
    torch_format().claims(*memory_source(memory_file("fuzz.pt", bytes)));
    const Ptr<Model> model = open(bytes);
    look(*model, {});
    look({}, [&](const TreePath& path, const auto& each) { model->list_raw(path, each); });
    model->warnings();
    edit(model, bytes);
  } catch (const Error&) {
  }
  return 0;
}
