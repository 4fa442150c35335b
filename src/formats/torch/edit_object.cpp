// Edits below object/.

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "ckptree/error.hpp"
#include "formats/torch/literal.hpp"
#include "formats/torch/object_place.hpp"
#include "formats/torch/object_value.hpp"

namespace ckptree::torch {
namespace {

using pickle::Editor;
using pickle::Entries;
using pickle::Entry;
using pickle::Graph;
using pickle::Id;
using pickle::Kind;
using pickle::kNone;
using Keep = Pickled::Keep;

constexpr std::uint64_t kMaxText = 256u << 20;  // a value is a part of a pickle, which has 1 GiB at most

/// To Python 1, 1.0 and True are one key of a dict.
std::string as_hashed(const std::string& literal) {
  if (literal == "True") return "1";
  if (literal == "False" || literal == "-0.0") return "0";
  const std::size_t point = literal.size() < 2 ? 0 : literal.size() - 2;
  return literal.substr(point) == ".0" ? literal.substr(0, point) : literal;
}

/// One edit: finds the places, and makes the next state from this one.
class Edit {
 public:
  Edit(const State& state, const Op& op)
      : state_(state), op_(op), graph_(state.pickled->graph()), edit_(graph_), names_(below(op.path)) {}

  State run() {
    switch (op_.kind) {
      case Op::Kind::write: return write();
      case Op::Kind::make_dir: return make_dir();
      case Op::Kind::remove:
      case Op::Kind::remove_tree: return remove();
      case Op::Kind::rename: return rename();
      case Op::Kind::exchange: return exchange();
    }
    return state_;
  }

 private:
  static TreePath below(const TreePath& path) { return TreePath(path.begin() + 1, path.end()); }

  State done(Keep keep) {
    State next = state_;
    next.pickled = std::make_shared<const Pickled>(*state_.pickled, std::move(edit_).finish(), keep);
    return next;
  }

  ObjectPlace existing(const TreePath& names, const TreePath& shown) const {
    auto place = object_at(state_, names);
    if (!place) throw Error(Errc::not_found, to_string(shown) + ": no such entry");
    return *std::move(place);
  }

  /// A directory that an entry is in, or could be.
  ObjectPlace parent_of(const TreePath& names, const TreePath& shown) const {
    const std::string place = to_string(TreePath(shown.begin(), shown.end() - 1));
    auto parent = object_at(state_, TreePath(names.begin(), names.end() - 1));
    if (!parent) throw Error(Errc::not_found, place + ": no such directory");
    if (parent->view.look != Look::directory || is_link(state_, *parent))
      throw Error(Errc::not_directory, place + ": not a directory");
    return *std::move(parent);
  }

  Id make_key(const NewKey& key) {
    switch (key.kind) {
      case NewKey::Kind::none: return edit_.none();
      case NewKey::Kind::boolean: return edit_.boolean(key.text == "True");
      case NewKey::Kind::integer: return edit_.integer(Bytes(key.text));
      case NewKey::Kind::real: return edit_.real(std::strtod(key.text.c_str(), nullptr));
      case NewKey::Kind::text: break;
    }
    return edit_.text(key.text);
  }

  static NewKey key_named(const TreePath& path) {
    const auto key = key_of_name(path.back());
    if (!key) throw Error(Errc::invalid, to_string(path) + ": not how the name of a key is spelled");
    return *key;
  }

  /// An array and something else may have one key, under two names.
  /// @param but  the one whose key may be `key`; may be null
  void refuse_known(const ObjectNames::Directory& directory, const NewKey& key, const ObjectNames::Named* but,
                    const TreePath& path) const {
    const bool literal = key.kind != NewKey::Kind::text;
    for (const ObjectNames::Named& named : directory.entries())
      if (&named != but && named.child.is_literal() == literal && named.child.part != Part::derived &&
          graph_.at(named.child.slot) != kNone &&
          (literal ? as_hashed(named.child.literal) == as_hashed(key.text) : named.child.key_text(graph_) == key.text))
        throw Error(Errc::exists, to_string(path) + ": the same key is there already, as " + named.name);
  }

  /// Puts a new entry into a directory.
  void add(const ObjectPlace& parent, const TreePath& path, Id value) {
    const Holder holder = holder_of(state_, parent.view);
    const std::string place = to_string(path);
    if (parent.view.typed) throw Error(Errc::immutable, place + ": OmegaConf wraps its values, none can be added");
    const auto known = state_.pickled->names()->in(parent.view);
    switch (holder.kind) {
      case Holder::Kind::none: throw Error(Errc::immutable, place + ": nothing can be added to this object");
      case Holder::Kind::list: {
        const std::size_t next = next_item(state_, *known);
        if (index_of(path.back()) != next)
          throw Error(Errc::invalid, place + ": the next item of this list is " + std::to_string(next));
        return edit_.append(holder.id, value);
      }
      case Holder::Kind::dict: {
        const NewKey key = key_named(path);
        refuse_known(*known, key, nullptr, path);
        return edit_.insert(holder.id, make_key(key), value);
      }
    }
  }

  State write() {
    const std::string place = to_string(op_.path);
    const std::string text = op_.content.text(kMaxText, place);
    const auto at = object_at(state_, names_);
    if (!at) {
      const ObjectPlace parent = parent_of(names_, op_.path);
      if (stem_of_array(op_.path.back()))
        throw Error(Errc::immutable, place + ": arrays below object/ can only be shown, renamed and removed");
      add(parent, op_.path, make_value(edit_, new_value(text, place).json, place));
      return done(Keep::survey);
    }
    switch (at->view.look) {
      case Look::scalar: {
        if (!write_scalar(edit_, at->view, text, place)) return state_;
        // A null that became a container has names that nobody has looked at.
        const bool scalar = view_at(edit_.graph(), at->view.slot).look == Look::scalar;
        return done(scalar ? Keep::names : Keep::survey);
      }
      case Look::list: return write_list(edit_, at->view, text, place) ? done(Keep::survey) : state_;
      case Look::directory:
        if (!is_link(state_, *at)) throw Error(Errc::is_directory, place + ": a directory");
        break;
      default: break;
    }
    throw Error(Errc::immutable, place + ": can only be shown; scalars and lists of them are edited");
  }

  State make_dir() {
    if (object_at(state_, names_)) throw Error(Errc::exists, to_string(op_.path) + ": exists");
    const ObjectPlace parent = parent_of(names_, op_.path);
    add(parent, op_.path, edit_.dict());
    return done(Keep::survey);
  }

  bool is_empty(const ObjectPlace& at, const TreePath& names) const {
    const auto directory = state_.pickled->names()->in(at.view);
    TreePath path = names;
    path.emplace_back();
    return std::none_of(directory->entries().begin(), directory->entries().end(), [&](const auto& named) {
      path.back() = named.name;
      return entry_at(state_, path, at.view, directory, named).has_value();
    });
  }

  /// Takes an entry out of its directory, and those of the same key that it hides.
  void erase(const ObjectPlace& at, const std::string& place) {
    const Child& child = at.named->child;
    if (child.part == Part::item) {
      const auto& all = at.directory->entries();
      const auto last = std::find_if(all.begin(), all.end(), [&](const ObjectNames::Named& n) {
        return n.child.part == Part::item && graph_.at(n.child.slot) != kNone;
      });
      if (&*last != at.named) throw Error(Errc::immutable, place + ": only the last item of a list can be removed");
      return edit_.erase(pickle::Item{graph_.at(child.at), child.at});
    }
    for (const Entry& entry : same_key(at)) edit_.erase(entry);
  }

  /// Entries of the key of one, itself the last.
  std::vector<Entry> same_key(const ObjectPlace& at) const {
    const Child& child = at.named->child;
    std::vector<Entry> same;
    const auto look_in = [&](Id dict) {
      Entries entries(graph_, dict);
      for (Entry e; entries.next(e);) {
        if (e.at == child.at || (graph_.kind(e.key) != Kind::text) != child.is_literal()) continue;
        const bool is_same = child.is_literal() ? literal_of(graph_, e.key) == child.literal
                                                : graph_.text(e.key) == child.key_text(graph_);
        if (is_same) same.push_back(e);
      }
    };
    if (child.hides) {
      look_in(at.parent.id);
      const Id attributes = attributes_of(graph_, at.parent.id);
      if (attributes != kNone && attributes != at.parent.id) look_in(attributes);
    }
    same.push_back({graph_.at(child.at), graph_.at(child.at + 1), child.at});
    return same;
  }

  /// What an edit that takes a thing from its place leaves of what is known.
  Keep keep_without(const ObjectPlace& at) const {
    const bool home = at.view.look == Look::directory && !is_link(state_, at);
    return home && state_.pickled->survey()->holds_shared(at.view.id) ? Keep::nothing : Keep::names;
  }

  void forget_parted(State& state) const {
    for (auto it = state.parted.lower_bound(op_.path); it != state.parted.end();) {
      if (it->size() < op_.path.size() || !std::equal(op_.path.begin(), op_.path.end(), it->begin())) break;
      it = state.parted.erase(it);
    }
  }

  /// Whether a dict has no other key. What was removed before stays among the names, without a value.
  bool is_last_key(const ObjectPlace& at) const {
    const auto& all = at.directory->entries();
    const auto is_key = [&](const ObjectNames::Named& n) {
      return n.child.part == Part::entry && !n.child.fixed && graph_.at(n.child.slot) != kNone;
    };
    return is_key(*at.named) && std::count_if(all.begin(), all.end(), is_key) == 1;
  }

  State remove() {
    const std::string place = to_string(op_.path);
    if (names_.empty()) throw Error(Errc::immutable, place + ": is the whole object");
    const ObjectPlace at = existing(names_, op_.path);
    const bool directory = at.view.look == Look::directory && !is_link(state_, at);
    if (directory && op_.kind == Op::Kind::remove && !is_empty(at, names_))
      throw Error(Errc::not_empty, place + ": not empty");
    if (names_.size() == 1 && is_last_key(at))
      throw Error(Errc::last_one, place + ": the last key of the object cannot be removed");
    State next = state_;
    if (at.named->child.fixed) {
      forget_parted(next);
      next.parted.insert(op_.path);
      return next;
    }
    erase(at, place);
    next = done(keep_without(at));
    forget_parted(next);
    return next;
  }

  static void refuse_inside(const TreePath& outer, const TreePath& inner) {
    if (inner.size() > outer.size() && std::equal(outer.begin(), outer.end(), inner.begin()))
      throw Error(Errc::invalid, to_string(outer) + ": cannot be moved below itself");
  }

  void refuse_fixed(const ObjectPlace& at, const TreePath& path) const {
    if (!at.named) throw Error(Errc::immutable, to_string(path) + ": is the whole object");
    if (at.named->child.fixed) throw Error(Errc::immutable, to_string(path) + ": a part of how the object is made");
    if (at.parent.typed)
      throw Error(Errc::immutable, to_string(path) + ": OmegaConf keeps names of its own; it cannot be moved");
  }

  State rename() {
    const ObjectPlace from = existing(names_, op_.path);
    if (op_.to.size() < 2 || op_.to.front() != op_.path.front())
      throw Error(Errc::immutable, to_string(op_.path) + ": can only be moved within object/");
    if (op_.to == op_.path) return state_;
    refuse_fixed(from, op_.path);
    refuse_inside(op_.path, op_.to);
    const TreePath to = below(op_.to);
    if (object_at(state_, to)) throw Error(Errc::exists, to_string(op_.to) + ": exists");
    const ObjectPlace parent = parent_of(to, op_.to);
    const Look look = from.view.look;
    const bool named_elsewhere = look == Look::directory || look == Look::tensor;
    if (parent.view.id == from.parent.id) {
      if (from.named->child.part == Part::item)
        throw Error(Errc::invalid, to_string(op_.path) + ": an item of a list has no other name");
      const NewKey key = key_named(key_name(op_.to, look));
      refuse_known(*from.directory, key, from.named, op_.to);
      rename_key(from, key);
    } else {
      erase(from, to_string(op_.path));
      add(parent, key_name(op_.to, look), graph_.at(from.slot));
    }
    State next = done(named_elsewhere ? Keep::nothing : Keep::survey);
    forget_parted(next);
    return next;
  }

  /// The path with the name of the key: that of an array is without ".npy".
  static TreePath key_name(TreePath path, Look look) {
    if (look != Look::array) return path;
    const auto stem = stem_of_array(path.back());
    if (!stem) throw Error(Errc::invalid, to_string(path) + ": the name of an array ends in .npy");
    path.back() = *stem;
    return path;
  }

  void rename_key(const ObjectPlace& from, const NewKey& key) {
    const std::vector<Entry> same = same_key(from);
    const Id node = make_key(key);
    for (const Entry& entry : same)
      if (entry.at == from.named->child.at) edit_.replace(entry.key_slot(), node);
      else edit_.erase(entry);
  }

  State exchange() {
    const ObjectPlace one = existing(names_, op_.path);
    if (op_.to.size() < 2 || op_.to.front() != op_.path.front())
      throw Error(Errc::immutable, to_string(op_.path) + ": can only be moved within object/");
    const ObjectPlace two = existing(below(op_.to), op_.to);
    if (op_.to == op_.path) return state_;
    refuse_fixed(one, op_.path);
    refuse_fixed(two, op_.to);
    refuse_inside(op_.path, op_.to);
    refuse_inside(op_.to, op_.path);
    const Id first = graph_.at(one.slot), second = graph_.at(two.slot);
    edit_.replace(one.slot, second);
    edit_.replace(two.slot, first);
    return done(Keep::nothing);
  }

  const State& state_;
  const Op& op_;
  const Graph& graph_;
  Editor edit_;
  const TreePath names_;
};

}  // namespace

State edit_object(const State& state, const Match&, const Op& op) {
  if (const auto why = why_not_editable(state)) throw Error(why->code(), to_string(op.path) + ": " + why->what());
  return Edit(state, op).run();
}

}  // namespace ckptree::torch
