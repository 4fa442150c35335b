// Edits below migrations/registered/.

#include "ckptree/error.hpp"
#include "formats/torch/migrations.hpp"
#include "formats/torch/object_place.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {
namespace {

// A name, two versions and a signature.
constexpr std::uint64_t kMaxText = 1 << 20;

const Registered* find(const std::optional<std::vector<Registered>>& all, const std::string& file_name) {
  if (all)
    for (const Registered& one : *all)
      if (file_name_of(one.what.name).text == file_name) return &one;
  return nullptr;
}

}  // namespace

State edit_migration(const State& state, const Match& match, const Op& op) {
  const std::string place = to_string(op.path);
  if (const auto why = why_not_editable(state)) throw Error(why->code(), place + ": " + why->what());
  if (match.names.size() != 2) throw Error(Errc::immutable, place + ": only migrations/registered/ can be edited");
  const auto all = registered_in(state.pickled->graph());
  const Registered* old = find(all, match.names[1]);
  pickle::Editor edit(state.pickled->graph());
  if (op.kind == Op::Kind::write) {
    const Migration wanted = migration_of(op.content.text(kMaxText, place), place);
    if (file_name_of(wanted.name).text != match.names[1])
      throw Error(Errc::rejected, place + ": expected the same \"name\" in it, got '" + wanted.name + "'");
    if (old) replace_migration(edit, *old, wanted);
    else register_migration(edit, wanted, place);
  } else if (op.kind == Op::Kind::remove) {
    if (!old) throw Error(Errc::not_found, place + ": is not registered");
    edit.erase(old->item);
  } else {
    throw Error(Errc::immutable, place + ": migrations are registered by writing, and unregistered by rm");
  }
  State next = state;
  next.pickled = std::make_shared<const Pickled>(*state.pickled, std::move(edit).finish());
  return next;
}

}  // namespace ckptree::torch
