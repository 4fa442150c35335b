#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "ckptree/row.hpp"
#include "formats/document/document.hpp"
#include "formats/failing.hpp"
#include "formats/torch/archive.hpp"
#include "formats/torch/index.hpp"
#include "formats/torch/pickled.hpp"

namespace ckptree::torch {

// Documents of anemoi have a few MB; what is larger is not loaded into memory.
constexpr std::uint64_t kMaxDocument = 256u << 20;

/// A content and its time. The time of an edit is that of its commit, unless the writer set one.
struct Content {
  Recipe recipe;
  std::timespec mtime{};
  bool explicit_time = false;
};

/// The metadata document and what can be told from it, found when first asked for. Without a document in the archive it
/// is the one that arrays wait in: an object with nothing but their index.
class Metadata {
 public:
  /// A document as it is stored, whatever is in it.
  /// @param member  its name in the archive; empty when it is only what waits
  Metadata(std::string member, Content content, bool writable);
  /// A document as it was edited.
  Metadata(std::string member, std::shared_ptr<const Document> document, const Op& op);

  const std::string& member() const noexcept { return member_; }
  std::timespec mtime() const noexcept { return time_.mtime; }
  /// Its content, byte for byte; reading it fails when it is ambiguous or damaged.
  Content content() const;
  /// @throws Error Errc::corrupt when the stored text is broken
  std::shared_ptr<const Document> document() const;
  /// @throws Error as document(); also when it, or the index in it, is no object
  Ptr<ArrayIndex> index() const;

 private:
  const std::string member_;
  const Content time_;  // with the content as it is stored
  const bool writable_ = true;
  const std::shared_ptr<const Document> edited_;
  Lazy<Recipe> edited_content_;
  Lazy<Document> document_;
  Lazy<ArrayIndex> index_;
};

/// One state of a checkpoint: the archive, its metadata document, and the members of arrays that differ from it.
struct State {
  Ptr<Archive> archive;
  ViewOptions options;
  bool exists = false;  // whether there is a metadata document
  Ptr<Metadata> metadata;
  std::map<std::string, std::optional<Content>> members;  // nothing: removed
  std::set<TreePath> touched;                             // by edits of arrays while there is no document
  std::size_t corrections = 0;  // of supporting_arrays_paths in texts that said something else
  Ptr<Pickled> pickled;
  /// Parts that go with their object only, such as @class: where they were removed, until the object is, so that `rm -r`
  /// can meet them one by one.
  std::set<TreePath> parted;
  /// Directories of imports/ without a name in them, made or emptied, and the path of the edit that left them so: no
  /// commit stores them, and they stay for who is about to move a name there, or to remove them.
  std::map<std::string, TreePath> empty_modules;

  bool writable() const noexcept { return !options.read_only; }
};

using TorchRow = Row<State>;

/// The state of an archive as it is stored.
State initial_state(Ptr<Archive> archive, const ViewOptions& options);

/// What `make` gives, or a recipe that fails as it did.
template <class Make>
Recipe content_or_failure(const Make& make) {
  try {
    return make();
  } catch (const Error& e) {
    return failing_content(e.code(), e.what());
  }
}

/// @throws Error Errc::read_only under -o ro, Errc::ambiguous when there are several metadata members
void refuse_if_not_editable(const State& state, const Op& op);
/// A content with the time of an edit.
Content edited_content(Recipe recipe, const Op& op);

// metadata.cpp
std::optional<Node> show_metadata(const State&, const Match&);
State edit_metadata(const State&, const Match&, const Op&);
std::optional<Node> vacant_metadata(const State&, const Match&);
std::optional<Node> show_metadata_path(const State&, const Match&);

// values.cpp
std::optional<Node> show_value(const State&, const Match&);
void list_values(const State&, const Match&, const std::function<bool(const std::string&, const Node&)>&);
State edit_value(const State&, const Match&, const Op&);
std::optional<Node> vacant_value(const State&, const Match&);

// arrays.cpp
std::optional<Node> show_array(const State&, const Match&);
void list_arrays(const State&, const Match&, const std::function<bool(const std::string&, const Node&)>&);
std::optional<Node> vacant_array(const State&, const Match&);
std::optional<Node> show_arrays_table(const State&, const Match&);
/// The data of an array in the archive. @throws Error Errc::corrupt with the place when there is none that fits
Content array_data(const State& state, const ArrayIndex& index, std::size_t i);

// edit_arrays.cpp
State edit_arrays(const State&, const Match&, const Op&);

// object.cpp
std::optional<Node> show_object(const State&, const Match&);
void list_object(const State&, const Match&, const std::function<bool(const std::string&, const Node&)>&);
std::optional<Node> vacant_object(const State&, const Match&);

// show_tensors.cpp
std::optional<Node> show_tensor(const State&, const Match&);
void list_tensors(const State&, const Match&, const std::function<bool(const std::string&, const Node&)>&);
std::optional<Node> vacant_tensor(const State&, const Match&);
std::optional<Node> show_tensors_table(const State&, const Match&);
std::optional<Node> show_tensor_values(const State&, const Match&);
void list_tensor_values(const State&, const Match&, const std::function<bool(const std::string&, const Node&)>&);

// edit_tensors.cpp
State edit_tensor(const State&, const Match&, const Op&);

// show_imports.cpp
std::optional<Node> show_import(const State&, const Match&);
void list_imports(const State&, const Match&, const std::function<bool(const std::string&, const Node&)>&);
std::optional<Node> vacant_import(const State&, const Match&);
std::optional<Node> show_imports_table(const State&, const Match&);

// edit_imports.cpp
State edit_import(const State&, const Match&, const Op&);

// show_migrations.cpp
std::optional<Node> show_migration(const State&, const Match&);
void list_migrations(const State&, const Match&, const std::function<bool(const std::string&, const Node&)>&);
std::optional<Node> vacant_migration(const State&, const Match&);

// edit_migrations.cpp
State edit_migration(const State&, const Match&, const Op&);

// edit_object.cpp
State edit_object(const State&, const Match&, const Op&);

// array_edit.cpp
/// Whether a member is an array's alone, to be changed or removed with it.
bool is_own_member(const State& state, const std::string& member);
/// The member goes, or what was to be written under its name.
void drop_member(State& state, const std::string& member);

}  // namespace ckptree::torch
