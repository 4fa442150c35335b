// What is read when a checkpoint is opened.

#include "formats/orbax/state.hpp"


#include "ckptree/error.hpp"
#include "formats/orbax/view.hpp"
#include "formats/stored.hpp"

namespace ckptree::orbax {
namespace {

// What people edit by hand, and every load of Orbax reads.
constexpr std::uint64_t kMaxStepMetadata = std::uint64_t{16} << 20;

/// The checkpointable that a deletion under way takes; fills in why nothing can be edited.
std::string read_deletion(const Source& source, Stored& stored) {
  stored.deletion = std::string(kDeletion) + ": a deletion is half done; finish it with orbax, then edit";
  try {
    const std::string text = read_json(source, kDeletion);
    const auto name = View::of(text).find("checkpointable_name");
    if (name && name->is_string()) return name->string();
    stored.warnings.push_back(std::string(kDeletion) + ": names no checkpointable");
  } catch (const Error& e) {
    stored.warnings.push_back(e.what());
  }
  return {};
}

bool is_tree(const Stored& stored, const std::string& name) {
  const auto item = stored.items.find(name);
  return item != stored.items.end() && item->second->has_tree();
}

/// What 'AUTO' means: as documented state, pytree, the first of the others, the checkpoint itself. Newer versions of
/// the library pass over pytree, which is a warning.
std::optional<std::string> automatic(Stored& stored) {
  if (stored.layout == Layout::direct) return std::string();
  if (is_tree(stored, "state")) return "state";
  std::optional<std::string> first;
  for (const auto& [name, item] : stored.items)
    if (!first && name != "metrics" && name != "AUTO" && item->has_tree()) first = name;
  if (!is_tree(stored, "pytree")) return first;
  if (*first != "pytree")
    stored.warnings.push_back("pytree: leads to checkpointables/pytree as documented; Orbax since 0.12 takes '" +
                              *first + "' for AUTO");
  return "pytree";
}

void choose(Stored& stored, const std::string& wanted) {
  if (wanted.empty()) {
    stored.chosen = automatic(stored);
    return;
  }
  if (stored.layout == Layout::direct) {
    if (wanted != "none") refuse_checkpointable(wanted, {"none"});
    stored.chosen = "";
    return;
  }
  Names offered;
  for (const auto& [name, item] : stored.items)
    if (item->has_tree()) offered.push_back(name);
  if (!has(offered, wanted)) refuse_checkpointable(wanted, offered);
  stored.chosen = wanted;
}

}  // namespace

void refuse_checkpointable(const std::string& wanted, const Names& offered) {
  std::string names;
  for (const std::string& name : offered) names += (names.empty() ? "" : ", ") + file_name_of(name).text;
  throw Error(Errc::invalid,
              "-o checkpointable=" + wanted + ": " +
                  (wanted == "none" ? "no tree is the checkpoint's own" : "no checkpointable of this name has a tree") +
                  "; " + (names.empty() ? "none has one" : "expected one of: " + names));
}

State open_checkpoint(const Ptr<Source>& source, const ViewOptions& options) {
  auto stored = std::make_shared<Stored>();
  stored->source = source;
  stored->finished = !is_in_temporary(source->path());
  if (!stored->finished) stored->warnings.push_back("not finished: a save is under way, or was broken off");
  const Names top = source->list("");
  std::optional<std::string> text;
  if (has(top, kCheckpointMetadata)) {
    try {
      const Ptr<File> file = source->open(kCheckpointMetadata);
      stored->mtime = mtime_of(*file);
      text = whole_file(file).text(kMaxStepMetadata, kCheckpointMetadata);
    } catch (const std::exception& e) {
      stored->warnings.push_back(e.what());
    }
  }
  stored->metadata = StepMetadata::read(StepMetadata::Kind::checkpoint, std::move(text), kCheckpointMetadata);
  if (!stored->metadata.problem.empty()) stored->warnings.push_back(stored->metadata.problem);
  if (has(top, kMarker)) {
    stored->layout = Layout::v1;
    if (!has(top, kCheckpointMetadata))
      throw Error(Errc::not_a_checkpoint, source->path() + ": has the " + kMarker + " of a checkpoint of v1, but no " +
                                              kCheckpointMetadata + "; Orbax does not open it");
  } else if (stored->metadata.is_direct || has(top, kTreeMetadata)) {
    stored->layout = Layout::direct;
  }
  const std::string deleted = has(top, kDeletion) ? read_deletion(*source, *stored) : std::string();
  if (stored->layout == Layout::direct) {
    stored->items[""] = std::make_shared<const Item>(source, "");
    stored->mtime = stored->metadata.text ? stored->mtime : stored->items[""]->mtime();
  } else {
    for (const std::string& name : top)
      if (name != deleted && !is_temporary_name(name) && names_in(*source, name))
        stored->items[name] = std::make_shared<const Item>(source, name);
  }
  choose(*stored, options.checkpointable);
  State state;
  state.options = options;
  state.custom = std::make_shared<const Document>(stored->metadata.custom, kCustomFile, stored->mtime,
                                                  !options.read_only && stored->metadata.editable && stored->finished);
  state.stored = std::move(stored);
  return state;
}

Node file_node(const State& state, std::string text) {
  Node node;
  node.content = Recipe::literal(std::move(text));
  node.mtime = state.stored->mtime;
  return node;
}

Node directory_node(const State& state) {
  Node node;
  node.kind = Node::Kind::directory;
  node.mtime = state.stored->mtime;
  return node;
}

Node link_node(const State& state, std::string target) {
  Node node = directory_node(state);
  node.kind = Node::Kind::link;
  node.target = std::move(target);
  return node;
}

}  // namespace ckptree::orbax
