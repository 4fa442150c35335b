#include "formats/torch/format.hpp"

#include "ckptree/error.hpp"
#include "formats/torch/rows.hpp"
#include "formats/torch/seal.hpp"

namespace ckptree {
namespace torch {
namespace {

const State& state_of(const Model& model) {
  // Models of a mount come from the format that opened it.
  return dynamic_cast<const TorchModel&>(model).state();
}

Change change_of(const Content& content, const Stamp& stamp) {
  return {content.recipe, content.explicit_time ? content.mtime : stamp.time};
}

/// Whether a member of the archive has these bytes already. One that cannot be read has not.
bool is_stored(const Archive& archive, const std::string& member, const Recipe& content) {
  const zip::Member* stored = archive.zip().find(member);
  if (!stored || stored->size != content.size()) return false;
  Recipe old;
  try {
    old = archive.zip().content(*stored);
    return same_bytes(old, content);
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt && e.code() != Errc::unsupported) throw;
    return false;
  }
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Step step(Step::Kind kind, const std::string& path) {
  Step s{};
  s.kind = kind;
  s.path = path;
  return s;
}

class TorchFormat final : public Format {
 public:
  const char* kind() const override { return "torch"; }
  bool claims(const Source& source) const override { return is_of_torch(source); }

  Ptr<Model> open(Ptr<Source> source, const ViewOptions& options) const override {
    return std::make_shared<TorchModel>(initial_state(std::make_shared<const Archive>(*source, options), options));
  }

  ChangeSet seal(const Model& base, const Model& edited, const Stamp& stamp) const override {
    const State& old = state_of(base);
    const State& now = state_of(edited);
    const Archive& archive = *old.archive;
    ChangeSet changes;
    for (const auto& [member, content] : now.members) {
      if (!content) {
        if (archive.zip().find(member)) changes[member] = std::nullopt;
      } else if (now.exists && !is_stored(archive, member, content->recipe)) {
        changes[member] = change_of(*content, stamp);
      }
    }
    const bool moved = old.exists && (!now.exists || now.metadata->member() != old.metadata->member());
    if (moved) changes[old.metadata->member()] = std::nullopt;
    // Until it was edited it is the same object.
    if (now.exists && now.metadata != old.metadata) {
      const Content content = now.metadata->content();
      if (!is_stored(archive, now.metadata->member(), content.recipe))
        changes[now.metadata->member()] = change_of(content, stamp);
    }
    if (now.pickled != old.pickled) changes.merge(seal_pickle(*old.pickled, *now.pickled, stamp));
    return changes;
  }

  Plan plan(const Model& base, const Source& source, const ChangeSet& changes, const Medium& medium) const override {
    const State& state = state_of(base);
    const auto archive = state.archive;
    const auto rewrite = std::make_shared<const zip::Rewrite>(zip::rewrite(archive->zip(), changes, archive->rules()));

    // 1. a clone beside the checkpoint  2. its end, rewritten  3. synced, with the attributes of the old one
    // 4. read back  5. renamed over the old one  6. the directory synced.
    // A crash before 5 leaves the old checkpoint and a temporary to sweep; after 5 the new one. 6 makes the choice
    // survive power loss.
    Plan plan;
    plan.target = source.path();
    plan.temporary = medium.temporary;
    const auto add = [&](Step s) { plan.steps.push_back(std::move(s)); };
    Step clone = step(Step::Kind::clone, plan.temporary);
    clone.from = plan.target;
    clone.size = rewrite->keep;
    add(std::move(clone));
    for (const zip::Rewrite::Piece& piece : rewrite->pieces) {
      Step write = step(Step::Kind::write, plan.temporary);
      write.at = piece.at;
      write.content = piece.content;
      plan.bytes_written += piece.content.size();
      add(std::move(write));
    }
    Step truncate = step(Step::Kind::truncate, plan.temporary);
    truncate.size = rewrite->size;
    add(std::move(truncate));
    Step attributes = step(Step::Kind::copy_attributes, plan.temporary);
    attributes.from = plan.target;
    add(std::move(attributes));
    add(step(Step::Kind::sync, plan.temporary));
    Step verify = step(Step::Kind::verify, plan.temporary);
    verify.check = [archive, changes, rewrite](const Ptr<File>& fresh) {
      zip::check(fresh, archive->zip(), changes, *rewrite);
    };
    add(std::move(verify));
    Step rename = step(Step::Kind::rename, plan.target);
    rename.from = plan.temporary;
    add(std::move(rename));
    add(step(Step::Kind::sync_dir, directory_of(plan.target)));
    return plan;
  }

  std::string layout(const Model& model) const override { return zip::describe(state_of(model).archive->zip()); }
};

}  // namespace
}  // namespace torch

const Format& torch_format() {
  static const torch::TorchFormat format;
  return format;
}

}  // namespace ckptree
