#include <algorithm>

#include "ckptree/error.hpp"
#include "formats/document/state.hpp"
#include "formats/document/value_text.hpp"

namespace ckptree {

/// One edit of a document: finds the values, and makes the next state from this one.
class Document::Edit {
 public:
  Edit(const Ptr<State>& state, const Op& op, std::size_t depth)
      : state_(state), op_(op), depth_(depth), path_(below(op.path)), to_(below(op.to)) {}

  Ptr<State> run() {
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
  /// An entry of a directory, which may not be there.
  struct Spot {
    Directory directory;
    std::string name;
    std::string place;
    std::optional<std::uint32_t> entry;

    bool in_object() const { return directory.container->is_object(); }
    Shape shape() const { return directory.container->entries()[*entry].shape; }
    json::Extent value() const { return directory.value(*entry); }
  };

  TreePath below(const TreePath& path) const {
    if (path.size() < depth_) return {};
    return TreePath(path.begin() + static_cast<std::ptrdiff_t>(depth_), path.end());
  }

  Spot spot(const State& state, const TreePath& path, const TreePath& shown) const {
    Spot spot{state.top(), path.back(), to_string(shown), {}};
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
      if (state.enter(spot.directory, path[i])) continue;
      const auto last = shown.begin() + static_cast<std::ptrdiff_t>(depth_ + i + 1);
      const std::string place = to_string(TreePath(shown.begin(), last));
      if (spot.directory.container->find(state.bytes(spot.directory.at), path[i]))
        throw Error(Errc::not_directory, place + ": not a directory");
      throw Error(Errc::not_found, place + ": no such directory");
    }
    spot.entry = spot.directory.container->find(state.bytes(spot.directory.at), spot.name);
    return spot;
  }

  Spot existing(const TreePath& path, const TreePath& shown) const {
    if (path.empty()) throw Error(Errc::immutable, to_string(shown) + ": a document as a whole");
    Spot found = spot(*state_, path, shown);
    if (!found.entry) throw Error(Errc::not_found, found.place + ": no such value");
    return found;
  }

  Ptr<State> write() const {
    if (path_.empty()) throw Error(Errc::is_directory, to_string(op_.path) + ": a directory");
    const Spot at = spot(*state_, path_, op_.path);
    const std::string text = op_.content.text(UINT32_MAX, at.place);
    if (!at.entry) return add(*state_, at, new_value(text, at.place).json);
    if (is_directory(at.shape())) throw Error(Errc::is_directory, at.place + ": a directory");
    const Bytes old = state_->bytes(at.value());
    const Value value = replaced_value(old, at.shape(), text, at.place);
    if (value.json == old) return state_;
    auto changed = at.directory.container->with_value(*at.entry, value.json.size(), value.shape, nullptr);
    std::string all = json::splice(state_->text, at.value(), value.json);
    return next(*state_, at.directory, std::move(all), std::move(changed), value.json);
  }

  Ptr<State> make_dir() const {
    const Spot at = path_.empty() ? Spot{state_->top(), "", to_string(op_.path), 0} : spot(*state_, path_, op_.path);
    if (at.entry) throw Error(Errc::exists, at.place + ": exists");
    return add(*state_, at, "{}");
  }

  Ptr<State> remove() const {
    const Spot at = existing(path_, op_.path);
    const bool empty = !is_directory(at.shape()) || json::members(state_->text, at.value()).empty();
    if (op_.kind == Op::Kind::remove && !empty) throw Error(Errc::not_empty, at.place + ": not empty");
    return without(at);
  }

  Ptr<State> rename() const {
    const Spot from = existing(path_, op_.path);
    if (to_.empty()) throw Error(Errc::exists, to_string(op_.to) + ": exists");
    if (path_ == to_) return state_;
    refuse_inside(op_.path, op_.to);
    const Spot to = spot(*state_, to_, op_.to);
    if (to.entry) throw Error(Errc::exists, to.place + ": exists");
    if (from.directory.container == to.directory.container) return renamed(from, to);
    const std::string value(state_->bytes(from.value()));
    const Ptr<State> removed = without(from);
    return add(*removed, spot(*removed, to_, op_.to), value);
  }

  Ptr<State> exchange() const {
    const Spot one = existing(path_, op_.path), two = existing(to_, op_.to);
    if (path_ == to_) return state_;
    refuse_inside(op_.path, op_.to);
    refuse_inside(op_.to, op_.path);
    const bool in_order = one.value().begin < two.value().begin;
    const json::Extent first = in_order ? one.value() : two.value(), second = in_order ? two.value() : one.value();
    // The later one first: the other's place stays what it was.
    std::string text = json::splice(state_->text, second, state_->bytes(first));
    text = json::splice(text, first, state_->bytes(second));
    json::validate(text, state_->place);  // what moved may be too deep now
    return finished(*state_, std::move(text));
  }

  static void refuse_inside(const TreePath& outer, const TreePath& inner) {
    if (inner.size() > outer.size() && std::equal(outer.begin(), outer.end(), inner.begin()))
      throw Error(Errc::invalid, to_string(outer) + ": cannot be moved below itself");
  }

  static void refuse_many(std::size_t entries, const std::string& place) {
    // Each takes a walk over the text. json.dump writes none; this is more than a hand ever wrote.
    constexpr std::size_t kDuplicates = 64;
    if (entries > kDuplicates)
      throw Error(Errc::immutable, place + ": the document has " + std::to_string(entries) +
                                       " entries of this key, at most " + std::to_string(kDuplicates) +
                                       " are edited at once; edit the document itself");
  }

  /// A key in another spelling, where it stands: every entry of that key, so that an older one does not come to light.
  Ptr<State> renamed(const Spot& from, const Spot& to) const {
    if (!from.in_object()) throw Error(Errc::invalid, from.place + ": an item of a list has no other name");
    const std::string literal = literal_of(to);
    std::string text = state_->text;
    const auto same = from.directory.container->same_key(state_->bytes(from.directory.at), *from.entry);
    refuse_many(same.size(), from.place);
    for (auto i = same.rbegin(); i != same.rend(); ++i) {
      const Container::Entry& entry = from.directory.container->entries()[*i];
      const std::size_t key = from.directory.at.begin + entry.key;
      text = json::splice(text, {key, key + entry.key_size}, literal);
    }
    return reread(*state_, from.directory, std::move(text), "");
  }

  Ptr<State> without(const Spot& at) const {
    const Directory& directory = at.directory;
    if (!at.in_object() && *at.entry + 1 != directory.container->entries().size())
      throw Error(Errc::immutable, at.place + ": only the last item of a list can be removed");
    std::string text = state_->text;
    const auto same = directory.container->same_key(state_->bytes(directory.at), *at.entry);
    refuse_many(same.size(), at.place);
    for (auto i = same.rbegin(); i != same.rend(); ++i) {
      json::Extent container = directory.at;
      container.end -= state_->text.size() - text.size();
      text = json::remove(text, container, *i);
    }
    return reread(*state_, directory, std::move(text), "");
  }

  Ptr<State> add(const State& state, const Spot& at, const std::string& value) const {
    const Container& container = *at.directory.container;
    const std::size_t n = container.entries().size();
    if (!at.in_object() && !container.is_list())
      throw Error(Errc::invalid, at.place + ": the document is a single value, with no place for another");
    if (!at.in_object() && index_of(at.name) != n)
      throw Error(Errc::invalid, at.place + ": the next item of this list is " + std::to_string(n));
    const std::string key = at.in_object() ? literal_of(at) : "";
    return reread(state, at.directory, json::append(state.text, at.directory.at, key, value), value);
  }

  static std::string literal_of(const Spot& at) {
    auto literal = literal_of_name(at.name);
    if (!literal) throw Error(Errc::invalid, at.place + ": not how the name of a key is spelled");
    return *std::move(literal);
  }

  /// The state with another text, of which only `directory` differs.
  Ptr<State> reread(const State& state, const Directory& directory, std::string text, Bytes added) const {
    const json::Extent at{directory.at.begin, directory.at.end + text.size() - state.text.size()};
    auto container = std::make_shared<const Container>(text, at);
    return next(state, directory, std::move(text), std::move(container), added);
  }

  /// The state with another text, of which only `directory` differs, and is `changed` now.
  Ptr<State> next(const State& state, const Directory& directory, std::string text, Ptr<Container> changed,
                  Bytes added) const {
    // Only values with containers in them can be too deep: then, at the cost of a pass, look.
    const auto opened = std::count_if(added.begin(), added.end(), [](char c) { return c == '[' || c == '{'; });
    const std::size_t depth = directory.trail.size() + 1 + static_cast<std::size_t>(opened);
    if (depth > json::kMaxDepth) json::validate(text, state.place);
    const std::size_t by = text.size() - state.text.size();  // modulo 2^64
    std::size_t size = directory.at.size() + by;
    for (auto step = directory.trail.rbegin(); step != directory.trail.rend(); ++step) {
      const Shape shape = changed->shape();
      changed = step->container->with_value(step->entry, size, shape, std::move(changed));
      size = step->at.size() + by;
    }
    auto made = finished(state, std::move(text));
    made->top_container = std::move(changed);
    return made;
  }

  std::shared_ptr<State> finished(const State& state, std::string text) const {
    return std::make_shared<State>(std::move(text), state.place, op_.mtime.value_or(state.mtime), state.writable);
  }

  const Ptr<State> state_;
  const Op& op_;
  const std::size_t depth_;
  const TreePath path_, to_;
};

std::shared_ptr<const Document> Document::apply(const Op& op, std::size_t depth) const {
  if (!state_->writable) throw Error(Errc::immutable, to_string(op.path) + ": cannot be edited");
  return std::shared_ptr<const Document>(new Document(Edit(state_, op, depth).run()));
}

}  // namespace ckptree
