#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ckptree/source.hpp"
#include "formats/earth2studio/json_tree.hpp"

namespace ckptree::earth2studio {

// Catalogs have some hundred bytes a row; manifests, and the metadata of a state, a few KB.
constexpr std::uint64_t kMaxCatalog = 1u << 30, kMaxManifest = 64u << 20;

/// A row of the catalog as it is stored: the text of its object, and what is looked at all the time. Immutable; the
/// document it stands in is shared by all rows.
class Entry {
 public:
  /// @param at  an object in a valid document
  /// @throws Error Errc::corrupt where upstream would ignore the catalog, or refuse to open it
  Entry(std::shared_ptr<const std::string> document, json::Extent at, const std::string& place);
  /// A row as its object in no document.
  static std::shared_ptr<const Entry> make(const Json& object, const std::string& place);

  const std::string& commit_id() const noexcept { return commit_id_; }
  const std::string& saved_at() const noexcept { return saved_at_; }
  std::int64_t write_count() const noexcept { return write_count_; }
  std::int64_t rank() const noexcept { return rank_; }
  std::int64_t world_size() const noexcept { return world_size_; }

  /// The object as it stands in a catalog: lines but the first are indented for it.
  Bytes text() const noexcept { return Bytes(*document_).substr(at_.begin, at_.size()); }
  Json json() const;
  /// With the defaults of what is missing, and a legacy lead_time.
  Json labels() const;
  Json metadata() const;
  std::vector<std::string> metadata_keys() const;
  std::vector<std::string> state_ids() const;

 private:
  Json part(json::Extent at) const;

  std::shared_ptr<const std::string> document_;
  json::Extent at_, labels_, metadata_, lead_time_, keys_, artifacts_, states_;  // empty: not there
  std::string commit_id_, saved_at_;
  std::int64_t write_count_ = 0, rank_ = 0, world_size_ = 1;
};

using Entries = std::vector<std::shared_ptr<const Entry>>;

/// The rows of a store, and sentences about what was wrong with its catalog.
struct Catalog {
  Entries entries;
  Ptr<File> file;        // what they were read from, or what is damaged; null: there is none, or it cannot be opened
  bool rebuilt = false;  // from the manifests: the catalog was missing or damaged
  std::vector<std::string> warnings;
};

/// @throws Error Errc::corrupt with the place where upstream would not take it
Entries parse_catalog(std::string text, const std::string& place);
/// The catalog of a store, or, when it is missing or damaged, what its manifests say.
/// @throws std::system_error when the store cannot be read
Catalog read_catalog(const Source& source);
/// As upstream writes it.
std::string catalog_text(const Entries& entries);

/// The row that a manifest stands for. @param commit  its directory, "commits/ID"; for the arrays among its metadata
Json entry_of_manifest(const Json& manifest, const Source& source, const std::string& commit);

/// A JSON file of the store as a tree. @throws Error Errc::corrupt, std::system_error
Json read_json(const Source& source, const std::string& path, std::uint64_t limit);

}  // namespace ckptree::earth2studio
