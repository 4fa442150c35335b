#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ckptree/model.hpp"
#include "ckptree/plan.hpp"
#include "ckptree/source.hpp"

namespace ckptree {

/// What the options of a mount say about the view itself.
struct ViewOptions {
  bool read_only = false;
  bool edit_all = false;    // -o edit=all
  bool remove_all = false;  // -o remove=all: rm metadata.json takes the members of arrays too
  bool no_data = false;     // -o nodata: values/ and the arrays of states are hidden
  /// -o missing=: the dotted name that stands for a class which was removed
  std::string missing = "anemoi.models.migrations.migrator.MissingAttribute";
  std::string migrations;                           // -o migrations=: a directory of scripts; empty: none
  std::string metadata_name;                        // -o name=; empty: anemoi.json, else ai-models.json
  std::string metadata_folder = "anemoi-metadata";  // -o folder=
  int level = 2;                                    // -o level=; 0: no states of rows are shown
  bool edits_append = false;                        // -o edits=append: an edited row becomes a new, last one
  bool overwrite = false;                           // -o mode=overwrite: a new row replaces those of equal labels
  std::optional<std::uint64_t> history_size;        // -o history_size=: rows of equal labels that are kept
  std::optional<std::uint64_t> rank, world_size;    // -o rank=, -o world_size=: of the rows that are written
  std::string checkpointable;                       // -o checkpointable=; empty: as Orbax resolves AUTO
  std::string store_name;                           // of e2s:NAME; empty: told by what is stored
  /// Whether something is a checkpoint: what a collection shows of a folder.
  std::function<bool(const std::string& path)> is_checkpoint;
  /// Opens another checkpoint, for nested nodes; empty: they cannot be entered.
  std::function<std::shared_ptr<Session>(const std::string& path)> open_nested;
};

/// One checkpoint format: does it claim a Source, what Model does it make, how is an edit stored. Stateless.
struct Format {
  virtual ~Format() = default;
  virtual const char* kind() const = 0;  // "torch"
  /// Cheap; by content, never by name.
  virtual bool claims(const Source& source) const = 0;
  /// @throws Error Errc::corrupt, Errc::unsupported, Errc::not_a_checkpoint with one clear sentence
  virtual Ptr<Model> open(Ptr<Source> source, const ViewOptions& options) const = 0;
  /// What differs between two models of one Source, as members or files.
  virtual ChangeSet seal(const Model& base, const Model& edited, const Stamp& stamp) const = 0;
  /// How to make the changes durable. @param base the model the changes are against
  virtual Plan plan(const Model& base, const Source& source, const ChangeSet& changes, const Medium& medium) const = 0;
  /// Of a format of directories: the file, relative to the source, whose replacement is the commit point. It is what is
  /// fingerprinted; it may be missing. Empty: the source itself is that file.
  virtual std::string commit_point() const { return {}; }
  /// Of a format of directories: whether files may be symbolic links to anywhere, as the caches of some hubs have them.
  virtual bool leaves_directory() const { return true; }
  /// Paths, relative to the source, that a commit leaves behind and nothing leads to: what a sweep removes.
  virtual Names unused(const Model&) const { return {}; }
  /// One word and a fact or two for status.json: how the bytes are laid out, e.g. "zip, 64-byte alignment, zip64".
  virtual std::string layout(const Model& model) const = 0;
};

}  // namespace ckptree
