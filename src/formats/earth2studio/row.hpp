#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>

#include "ckptree/model.hpp"
#include "ckptree/source.hpp"
#include "formats/document/document.hpp"
#include "formats/earth2studio/catalog.hpp"
#include "formats/lazy.hpp"
#include "formats/stored.hpp"

namespace ckptree::earth2studio {

/// A state of a row: its metadata.json, and where its arrays are. Immutable.
struct StoredState {
  std::string id, schema_hash;
  std::string directory;  // of its files, relative to the store; empty: of a row to be written
  Json fields;            // name -> payload
  std::timespec mtime{};
  std::map<std::string, Recipe> arrays;  // edited: a .npy by its path below the directory
};

/// A row as it is shown: an entry of the catalog and the commit it names, read when first asked for; or an edit of it.
/// Immutable.
class StoreRow {
 public:
  /// @param catalog  what the catalog looked like when the entry was read from it
  StoreRow(Ptr<Source> source, std::shared_ptr<const Entry> entry, const Fingerprint& catalog)
      : source_(std::move(source)), entry_(std::move(entry)), catalog_(catalog) {}

  /// As stored: edits are not in it.
  const Entry& entry() const noexcept { return *entry_; }
  const std::shared_ptr<const Entry>& stored() const noexcept { return entry_; }
  const Ptr<Source>& source() const noexcept { return source_; }
  bool is_edited() const noexcept { return edited_metadata_ || edited_labels_ || !edited_states_.empty(); }

  /// "commits/ID". @throws Error Errc::corrupt for an id that is no file name
  std::string commit() const;
  /// A file of the commit. @throws Error Errc::corrupt when it is not there; Errc::stale when that is because a run has
  ///         swept the commit since
  Ptr<File> open(const std::string& path) const;
  /// What that function throws for a failure of the system at a path of the commit.
  [[noreturn]] void cannot_be_read(const std::string& place, const std::system_error& error) const;
  /// The same, to be shown or linked.
  Ptr<File> show(const std::string& path) const;
  /// @throws Error Errc::corrupt when it is missing or damaged
  std::shared_ptr<const Json> manifest() const;

  /// In the catalog's encoding.
  std::shared_ptr<const Document> metadata() const;
  std::shared_ptr<const Document> labels() const;
  /// A state by its id. @throws Error Errc::corrupt when it is not stored, or damaged
  std::shared_ptr<const StoredState> state(const std::string& id) const;
  const std::map<std::string, std::shared_ptr<const StoredState>>& edited_states() const { return edited_states_; }

  std::shared_ptr<const StoreRow> with_metadata(std::shared_ptr<const Document> document) const;
  std::shared_ptr<const StoreRow> with_labels(std::shared_ptr<const Document> document) const;
  std::shared_ptr<const StoreRow> with_state(std::shared_ptr<const StoredState> state, const std::string& id) const;

  const std::shared_ptr<const Document>& edited_metadata() const noexcept { return edited_metadata_; }
  const std::shared_ptr<const Document>& edited_labels() const noexcept { return edited_labels_; }

 private:
  /// A copy to be edited; what was read lazily is read again.
  StoreRow(const StoreRow& other);
  bool is_outdated() const;
  std::shared_ptr<const StoredState> read_state(const std::string& id) const;

  const Ptr<Source> source_;
  const std::shared_ptr<const Entry> entry_;
  const Fingerprint catalog_;
  std::shared_ptr<const Document> edited_metadata_, edited_labels_;
  std::map<std::string, std::shared_ptr<const StoredState>> edited_states_;
  Lazy<Json> manifest_;
  Lazy<Document> metadata_, labels_;
  mutable std::mutex mutex_;  // guards states_
  mutable std::map<std::string, std::shared_ptr<const Lazy<StoredState>>> states_;
};

using Rows = std::vector<std::shared_ptr<const StoreRow>>;

}  // namespace ckptree::earth2studio
