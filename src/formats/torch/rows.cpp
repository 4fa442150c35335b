#include "formats/torch/rows.hpp"

#include "ckptree/error.hpp"

namespace ckptree::torch {
namespace {

std::optional<Node> show_kind(const State& state, const Match&) {
  Node node;
  node.content = Recipe::literal("torch\n");
  node.mtime = state.archive->mtime();
  return node;
}

const TorchRow kRows[] = {
    // pattern         shown by            listed by     edited by      a new file by
    {"kind", show_kind},
    {"metadata.json", show_metadata, nullptr, edit_metadata, vacant_metadata},
    {"metadata/**", show_value, list_values, edit_value, vacant_value},
    {"metadata.path", show_metadata_path},
    {"arrays/**", show_array, list_arrays, edit_arrays, vacant_array},
    {"arrays.tsv", show_arrays_table},
    {"tensors/**", show_tensor, list_tensors, edit_tensor, vacant_tensor},
    {"tensors.tsv", show_tensors_table},
    {"values/**", show_tensor_values, list_tensor_values},
    {"object/**", show_object, list_object, edit_object, vacant_object},
    {"imports/**", show_import, list_imports, edit_import, vacant_import},
    {"imports.tsv", show_imports_table},
    {"migrations/**", show_migration, list_migrations, edit_migration, vacant_migration},
};

}  // namespace

xtl::span<const TorchRow> Table::rows() { return kRows; }

// status.json is for reading; a hostile archive has a million of them.
constexpr std::size_t kWarnings = 20;

std::vector<std::string> Table::warnings(const State& state) {
  std::vector<std::string> all = state.archive->warnings();
  if (state.corrections > 0)
    all.push_back("metadata.json: supporting_arrays_paths was put right in " + std::to_string(state.corrections) +
                  " edits");
  try {
    const Ptr<ArrayIndex> index = state.metadata->index();
    for (const std::size_t i : index->below(ArrayIndex::kTop)) {
      const ArrayIndex::Entry& entry = (*index)[i];
      if (!entry.is_array) continue;
      if (all.size() >= kWarnings) {
        all.push_back("more arrays are not looked at here");
        break;
      }
      const std::size_t copies = state.archive->zip().find_all(entry.member).size();
      if (copies > 1)
        all.push_back("arrays/" + index->title(i) + ".npy: the archive has " + std::to_string(copies) + " members '" +
                      entry.member + "'; the last is shown");
      try {
        array_data(state, *index, i);
      } catch (const Error& e) {
        all.push_back(e.what());
      }
    }
  } catch (const Error& e) {
    all.push_back(e.what());
  }
  return all;
}

std::vector<TreePath> Table::waiting(const State& state) {
  // All that was done to arrays while there was no document, so that it can be done again on another state.
  std::vector<TreePath> all(state.touched.begin(), state.touched.end());
  // A commit in the midst of an `rm -r`.
  all.insert(all.end(), state.parted.begin(), state.parted.end());
  for (const auto& [module, edit] : state.empty_modules) all.push_back(edit);
  return all;
}

namespace {

Node raw_directory(const State& state) {
  Node node;
  node.kind = Node::Kind::directory;
  node.mtime = state.archive->mtime();
  return node;
}

Node raw_file(const State& state, const zip::Member& member) {
  const zip::Directory& zip = state.archive->zip();
  Node node;
  node.content = content_or_failure([&] { return zip.content(member); });
  node.mtime = zip.mtime(member);
  return node;
}

bool is_below(const std::string& name, const std::string& directory) {
  return name.size() > directory.size() && name.compare(0, directory.size(), directory) == 0;
}

}  // namespace

std::optional<Node> Table::find_raw(const State& state, const TreePath& path) {
  if (path.empty()) return raw_directory(state);
  const auto& members = state.archive->raw().members;
  const std::string name = to_string(path);
  const auto at = members.lower_bound(name);
  if (at == members.end()) return std::nullopt;
  if (at->first == name && at->second) return raw_file(state, *at->second);
  if (at->first == name || is_below(at->first, name + "/")) return raw_directory(state);
  return std::nullopt;
}

void Table::list_raw(const State& state, const TreePath& path,
                     const std::function<bool(const std::string&, const Node&)>& each) {
  const auto directory = find_raw(state, path);
  if (!directory) throw Error(Errc::not_found, "raw/" + to_string(path) + ": no such directory");
  if (directory->kind != Node::Kind::directory)
    throw Error(Errc::not_directory, "raw/" + to_string(path) + ": not a directory");
  const auto& members = state.archive->raw().members;
  const std::string prefix = path.empty() ? std::string() : to_string(path) + "/";
  std::string last;
  for (auto at = members.lower_bound(prefix); at != members.end() && is_below(at->first, prefix); ++at) {
    const std::size_t slash = at->first.find('/', prefix.size());
    const std::string name = at->first.substr(prefix.size(), slash - prefix.size());
    if (name == last) continue;
    last = name;
    const bool file = slash == std::string::npos && at->second;
    if (!each(name, file ? raw_file(state, *at->second) : raw_directory(state))) return;
  }
}

}  // namespace ckptree::torch
