#include "formats/earth2studio/row.hpp"

#include <system_error>

#include "ckptree/error.hpp"
#include "codec/plain_path.hpp"
#include "formats/earth2studio/payload.hpp"

namespace ckptree::earth2studio {
namespace {

std::shared_ptr<const Document> document(const Json& value, const char* place) {
  return std::make_shared<const Document>(dumps(value) + "\n", place, std::timespec{}, true);
}

/// A relative path that stays where it is.
bool is_inside(const std::string& path) {
  return !path.empty() && path[0] != '/' && ("/" + path + "/").find("/../") == std::string::npos &&
         path.find('\0') == std::string::npos;
}

}  // namespace

StoreRow::StoreRow(const StoreRow& other)
    : source_(other.source_),
      entry_(other.entry_),
      catalog_(other.catalog_),
      edited_metadata_(other.edited_metadata_),
      edited_labels_(other.edited_labels_),
      edited_states_(other.edited_states_) {}

std::string StoreRow::commit() const {
  const std::string& id = entry_->commit_id();
  if (!is_plain_name(id))
    throw Error(Errc::corrupt, "catalog.json: the commit_id '" + id.substr(0, 60) + "' is no file name");
  return "commits/" + id;
}

bool StoreRow::is_outdated() const {
  try {
    return source_->open("catalog.json")->fingerprint() != catalog_;
  } catch (const std::exception&) {
    return catalog_ != Fingerprint{};
  }
}

void StoreRow::cannot_be_read(const std::string& place, const std::system_error& error) const {
  if (error.code().value() == EIO) throw std::system_error(error);
  const std::string sentence = place + ": cannot be read: " + error.code().message();
  if (!is_outdated()) throw Error(Errc::corrupt, sentence);
  throw Error(Errc::stale, sentence + "; another program replaced this commit since it was listed");
}

Ptr<File> StoreRow::open(const std::string& path) const {
  const std::string place = commit() + "/" + path;
  try {
    return source_->open(place);
  } catch (const std::system_error& e) {
    cannot_be_read(place, e);
  } catch (const Error& e) {
    throw Error(Errc::corrupt, e.what());
  }
}

Ptr<File> StoreRow::show(const std::string& path) const {
  const auto source = source_;
  return reopening_file(*open(path), [source, place = commit() + "/" + path] { return source->open(place); });
}

std::shared_ptr<const Json> StoreRow::manifest() const {
  return manifest_.get([&] {
    const Ptr<File> file = open("manifest.json");
    const std::string place = commit() + "/manifest.json";
    try {
      auto tree = std::make_shared<const Json>(parse(whole_file(file).text(kMaxManifest, place), place));
      if (tree->is_object()) return tree;
    } catch (const Error& e) {
      if (e.code() == Errc::stale) throw;
      throw Error(Errc::corrupt, e.what());
    }
    throw Error(Errc::corrupt, place + ": expected an object");
  });
}

std::shared_ptr<const Document> StoreRow::metadata() const {
  if (edited_metadata_) return edited_metadata_;
  return metadata_.get([&] { return document(entry_->metadata(), "metadata.json"); });
}

std::shared_ptr<const Document> StoreRow::labels() const {
  if (edited_labels_) return edited_labels_;
  return labels_.get([&] { return document(entry_->labels(), "labels.json"); });
}

std::shared_ptr<const StoredState> StoreRow::state(const std::string& id) const {
  const auto edited = edited_states_.find(id);
  if (edited != edited_states_.end()) return edited->second;
  std::shared_ptr<const Lazy<StoredState>> lazy;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    auto& known = states_[id];
    if (!known) known = std::make_shared<const Lazy<StoredState>>();
    lazy = known;
  }
  return lazy->get([&] { return read_state(id); });
}

std::shared_ptr<const StoredState> StoreRow::read_state(const std::string& id) const {
  const auto stored = manifest();
  const std::string place = commit() + "/manifest.json: states/" + id;
  const Json* states = stored->find("states");
  const Json* known = states ? states->find(id) : nullptr;
  const Json* path = known ? known->find("path") : nullptr;
  if (!path || !path->is_string()) throw Error(Errc::corrupt, place + ": has no path");
  if (!is_inside(path->text)) throw Error(Errc::corrupt, place + ": its path leads out of the commit");
  const std::string where = path->text + "/metadata.json";
  const Ptr<File> file = open(where);
  auto state = std::make_shared<StoredState>();
  Json tree;
  try {
    tree = parse(whole_file(file).text(kMaxManifest, where), commit() + "/" + where);
  } catch (const Error& e) {
    if (e.code() == Errc::stale) throw;
    throw Error(Errc::corrupt, e.what());
  }
  const Json *fields = tree.find("fields"), *own = tree.find("state_id"), *hash = tree.find("schema_hash");
  if (!fields || !fields->is_object()) throw Error(Errc::corrupt, commit() + "/" + where + ": has no fields");
  state->id = own && own->is_string() ? own->text : id;
  state->schema_hash = hash && hash->is_string() ? hash->text : "";
  state->directory = commit() + "/" + path->text;
  state->fields = *fields;
  state->mtime = mtime_of(*file);
  return state;
}

std::shared_ptr<const StoreRow> StoreRow::with_metadata(std::shared_ptr<const Document> document) const {
  const std::shared_ptr<StoreRow> row(new StoreRow(*this));
  row->edited_metadata_ = std::move(document);
  return row;
}

std::shared_ptr<const StoreRow> StoreRow::with_labels(std::shared_ptr<const Document> document) const {
  const std::shared_ptr<StoreRow> row(new StoreRow(*this));
  row->edited_labels_ = std::move(document);
  return row;
}

std::shared_ptr<const StoreRow> StoreRow::with_state(std::shared_ptr<const StoredState> state,
                                                     const std::string& id) const {
  const std::shared_ptr<StoreRow> row(new StoreRow(*this));
  row->edited_states_[id] = std::move(state);
  return row;
}

}  // namespace ckptree::earth2studio
