// Edits of names of tensors: the keys of a state dict.

#include <memory>
#include <string>
#include <utility>

#include "ckptree/error.hpp"
#include "codec/pickle/pickle.hpp"
#include "formats/torch/metadata_keys.hpp"
#include "formats/torch/object_place.hpp"
#include "formats/torch/pickled.hpp"
#include "formats/torch/state.hpp"
#include "formats/torch/tensors.hpp"

namespace ckptree::torch {
namespace {

using Index = Tensors::Index;
using Keep = Pickled::Keep;
using pickle::Editor;
using pickle::Entry;

/// One edit: finds the tensors, and makes the next state from this one.
class Edit {
 public:
  Edit(const State& state, const Op& op)
      : state_(state),
        op_(op),
        graph_(state.pickled->graph()),
        tensors_(state.pickled->tensors()),
        edit_(graph_),
        place_(to_string(op.path)) {}

  State run() {
    switch (op_.kind) {
      case Op::Kind::write:
      case Op::Kind::make_dir:
        throw Error(Errc::immutable, place_ + ": tells about a tensor; only its name can be changed, or it be removed");
      case Op::Kind::remove:
      case Op::Kind::remove_tree: return remove();
      case Op::Kind::rename: return rename();
      case Op::Kind::exchange: return exchange();
    }
    return state_;
  }

 private:
  Index existing(const TreePath& path) const {
    const std::string place = to_string(path);
    const auto i = path.size() == 2 && path.front() == "tensors" ? tensors_->find_file(path.back()) : std::nullopt;
    if (!i) throw Error(Errc::not_found, place + ": no such tensor");
    if (!tensors_->place(*i).renameable)
      throw Error(Errc::immutable,
                  place + ": is no key of a state dict; what is elsewhere in the object is edited below object/");
    return *i;
  }

  Entry entry_of(Index i) const {
    const pickle::Slot at = tensors_->place(i).entry;
    return {graph_.at(at), graph_.at(at + 1), at};
  }

  std::string new_key() const {
    const std::string place = to_string(op_.to);
    if (op_.to.size() != 2 || op_.to.front() != "tensors")
      throw Error(Errc::immutable, place_ + ": a tensor can only be moved within tensors/");
    std::string key = key_of(op_.to.back());
    const FileName spelled = file_name_of(key);
    if (spelled.cut || spelled.text != op_.to.back())
      throw Error(Errc::rejected, place + ": not how the name of a tensor is spelled; that would be " + spelled.text);
    return key;
  }

  State done(Keep keep, std::shared_ptr<const Tensors> (Tensors::*change)(pickle::Graph, Index) const, Index i) {
    pickle::Graph next = std::move(edit_).finish();
    return with(next, keep, ((*tensors_).*change)(next, i));
  }

  State with(const pickle::Graph& next, Keep keep, std::shared_ptr<const Tensors> tensors) const {
    State state = state_;
    state.pickled = tensors ? std::make_shared<const Pickled>(*state_.pickled, next, keep, std::move(tensors))
                            : std::make_shared<const Pickled>(*state_.pickled, next, keep);
    return state;
  }

  State remove() {
    const Index i = existing(op_.path);
    if (tensors_->size() == 1) throw Error(Errc::last_one, place_ + ": the last tensor cannot be removed");
    edit_.erase(entry_of(i));
    return done(Keep::names, &Tensors::removed, i);
  }

  State rename() {
    const Index i = existing(op_.path);
    const std::string key = new_key();
    const std::string& old = tensors_->name(i);
    if (key == old) return state_;
    if (tensors_->find(key)) throw Error(Errc::exists, to_string(op_.to) + ": exists already");
    if (pickle::find(graph_, state_.pickled->survey()->directory_of(tensors_->place(i), graph_), key))
      throw Error(Errc::exists,
                  to_string(op_.to) + ": is a key of the same dict already, of something that is no tensor");
    edit_.replace(entry_of(i).key_slot(), edit_.text(key));
    follow_prefixes(graph_, edit_, *tensors_, i, key);
    pickle::Graph next = std::move(edit_).finish();
    // Another one that is numbered because it has the same name is not, once that is free.
    const bool numbers_stay = !tensors_->find(old + ":2");
    return with(next, Keep::nothing, numbers_stay ? tensors_->renamed(next, i, key) : nullptr);
  }

  State exchange() {
    const Index one = existing(op_.path), other = existing(op_.to);
    if (one == other) return state_;
    edit_.replace(entry_of(one).key_slot(), entry_of(other).key);
    edit_.replace(entry_of(other).key_slot(), entry_of(one).key);
    pickle::Graph next = std::move(edit_).finish();
    return with(next, Keep::nothing, tensors_->exchanged(next, one, other));
  }

  const State& state_;  // the caller's
  const Op& op_;
  const pickle::Graph graph_;
  const std::shared_ptr<const Tensors> tensors_;
  Editor edit_;
  const std::string place_;
};

}  // namespace

State edit_tensor(const State& state, const Match& match, const Op& op) {
  const std::string place = to_string(op.path);
  if (const auto why = why_not_editable(state)) throw Error(why->code(), place + ": " + why->what());
  if (match.names.empty())
    throw Error(Errc::immutable, place + ": stays; its tensors are renamed and removed one by one");
  return Edit(state, op).run();
}

}  // namespace ckptree::torch
