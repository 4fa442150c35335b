// Edits of custom_metadata, and how they become durable.

#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "formats/orbax/state.hpp"
#include "formats/orbax/view.hpp"

namespace ckptree::orbax {
namespace {

// Every load of Orbax reads it, and its parser is Python's, which recurses.
constexpr std::uint64_t kMaxCustom = std::uint64_t{1} << 20;
constexpr std::size_t kMaxNesting = 64;

std::size_t nesting_of(Bytes valid_text) {
  std::size_t depth = 0, deepest = 0;
  bool inside = false;  // of a string
  for (std::size_t i = 0; i < valid_text.size(); ++i) {
    const char c = valid_text[i];
    if (inside && c == '\\') ++i;
    else if (c == '"') inside = !inside;
    else if (!inside && (c == '{' || c == '[')) deepest = std::max(deepest, ++depth);
    else if (!inside && (c == '}' || c == ']')) --depth;
  }
  return deepest;
}

void refuse_if_not_editable(const State& state, const Op& op) {
  const std::string place = to_string(op.path);
  if (state.options.read_only) throw Error(Errc::read_only, place + ": is mounted read-only");
  if (!state.stored->deletion.empty()) throw Error(Errc::busy, state.stored->deletion);
  if (!state.stored->finished) throw Error(Errc::immutable, place + ": the checkpoint is not finished");
  if (!state.stored->metadata.editable)
    throw Error(Errc::immutable, place + ": cannot be stored: " +
                                     (state.stored->metadata.problem.empty() ? "the checkpoint has no file for it"
                                                                             : state.stored->metadata.problem));
}

/// The state with another document, if Orbax reads what it becomes.
State with_document(const State& state, std::shared_ptr<const Document> document) {
  const std::string& text = document->text();
  if (!View::of(text).is_object()) throw Error(Errc::rejected, std::string(kCustomFile) + ": expected a JSON object");
  if (text.size() > kMaxCustom)
    throw Error(Errc::too_large, std::string(kCustomFile) + ": has " + std::to_string(text.size()) +
                                     " bytes, at most 1 MiB can be stored");
  if (nesting_of(text) > kMaxNesting)
    throw Error(Errc::rejected, std::string(kCustomFile) + ": is nested over 64 levels deep");
  State next = state;
  next.custom = std::move(document);
  return next;
}

Step step(Step::Kind kind, const std::string& path, const std::string& from = "") {
  Step s{};
  s.kind = kind;
  s.path = path;
  s.from = from;
  return s;
}

}  // namespace

State edit_custom(const State& state, const Match&, const Op& op) {
  refuse_if_not_editable(state, op);
  if (op.kind != Op::Kind::write)
    throw Error(Errc::immutable, std::string(kCustomFile) + ": is part of the checkpoint; write {} to empty it");
  return with_document(state, std::make_shared<const Document>(op.content.text(kMaxCustom, kCustomFile), kCustomFile,
                                                               op.mtime.value_or(std::timespec{}), true));
}

State edit_custom_value(const State& state, const Match& match, const Op& op) {
  refuse_if_not_editable(state, op);
  const std::string place = to_string(op.path);
  if (match.names.empty()) throw Error(Errc::immutable, place + ": is the document itself; edit custom_metadata.json");
  const bool moves = op.kind == Op::Kind::rename || op.kind == Op::Kind::exchange;
  if (moves && (op.to.size() < 2 || op.to.front() != op.path.front()))
    throw Error(Errc::immutable, place + ": a value can only be moved within custom_metadata/");
  return with_document(state, state.custom->apply(op, 1));
}

std::optional<Node> vacant_custom_value(const State& state, const Match& match) {
  return state.writable() ? state.custom->vacant(match.names) : std::nullopt;
}

ChangeSet seal(const State& base, const State& edited, const std::string& file, const Stamp& stamp) {
  ChangeSet changes;
  const std::string& custom = edited.custom->text();
  if (custom == base.custom->text()) return changes;
  const StepMetadata& before = base.stored->metadata;
  std::string text = before.with_custom(custom);
  const StepMetadata after = StepMetadata::read(before.kind, text, file);
  if (!after.editable || after.others() != before.others())
    throw Error(Errc::rejected, file + ": " + (after.problem.empty() ? "would change beside it" : after.problem));
  changes[file] = Change{Recipe::literal(std::move(text)), stamp.time};
  return changes;
}

// 1. A sibling gets the new bytes, owner and mode of the old file, and is synced: a file whose name begins with a dot,
//    which Orbax does not see; a directory would be a checkpointable.
// 2. It is renamed over the old one: the commit point. A crash up to here leaves the old file and a sibling to sweep.
// 3. The directory gets its time back: of a checkpoint without a time of its commit Orbax takes that, to decide what it
//    keeps. The directory is synced, so that the choice survives power loss.
Plan plan(const ChangeSet& changes, const Medium& medium) {
  const auto& change = changes.begin()->second;
  const std::string& target = medium.target;
  const std::string directory = target.substr(0, target.rfind('/'));
  const std::string& fresh = medium.temporary;
  Plan plan;
  plan.target = target;
  plan.lock = directory;
  plan.temporary = fresh;
  plan.bytes_written = change->content.size();
  plan.steps.push_back(step(Step::Kind::clone, fresh));
  Step write = step(Step::Kind::write, fresh);
  write.content = change->content;
  plan.steps.push_back(std::move(write));
  plan.steps.push_back(step(Step::Kind::copy_attributes, fresh, target));
  plan.steps.push_back(step(Step::Kind::sync, fresh));
  plan.steps.push_back(step(Step::Kind::rename, target, fresh));
  plan.steps.push_back(step(Step::Kind::restore_time, directory));
  plan.steps.push_back(step(Step::Kind::sync_dir, directory));
  return plan;
}

}  // namespace ckptree::orbax
