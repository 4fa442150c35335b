#include "formats/document/document.hpp"

#include "ckptree/error.hpp"
#include "formats/document/state.hpp"
#include "formats/document/value_text.hpp"

namespace ckptree {
namespace {

/// Everything but the last name.
TreePath parent_of(const TreePath& path) { return TreePath(path.begin(), path.end() - 1); }

std::string checked(std::string text, const std::string& place) {
  json::validate(text, place);
  return text;
}

}  // namespace

Document::State::State(std::string valid_text, std::string document_place, std::timespec time, bool may_edit)
    : text(std::move(valid_text)), place(std::move(document_place)), mtime(time), writable(may_edit) {
  // Offsets in an index have 32 bits: it is as large as the document when values are short.
  if (text.size() > UINT32_MAX)
    throw Error(Errc::too_large, place + ": has " + std::to_string(text.size()) + " bytes, a document at most 4 GiB");
  root = json::root(text);
}

Directory Document::State::top() const {
  const std::lock_guard lock(mutex);
  if (!top_container) top_container = std::make_shared<const Container>(text, root);
  return {{}, top_container, root};
}

bool Document::State::enter(Directory& directory, const std::string& name) const {
  const Bytes own = bytes(directory.at);
  const auto i = directory.container->find(own, name);
  if (!i || !is_directory(directory.container->entries()[*i].shape)) return false;
  const json::Extent at = directory.value(*i);
  Ptr<Container> next = directory.container->child(own, *i);
  directory.trail.push_back({std::move(directory.container), directory.at, *i});
  directory.container = std::move(next);
  directory.at = at;
  return true;
}

std::optional<Directory> Document::State::directory(const TreePath& path) const {
  Directory directory = top();
  for (const std::string& name : path)
    if (!enter(directory, name)) return std::nullopt;
  return directory;
}

Node Document::State::directory_node() const {
  Node node;
  node.kind = Node::Kind::directory;
  node.saving = writable ? Node::Saving::value : Node::Saving::none;
  node.mtime = mtime;
  return node;
}

Node Document::State::node(const Directory& directory, std::uint32_t entry) const {
  const Shape shape = directory.container->entries()[entry].shape;
  Node node = directory_node();
  if (is_directory(shape)) return node;
  node.kind = Node::Kind::file;
  node.type = type_name(shape);
  node.content = directory.container->content(bytes(directory.at), entry);
  return node;
}

Document::Document(std::string text, std::string place, std::timespec mtime, bool writable)
    : state_(std::make_shared<const State>(checked(std::move(text), place), place, mtime, writable)) {}

const std::string& Document::text() const noexcept { return state_->text; }

std::optional<Node> Document::find(const TreePath& below) const {
  if (below.empty()) return state_->directory_node();
  const auto directory = state_->directory(parent_of(below));
  if (!directory) return std::nullopt;
  const Bytes own = state_->bytes(directory->at);
  const auto i = directory->container->find(own, below.back());
  if (!i) return std::nullopt;
  Node node = state_->node(*directory, *i);
  std::string key = directory->container->key(own, *i);
  if (file_name_of(key).cut) node.key = std::move(key);
  return node;
}

void Document::list(const TreePath& below, const std::function<bool(const std::string&, const Node&)>& each) const {
  const auto directory = state_->directory(below);
  if (!directory) {
    const std::string place = state_->place + ": " + to_string(below);
    if (find(below)) throw Error(Errc::not_directory, place + ": not a directory");
    throw Error(Errc::not_found, place + ": no such directory");
  }
  const Container& container = *directory->container;
  const Bytes own = state_->bytes(directory->at);
  for (std::uint32_t i = 0; i < container.entries().size(); ++i) {
    if (container.entries()[i].shadowed) continue;
    Node node = state_->node(*directory, i);
    if (!container.is_object()) {
      if (!each(std::to_string(i), node)) return;
      continue;
    }
    std::string key = container.key(own, i);
    const FileName name = file_name_of(key);
    if (name.cut) node.key = std::move(key);
    if (!each(name.text, node)) return;
  }
}

std::optional<Node> Document::vacant(const TreePath& below) const {
  if (below.empty() || !state_->writable) return std::nullopt;
  const auto directory = state_->directory(parent_of(below));
  if (!directory) return std::nullopt;
  const Container& container = *directory->container;
  const std::string& name = below.back();
  const auto refuse = [&](const std::string& why) {
    throw Error(Errc::invalid, state_->place + ": " + to_string(below) + ": " + why);
  };
  if (container.is_list()) {
    const std::size_t next = container.entries().size();
    const auto index = index_of(name);
    if (index && *index > next) refuse("the next item of this list is " + std::to_string(next));
    if (index != next) return std::nullopt;
  } else {
    if (!container.is_object() || is_scratch_name(name)) return std::nullopt;
    if (!literal_of_name(name)) refuse("not how the name of a key is spelled");
  }
  Node node = state_->directory_node();
  node.kind = Node::Kind::file;
  return node;
}

std::optional<std::string> literal_of_name(const std::string& name) {
  const std::string key = key_of(name);
  const FileName spelled = file_name_of(key);
  if (spelled.cut || spelled.text != name || is_scratch_name(name)) return std::nullopt;
  try {
    return json::quote(key);
  } catch (const Error&) {  // bytes that no JSON string can spell
    return std::nullopt;
  }
}

}  // namespace ckptree
