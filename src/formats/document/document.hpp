#pragma once

#include <memory>
#include <string>

#include "ckptree/model.hpp"

namespace ckptree {

/// A JSON document as a directory with one file per value (tree.md section 1): the generic adapter behind every
/// editable document of every format. Immutable; indexes of containers are made when first looked into, each once.
class Document {
 public:
  /// Checks the text. @param place  named in errors, e.g. "metadata.json"
  /// @throws Error as json::validate
  Document(std::string text, std::string place, std::timespec mtime, bool writable);

  const std::string& text() const noexcept;

  /// The rest of this is Model's interface, for paths below the directory (empty: the directory itself).
  std::optional<Node> find(const TreePath& below) const;
  void list(const TreePath& below, const std::function<bool(const std::string&, const Node&)>& each) const;
  std::optional<Node> vacant(const TreePath& below) const;
  /// The document after an edit of one value; paths of the Op (`path`, `to`) start `depth` names above the document's
  /// values, e.g. 1 for "metadata/config/lr". Values keep their type; key order, spacing and digits elsewhere stay.
  /// @throws Error Errc::rejected for a text that is not of the type; Errc::incomplete for one that ends too early: an
  ///         empty one, a list (it may arrive in several writes); Errc::exists, Errc::not_empty, ...
  std::shared_ptr<const Document> apply(const Op& op, std::size_t depth) const;

 private:
  struct State;
  class Edit;
  explicit Document(Ptr<State> state) : state_(std::move(state)) {}

  Ptr<State> state_;
};

}  // namespace ckptree
