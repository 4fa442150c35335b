#include "formats/collection/format.hpp"

#include <cerrno>
#include <system_error>

#include "ckptree/error.hpp"

namespace ckptree {
namespace {

bool is_no_directory(const std::system_error& e) {
  const int error = e.code().value();
  return error == ENOTDIR || error == ENOENT || error == ELOOP || error == EACCES;
}

/// Holds nothing: folders are read when they are asked for.
class Collection final : public Model {
 public:
  Collection(Ptr<Source> source, const ViewOptions& options) : source_(std::move(source)), options_(options) {}

  std::optional<Node> find(const TreePath& path) const override {
    if (path.empty()) return folder();
    TreePath above;
    for (const std::string& name : path) {  // below a checkpoint nothing is ours
      if (!above.empty() && is_checkpoint(above)) return std::nullopt;
      above.push_back(name);
    }
    return node_of(path);
  }

  void list(const TreePath& path, const std::function<bool(const std::string&, const Node&)>& each) const override {
    Names names;
    try {
      names = source_->list(key_path(path));
    } catch (const std::system_error& e) {
      if (!is_no_directory(e)) throw;
      throw Error(Errc::not_found, to_string(path) + ": no such directory");
    }
    for (const std::string& name : names) {
      TreePath child = path;
      child.push_back(file_name_of(name).text);
      if (name.front() == '.') continue;  // temporaries, and whatever its owner hides
      const auto node = node_of(child);
      if (node && !each(child.back(), *node)) return;
    }
  }

  std::optional<Node> vacant(const TreePath&) const override { return std::nullopt; }

  Ptr<Model> apply(const Op& op) const override {
    throw Error(Errc::immutable, to_string(op.path) + ": a collection is edited where it is stored");
  }

 private:
  static std::string key_path(const TreePath& path) {
    std::string text;
    for (const std::string& name : path) text += (text.empty() ? "" : "/") + key_of(name);
    return text;
  }

  static Node folder() {
    Node node;
    node.kind = Node::Kind::directory;
    return node;
  }

  std::string place_of(const TreePath& path) const { return source_->path() + "/" + key_path(path); }
  bool is_checkpoint(const TreePath& path) const {
    return options_.is_checkpoint && options_.is_checkpoint(place_of(path));
  }

  std::optional<Node> node_of(const TreePath& path) const {
    for (const std::string& name : path) {
      const std::string key = key_of(name);
      if (key.empty() || key == "." || key == ".." || key.find('/') != std::string::npos) return std::nullopt;
    }
    if (is_checkpoint(path)) {
      Node node = folder();
      node.kind = Node::Kind::nested;
      const auto open = options_.open_nested;
      const std::string place = place_of(path);
      if (open) node.open_nested = [open, place] { return open(place); };
      return node;
    }
    try {
      source_->list(key_path(path));
      return folder();
    } catch (const std::system_error& e) {
      if (!is_no_directory(e)) throw;
      return std::nullopt;  // a file that is no checkpoint
    }
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
