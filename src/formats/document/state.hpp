#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "formats/document/document.hpp"
#include "formats/document/index.hpp"

namespace ckptree {

/// A directory of a document: one of its containers, and the way to it.
struct Directory {
  struct Step {
    Ptr<Container> container;
    json::Extent at;  // of the container, in the document
    std::uint32_t entry;
  };
  std::vector<Step> trail;  // from the top; empty for the top itself
  Ptr<Container> container;
  json::Extent at;

  json::Extent value(std::uint32_t entry) const noexcept {
    const Container::Entry& e = container->entries()[entry];
    return {at.begin + e.value, at.begin + e.value + e.value_size};
  }
};

/// One text, and what is known about it.
struct Document::State {
  State(std::string valid_text, std::string document_place, std::timespec time, bool may_edit);

  Bytes bytes(json::Extent of) const noexcept { return Bytes(text).substr(of.begin, of.size()); }
  /// The whole document as a directory; read when first asked for.
  Directory top() const;
  /// Goes from a directory to the one shown under `name` in it; false, and stays, when there is none.
  bool enter(Directory& directory, const std::string& name) const;
  /// The directory at `path`. Nothing when there is nothing or a file.
  std::optional<Directory> directory(const TreePath& path) const;
  Node node(const Directory& directory, std::uint32_t entry) const;
  Node directory_node() const;

  std::string text, place;
  std::timespec mtime;
  bool writable;
  json::Extent root;

  mutable std::mutex mutex;  // guards top_container; nothing else is locked while it is held
  mutable Ptr<Container> top_container;
};

/// The literal of the key that a new entry of this name gets; nothing when the name is no key's.
std::optional<std::string> literal_of_name(const std::string& name);

}  // namespace ckptree
