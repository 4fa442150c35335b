#pragma once

#include <ctime>
#include <functional>
#include <optional>
#include <string>

#include "ckptree/bytes.hpp"
#include "ckptree/name.hpp"
#include "ckptree/recipe.hpp"
#include "ckptree/source.hpp"

namespace ckptree {

class Session;

/// A directory, file, link or nested checkpoint in the tree; knows no inode number.
struct Node {
  enum class Kind { directory, file, link, nested };
  /// How a save of it is taken. none: immutable. whole: a document or an array, checked and committed at close.
  /// value: one value of an exploded document, checked by write itself, committed together with its neighbours.
  enum class Saving { none, whole, value };

  Kind kind = Kind::file;
  Saving saving = Saving::none;  // of a directory: whether entries may be made and removed in it
  Recipe content;                // of a file
  std::string target;            // of a link
  std::timespec mtime{};
  std::string key;   // the whole key when the name had to be cut: user.ckptree.key
  std::string type;  // "string", "number", ...: user.ckptree.type; empty when it has none
  std::function<std::shared_ptr<Session>()> open_nested;

  bool is_directory() const noexcept { return kind == Kind::directory || kind == Kind::nested; }
};

/// One edit, as the tree sees it.
struct Op {
  enum class Kind { write, make_dir, remove, remove_tree, rename, exchange };
  Kind kind = Kind::write;
  TreePath path, to;                   // `to`: rename and exchange only
  Recipe content;                      // write only
  std::optional<std::timespec> mtime;  // write only: an explicit time wins over the commit's
};

/// One immutable state of a checkpoint; an edit gives the next. Lazy parts (failures too) are caches over pinned Files,
/// safe to use from several threads.
struct Model : std::enable_shared_from_this<Model> {
  virtual ~Model() = default;
  /// What is at `path`; nothing when there is nothing. @throws Error Errc::corrupt when it cannot be told
  virtual std::optional<Node> find(const TreePath& path) const = 0;
  /// Every entry of a directory in order, until `each` answers false. The Node of an entry may lack its content when
  /// `find` would have to compute it. @throws Error Errc::not_found, Errc::not_directory
  virtual void list(const TreePath& path, const std::function<bool(const std::string&, const Node&)>& each) const = 0;
  /// What a new file of this name would become (only `kind` and `saving` are meaningful), or nothing: then it is
  /// scratch. @throws Error Errc::invalid for a name that nobody gives to scratch, and that cannot become anything
  virtual std::optional<Node> vacant(const TreePath& path) const = 0;
  /// The model after the edit. @throws Error with the place and the reason; nothing has changed then
  virtual Ptr<Model> apply(const Op& op) const = 0;
  /// Paths of edits that are made but cannot be stored yet, e.g. arrays written before there is a metadata document.
  /// They stay pending over commits, and count as rejected at unmount.
  virtual std::vector<TreePath> waiting() const { return {}; }
  /// What an edit of `path` is an edit of, where names move: of a row the commit; empty where names are enough. When the
  /// checkpoint changed outside, an edit is made again only on the same thing.
  virtual std::string identity(const TreePath&) const { return {}; }
  /// Whether something of that identity is there.
  virtual bool has(const std::string&) const { return true; }
  /// The members or files of the checkpoint under their own names: `.ckptree/raw/`.
  virtual std::optional<Node> find_raw(const TreePath&) const { return std::nullopt; }
  virtual void list_raw(const TreePath&, const std::function<bool(const std::string&, const Node&)>&) const {}
  /// Sentences for status.json: what was odd about this checkpoint.
  virtual std::vector<std::string> warnings() const { return {}; }
};

}  // namespace ckptree
