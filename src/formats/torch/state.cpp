#include "formats/torch/state.hpp"

#include <ctime>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"

namespace ckptree::torch {
namespace {

constexpr char kPlace[] = "metadata.json";

/// The sentence for a checkpoint with several metadata members; empty when it has not.
std::string ambiguity(const Archive& archive) {
  if (archive.metadata().size() < 2) return {};
  return std::string(kPlace) + ": the archive has " + std::to_string(archive.metadata().size()) +
         " members of that name; metadata.path lists them";
}

}  // namespace

Metadata::Metadata(std::string member, Content content, bool writable)
    : member_(std::move(member)), time_(std::move(content)), writable_(writable) {}

Metadata::Metadata(std::string member, std::shared_ptr<const Document> document, const Op& op)
    : member_(std::move(member)), time_(edited_content({}, op)), edited_(std::move(document)) {}

Content Metadata::content() const {
  if (!edited_) return time_;
  // Only now: of a thousand edits of values only the last text is looked at as a whole.
  const auto recipe = edited_content_.get([&] {
    auto text = std::make_shared<Recipe>(Recipe::literal(edited_->text()));
    text->tag = member_tag(*text);
    return text;
  });
  return {*recipe, time_.mtime, time_.explicit_time};
}

std::shared_ptr<const Document> Metadata::document() const {
  if (edited_) return edited_;
  return document_.get([&] {
    std::string text = time_.recipe.text(kMaxDocument, kPlace);
    try {
      return std::make_shared<const Document>(std::move(text), kPlace, time_.mtime, writable_);
    } catch (const Error& e) {
      if (e.code() != Errc::rejected && e.code() != Errc::incomplete) throw;
      throw Error(Errc::corrupt, "the stored document is broken: " + std::string(e.what()));
    }
  });
}

Ptr<ArrayIndex> Metadata::index() const {
  return index_.get([&] { return std::make_shared<const ArrayIndex>(document()->text()); });
}

State initial_state(Ptr<Archive> archive, const ViewOptions& options) {
  State state;
  state.options = options;
  const auto& names = archive->metadata();
  state.exists = names.size() == 1;
  Content content;
  std::string member;
  if (names.empty()) {
    content.recipe = Recipe::literal("{}");
    content.mtime = archive->mtime();
  } else if (names.size() > 1) {
    content.recipe = failing_content(Errc::ambiguous, ambiguity(*archive));
    content.mtime = archive->mtime();
  } else {
    member = names.front();
    const zip::Member& stored = *archive->zip().find(member);
    content.recipe = content_or_failure([&] { return checked_content(archive, stored); });
    content.mtime = archive->zip().mtime(stored);
  }
  state.metadata = std::make_shared<const Metadata>(std::move(member), std::move(content), !options.read_only);
  state.pickled = std::make_shared<const Pickled>(archive);
  state.archive = std::move(archive);
  return state;
}

void refuse_if_not_editable(const State& state, const Op& op) {
  if (state.options.read_only) throw Error(Errc::read_only, to_string(op.path) + ": the view is read-only");
  const std::string several = ambiguity(*state.archive);
  if (!several.empty()) throw Error(Errc::ambiguous, several);
}

Content edited_content(Recipe recipe, const Op& op) {
  Content content{std::move(recipe), {}, op.mtime.has_value()};
  if (op.mtime) content.mtime = *op.mtime;
  else ::clock_gettime(CLOCK_REALTIME, &content.mtime);
  return content;
}

}  // namespace ckptree::torch
