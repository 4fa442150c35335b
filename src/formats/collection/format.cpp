#include "formats/collection/format.hpp"

#include <cerrno>
#include <system_error>

#include "ckptree/error.hpp"
#include "codec/plain_path.hpp"

namespace ckptree {
namespace {

bool is_no_directory(const std::system_error& e) {
  const int error = e.code().value();
  return error == ENOTDIR || error == ENOENT || error == ELOOP;
}

// So long are names that were cut. They do not tell their keys: only those there are can be compared with one.
constexpr std::size_t kMayBeCut = 240;

std::string below(const std::string& above, const std::string& key) { return above.empty() ? key : above + "/" + key; }

/// Holds nothing: folders are read when they are asked for.
class Collection final : public Model {
 public:
  Collection(Ptr<Source> source, const ViewOptions& options) : source_(std::move(source)), options_(options) {}

  std::optional<Node> find(const TreePath& path) const override {
    if (path.empty()) return folder();
    std::string place;
    for (const std::string& name : path) {
      if (!place.empty() && is_checkpoint(place)) return std::nullopt;  // below a checkpoint nothing is ours
      const auto key = key_in(place, name);
      if (!key) return std::nullopt;
      place = below(place, *key);
    }
    return node_at(place);
  }

  void list(const TreePath& path, const std::function<bool(const std::string&, const Node&)>& each) const override {
    std::string place;
    for (const std::string& name : path) {
      const auto key = key_in(place, name);
      if (!key) throw Error(Errc::not_found, to_string(path) + ": no such directory");
      place = below(place, *key);
    }
    for (const std::string& key : names_in(place)) {
      if (key.front() == '.') continue;  // temporaries, and whatever its owner hides
      const auto node = node_at(below(place, key));
      if (node && !each(file_name_of(key).text, *node)) return;
    }
  }

  std::optional<Node> vacant(const TreePath&) const override { return std::nullopt; }

  Ptr<Model> apply(const Op& op) const override {
    throw Error(Errc::immutable, to_string(op.path) + ": a collection is edited where it is stored");
  }

 private:
  /// @throws Error in words, for what cannot be looked into
  Names names_in(const std::string& place) const {
    try {
      return source_->list(place);
    } catch (const std::system_error& e) {
      const std::string shown = place.empty() ? source_->path() : place;
      if (e.code().value() == EACCES) throw Error(Errc::no_permission, shown + ": no permission to read it");
      if (is_no_directory(e)) throw Error(Errc::not_found, shown + ": no such directory");
      throw;
    }
  }

  /// What is shown under a name in a folder, which may not exist; nothing when nothing can be.
  std::optional<std::string> key_in(const std::string& place, const std::string& name) const {
    if (name.size() >= kMayBeCut) {
      for (const std::string& there : names_in(place))
        if (file_name_of(there).text == name) return there;
      return std::nullopt;
    }
    const std::string key = key_of(name);
    if (!is_plain_name(key)) return std::nullopt;
    // As it is shown, or as it is: what a dot hides is found by it.
    if (file_name_of(key).text != name && key != name) return std::nullopt;
    return key;
  }

  static Node folder() {
    Node node;
    node.kind = Node::Kind::directory;
    return node;
  }

  std::string real(const std::string& place) const { return source_->path() + "/" + place; }
  bool is_checkpoint(const std::string& place) const {
    return options_.is_checkpoint && options_.is_checkpoint(real(place));
  }

  std::optional<Node> node_at(const std::string& place) const {
    if (is_checkpoint(place)) {
      Node node = folder();
      node.kind = Node::Kind::nested;
      const auto open = options_.open_nested;
      if (open) node.open_nested = [open, path = real(place)] { return open(path); };
      return node;
    }
    try {
      source_->list(place);
    } catch (const std::system_error& e) {
      if (is_no_directory(e)) return std::nullopt;  // a file that is no checkpoint
      if (e.code().value() != EACCES) throw;        // there, and who looks into it is told
    }
    return folder();
  }

  const Ptr<Source> source_;
  const ViewOptions options_;
};

class CollectionFormat final : public Format {
 public:
  const char* kind() const override { return "collection"; }
  bool claims(const Source& source) const override { return source.is_directory(); }
  Ptr<Model> open(Ptr<Source> source, const ViewOptions& options) const override {
    if (!source->is_directory()) throw Error(Errc::not_a_checkpoint, source->path() + ": expected a directory");
    source->list("");  // one that may not be read is told so now, not taken for an empty one
    return std::make_shared<Collection>(std::move(source), options);
  }
  ChangeSet seal(const Model&, const Model&, const Stamp&) const override { return {}; }
  Plan plan(const Model&, const Source&, const ChangeSet&, const Medium&) const override { return {}; }
  std::string layout(const Model&) const override { return "folders"; }
};

}  // namespace

const Format& collection_format() {
  static const CollectionFormat format;
  return format;
}

}  // namespace ckptree
