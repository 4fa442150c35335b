#pragma once

#include <string>

#include "ckptree/model.hpp"
#include "ckptree/plan.hpp"
#include "ckptree/source.hpp"

namespace ckptree {

/// What the options of a mount say about the view itself.
struct ViewOptions {
  bool read_only = false;
  bool edit_all = false;                            // -o edit=all
  bool remove_all = false;                          // -o remove=all: rm metadata.json takes the members of arrays too
  bool no_data = false;                             // -o nodata: values/ and the arrays of states are hidden
  std::string metadata_name;                        // -o name=; empty: anemoi.json, else ai-models.json
  std::string metadata_folder = "anemoi-metadata";  // -o folder=
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
  /// One word and a fact or two for status.json: how the bytes are laid out, e.g. "zip, 64-byte alignment, zip64".
  virtual std::string layout(const Model& model) const = 0;
};

}  // namespace ckptree
