#include "formats/torch/pickled.hpp"

#include "ckptree/error.hpp"
#include "codec/pickle/limits.hpp"
#include "formats/torch/imports.hpp"
#include "formats/torch/object_names.hpp"
#include "formats/torch/survey.hpp"
#include "formats/torch/tensors.hpp"

namespace ckptree::torch {

Pickled::Pickled(Ptr<Archive> archive)
    : archive_(std::move(archive)), mtime_(archive_->zip().mtime(archive_->pickle_member())) {}

Pickled::Pickled(const Pickled& base, pickle::Graph edited, Keep keep)
    : archive_(base.archive_), mtime_(base.mtime_), stored_(base.stored_ ? base.stored_ : base.shared_from_this()) {
  const auto graph = std::make_shared<const pickle::Graph>(std::move(edited));
  graph_.get([&] { return graph; });
  before_ = base.survey_.made();
  if (!before_) before_ = base.before_;
  if (keep != Keep::nothing) survey_.get([&] { return base.survey(); });
  if (keep == Keep::names) names_.get([&] { return base.names(); });
}

Pickled::Pickled(const Pickled& base, pickle::Graph edited, Keep keep, std::shared_ptr<const Tensors> tensors)
    : Pickled(base, std::move(edited), keep) {
  tensors_.get([&] { return std::move(tensors); });
}

Pickled::~Pickled() = default;

const pickle::Graph& Pickled::graph() const {
  return *graph_.get([&] {
    const std::string place = archive_->name() + ": data.pkl";
    // pickle::decode refuses longer ones; this is told before a byte of it is read.
    const std::uint64_t size = archive_->pickle_member().size;
    if (size > pickle::kMaxPickle)
      throw Error(Errc::too_large, place + ": has " + std::to_string(size) + " bytes, at most " +
                                       std::to_string(pickle::kMaxPickle) + " are read");
    std::string bytes = archive_->pickle_content().text(pickle::kMaxPickle, place);
    return std::make_shared<const pickle::Graph>(pickle::decode(std::move(bytes), place));
  });
}

const std::string& Pickled::obstacle() const {
  if (stored_) return stored_->obstacle();
  return *obstacle_.get(
      [&] { return std::make_shared<const std::string>(pickle::why_not_editable(graph()).value_or(std::string())); });
}

std::shared_ptr<const Survey> Pickled::survey() const {
  return survey_.get([&] { return std::make_shared<const Survey>(graph(), before_.get()); });
}

std::shared_ptr<const ObjectNames> Pickled::names() const {
  return names_.get([&] { return std::make_shared<const ObjectNames>(graph(), survey()); });
}

std::shared_ptr<const Imports> Pickled::imports() const {
  return imports_.get([&] { return std::make_shared<const Imports>(graph()); });
}

}  // namespace ckptree::torch
