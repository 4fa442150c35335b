// A directory of steps. Which there are is looked up when it is asked: a run adds and removes them.

#include <algorithm>
#include <set>

#include "ckptree/error.hpp"
#include "codec/plain_path.hpp"
#include "formats/document/table_text.hpp"
#include "formats/orbax/rows.hpp"
#include "formats/orbax/view.hpp"
#include "formats/stored.hpp"

namespace ckptree::orbax {
namespace {

constexpr const char* kOldRootMetadata = "metadata/metadata";  // of 0.6: the custom metadata alone

bool is_directory(const State& state, const std::string& name) {
  return is_plain_name(name) && has_directory(*state.stored->source, name);
}

Node nested_node(const State& state, const std::string& name) {
  Node node = directory_node(state);
  node.kind = Node::Kind::nested;
  const auto open = state.options.open_nested;
  const std::string path = state.stored->source->path() + "/" + name;
  if (open) node.open_nested = [open, path] { return open(path); };
  return node;
}

bool is_step(const std::string& name) { return !is_temporary_name(name) && step_of(name).has_value(); }

std::optional<Node> show_steps_kind(const State& state, const Match&) { return file_node(state, "orbax-steps\n"); }

std::optional<Node> show_steps(const State& state, const Match&) { return directory_node(state); }

void list_named(const State& state, const Names& names, const Each& each) {
  for (const std::string& key : names) {
    const FileName name = file_name_of(key);
    Node node = nested_node(state, key);
    if (name.cut) node.key = key;
    if (!each(name.text, node)) return;
  }
}

void list_steps(const State& state, const Match&, const Each& each) {
  Names names;
  for (const auto& [number, name] : steps_of(*state.stored->source)) names.push_back(name);
  list_named(state, names, each);
}

/// A step under the name of its folder; by its number a link to it.
std::optional<Node> show_step(const State& state, const Match& match) {
  const std::string name = key_of(match.names.front());
  if (is_step(name) && is_directory(state, name)) return nested_node(state, name);
  const auto number = step_of(name);
  if (!number || std::to_string(*number) != name) return std::nullopt;
  for (const auto& [other, folder] : steps_of(*state.stored->source))
    if (other == *number) return link_node(state, file_name_of(folder).text);
  return std::nullopt;
}

std::optional<Node> show_latest(const State& state, const Match&) {
  const auto steps = steps_of(*state.stored->source);
  if (steps.empty()) return std::nullopt;
  return link_node(state, "steps/" + file_name_of(steps.back().second).text);
}

/// When a step was committed; nothing when that is not told.
std::string commit_time(const State& state, const std::string& name) {
  const std::string path = name + "/" + kCheckpointMetadata;
  try {
    return iso_time(
        StepMetadata::read(StepMetadata::Kind::checkpoint, read_text(*state.stored->source, path, kMaxJson), path)
            .commit);
  } catch (const std::exception&) {
    return "null";
  }
}

std::optional<Node> show_steps_table(const State& state, const Match&) {
  return made_node(directory_node(state), [&] {
    std::string text = "step\tname\tcommit_timestamp\n";
    for (const auto& [number, name] : steps_of(*state.stored->source))
      text += std::to_string(number) + "\t" + escaped(name) + "\t" + commit_time(state, name) + "\n";
    return Recipe::literal(std::move(text));
  });
}

void list_incomplete(const State& state, const Match&, const Each& each) {
  Names names;
  for (const std::string& name : names_in(*state.stored->source, "").value_or(Names{}))
    if (is_temporary_name(name) && is_directory(state, name)) names.push_back(name);
  list_named(state, names, each);
}

std::optional<Node> show_incomplete(const State& state, const Match& match) {
  const std::string name = key_of(match.names.front());
  if (!is_temporary_name(name) || !is_directory(state, name)) return std::nullopt;
  return nested_node(state, name);
}

const StateRow kRows[] = {
    // pattern              shown by           listed by           edited by          a new file by
    {"kind", show_steps_kind},
    {"path", show_path},
    {kCustomFile, show_custom, nullptr, edit_custom},
    {"custom_metadata/**", show_custom_value, list_custom_values, edit_custom_value, vacant_custom_value},
    {"steps.tsv", show_steps_table},
    {"steps", show_steps, list_steps},
    {"steps/*", show_step},
    {"latest", show_latest},
    {"incomplete", show_steps, list_incomplete},
    {"incomplete/*", show_incomplete},
};

}  // namespace

xtl::span<const StateRow> StepsTable::rows() { return kRows; }

std::vector<std::pair<std::uint64_t, std::string>> steps_of(const Source& source) {
  std::vector<std::pair<std::uint64_t, std::string>> steps;
  for (const std::string& name : names_in(source, "").value_or(Names{}))
    if (is_step(name) && has_directory(source, name)) steps.emplace_back(*step_of(name), name);
  std::sort(steps.begin(), steps.end());
  return steps;
}

void check_checkpointable(const Source& source, const std::string& wanted) {
  std::set<std::string> offered;
  for (const auto& [number, step] : steps_of(source)) {
    const Names top = names_in(source, step).value_or(Names{});
    if (has(top, kTreeMetadata)) {
      if (wanted == "none") return;
      offered.insert("none");
      continue;
    }
    for (const std::string& name : top) {
      const auto files = names_in(source, step + "/" + name);
      if (is_temporary_name(name) || !files || !has(*files, kTreeMetadata)) continue;
      if (name == wanted) return;
      offered.insert(name);
    }
  }
  if (!offered.empty()) refuse_checkpointable(wanted, {offered.begin(), offered.end()});
}

State open_steps(const Ptr<Source>& source, const ViewOptions& options) {
  auto stored = std::make_shared<Stored>();
  stored->source = source;
  std::optional<std::string> text;
  const Names files = names_in(*source, "metadata").value_or(Names{});
  std::string custom;
  const auto read = [&](const char* path) -> std::optional<std::string> {
    try {
      stored->mtime = mtime_of(*source->open(path));
      return read_text(*source, path, kMaxJson);
    } catch (const std::exception& e) {
      stored->warnings.push_back(e.what());
      return std::nullopt;
    }
  };
  if (has(files, "_ROOT_METADATA")) text = read(kRootMetadata);
  else if (has(files, "metadata"))
    if (const auto old = read(kOldRootMetadata)) custom = *old;
  stored->metadata = StepMetadata::read(StepMetadata::Kind::root, std::move(text), kRootMetadata);
  if (!stored->metadata.problem.empty()) stored->warnings.push_back(stored->metadata.problem);
  State state;
  state.options = options;
  const bool writable = !options.read_only && stored->metadata.editable;
  if (custom.empty()) custom = stored->metadata.custom;
  try {
    state.custom = std::make_shared<const Document>(custom, kCustomFile, stored->mtime, writable);
    if (!View::of(custom).is_object())
      throw Error(Errc::corrupt, std::string(kOldRootMetadata) + ": expected an object");
  } catch (const Error& e) {
    stored->warnings.push_back(e.what());
    state.custom = std::make_shared<const Document>("{}", kCustomFile, stored->mtime, false);
  }
  state.stored = std::move(stored);
  return state;
}

}  // namespace ckptree::orbax
