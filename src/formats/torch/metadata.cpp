// metadata.json as a whole, and metadata.path.

#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {
namespace {

constexpr char kPlace[] = "metadata.json";

bool has_version(Bytes text) { return json::locate(text, {"version"}).has_value(); }

/// The index of a text that nobody has looked into; null when it has none that could be told.
std::shared_ptr<const ArrayIndex> index_of(Bytes text) {
  try {
    return std::make_shared<const ArrayIndex>(text);
  } catch (const Error&) {
    return nullptr;
  }
}

/// The text with the index that is right: that of the document it replaces, letter for letter.
std::string with_index_of(const std::string& old, const ArrayIndex& right, std::string text) {
  const auto said = index_of(text);
  if (said && right == *said) return text;
  IndexText fixed(std::move(text));
  const IndexText source(old);
  fixed.set({}, source.has_index() ? source.literal({}) : "{}");
  return fixed.text();
}

/// The text with those entries of its index that lead to an array in the archive, and those that wait. This is for a
/// document that replaces none, or a broken one: what the index should say can only be told from the members.
std::string with_sound_index(const State& state, const std::string& member, const std::string& text, bool needs_index) {
  IndexText fixed(text);
  if (!index_of(text) || (needs_index && !fixed.has_index())) fixed.set({}, "{}");
  State probe = state;
  probe.exists = true;
  probe.metadata = std::make_shared<const Metadata>(member, Content{Recipe::literal(fixed.text()), {}, false}, false);
  const Ptr<ArrayIndex> said = probe.metadata->index();
  for (const std::size_t i : said->below(ArrayIndex::kTop)) {
    const ArrayIndex::Entry& entry = (*said)[i];
    if (!entry.is_array) continue;
    bool sound = state.members.find(entry.member) == state.members.end();
    try {
      array_data(probe, *said, i);
    } catch (const Error&) {
      sound = false;
    }
    if (!sound) fixed.erase(said->keys(i));
  }
  if (state.exists) return fixed.text();

  // What waits takes the place of whatever the text has there: directories before the arrays in them.
  const std::string waiting = state.metadata->document()->text();
  const IndexText source(waiting);
  const Ptr<ArrayIndex> waits = state.metadata->index();
  for (const std::size_t i : waits->below(ArrayIndex::kTop)) {
    if (i == ArrayIndex::kTop) continue;
    const Keys keys = waits->keys(i);
    const bool directory = !(*waits)[i].is_array;
    const ArrayIndex now(fixed.text());
    std::size_t there = ArrayIndex::kTop;
    for (std::size_t k = 0; k < keys.size(); ++k) {
      const auto& children = now[there].children;
      const auto found =
          std::find_if(children.begin(), children.end(), [&](std::size_t c) { return now[c].key == keys[k]; });
      there = found == children.end() ? ArrayIndex::kTop : *found;
      if (there == ArrayIndex::kTop) break;
    }
    if (directory && there != ArrayIndex::kTop && !now[there].is_array) continue;
    fixed.set(keys, directory ? "{}" : source.literal(keys));
  }
  return fixed.text();
}

/// What `get` gives; null when the document is broken: then whatever is good may replace it.
template <class Get>
auto unless_broken(const Get& get) -> decltype(get()) {
  try {
    return get();
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt) throw;
    return nullptr;
  }
}

State write(const State& state, const Op& op) {
  const std::string written = op.content.text(kMaxDocument, kPlace);
  json::validate(written, kPlace);
  if (json::type_at(written, json::root(written)) != json::Type::object)
    throw Error(Errc::rejected, std::string(kPlace) + ": expected a JSON object: the metadata of anemoi is a dict");

  const auto old = unless_broken([&] { return state.metadata->document(); });
  if (state.exists && old && !has_version(written) && has_version(old->text()))
    throw Error(Errc::rejected, std::string(kPlace) + ": must have a key 'version', as the old one has");
  const Ptr<ArrayIndex> right = old ? unless_broken([&] { return state.metadata->index(); }) : nullptr;
  std::string member = state.metadata->member(), text;
  if (!state.exists) member = state.archive->new_folder() + "/" + state.archive->new_name();
  if (state.exists && right) text = with_index_of(old->text(), *right, written);
  else text = with_sound_index(state, member, written, !state.exists);

  State next = state;
  next.exists = true;
  next.touched.clear();
  if (text != written) ++next.corrections;
  auto document = std::make_shared<const Document>(std::move(text), kPlace, op.mtime.value_or(std::timespec{}), true);
  next.metadata = std::make_shared<const Metadata>(std::move(member), std::move(document), op);
  return next;
}

State remove(const State& state) {
  if (!state.exists) throw Error(Errc::not_found, std::string(kPlace) + ": there is none");
  State next = state;
  // What was written under the index that goes now has no place any more; what it removed stays removed.
  for (auto it = next.members.begin(); it != next.members.end();)
    it = it->second ? next.members.erase(it) : std::next(it);
  if (state.options.remove_all && unless_broken([&] { return state.metadata->index(); }))
    for (const auto& [member, count] : state.metadata->index()->references())
      if (is_own_member(state, member)) drop_member(next, member);
  next.exists = false;
  next.touched.clear();
  next.metadata =
      std::make_shared<const Metadata>("", Content{Recipe::literal("{}"), state.archive->mtime(), false}, true);
  return next;
}

}  // namespace

std::optional<Node> show_metadata(const State& state, const Match&) {
  if (!state.exists && state.archive->metadata().size() < 2) return std::nullopt;
  Node node;
  node.content = state.metadata->content().recipe;
  node.mtime = state.metadata->mtime();
  node.saving = state.exists && state.writable() ? Node::Saving::whole : Node::Saving::none;
  return node;
}

std::optional<Node> vacant_metadata(const State& state, const Match&) {
  if (!state.writable()) return std::nullopt;
  Node node;
  node.saving = Node::Saving::whole;
  return node;
}

State edit_metadata(const State& state, const Match&, const Op& op) {
  refuse_if_not_editable(state, op);
  switch (op.kind) {
    case Op::Kind::write: return write(state, op);
    case Op::Kind::remove:
    case Op::Kind::remove_tree: return remove(state);
    case Op::Kind::make_dir: throw Error(Errc::immutable, std::string(kPlace) + ": is a document, not a directory");
    case Op::Kind::rename:
    case Op::Kind::exchange: break;
  }
  throw Error(Errc::immutable,
              std::string(kPlace) + ": cannot be renamed; its place in the archive is in metadata.path");
}

std::optional<Node> show_metadata_path(const State& state, const Match&) {
  std::string text;
  if (state.exists) {
    text = state.metadata->member() + "\n";
  } else if (state.archive->metadata().size() > 1) {
    for (const std::string& member : state.archive->metadata()) text += member + "\n";
  } else {
    return std::nullopt;
  }
  Node node;
  node.content = Recipe::literal(std::move(text));
  node.mtime = state.metadata->mtime();
  return node;
}

}  // namespace ckptree::torch
