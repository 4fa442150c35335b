#include "formats/orbax/item.hpp"

#include <algorithm>
#include <system_error>

#include "ckptree/error.hpp"
#include "codec/ocdbt/database.hpp"
#include "formats/orbax/layout.hpp"
#include "formats/orbax/view.hpp"
#include "formats/stored.hpp"

namespace ckptree::orbax {
namespace {

constexpr const char* kManifest = "manifest.ocdbt";
// Items in items; Orbax makes one level. Directories may be links, also to one above.
constexpr std::size_t kMaxDepth = 8;
// The metadata of an array is a few hundred bytes.
constexpr std::uint64_t kMaxArrayMetadata = std::uint64_t{1} << 20;

std::string last_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// One for all mounts of this process: what bounds it is the memory of the machine.
const Ptr<zarr::ChunkCache>& chunk_cache() {
  static const Ptr<zarr::ChunkCache> cache = std::make_shared<zarr::ChunkCache>();
  return cache;
}

}  // namespace

Item::Item(Ptr<Source> source, std::string directory) : source_(std::move(source)), directory_(std::move(directory)) {
  try {
    names_ = source_->list(directory_);
    if (has_tree()) {
      const Ptr<File> file = source_->open(below(kTreeMetadata));
      mtime_ = mtime_of(*file);
      stamp_ = whole_file(file).tag;
    }
  } catch (const std::exception& e) {
    unreadable_ = e.what();
  }
}

bool Item::has_tree() const noexcept { return has(names_, kTreeMetadata); }

Item::Kind Item::kind() const {
  if (!error().empty()) return Kind::error;
  if (has_tree()) return Kind::tree;
  return json() ? Kind::json : Kind::items;
}

std::string Item::error() const {
  return *error_.get([&] { return std::make_shared<const std::string>(problem()); });
}

std::string Item::problem() const {
  if (!unreadable_.empty()) return unreadable_;
  try {
    if (has_tree()) {
      const auto pytree = tree();
      if (!pytree->problem.empty()) return below(kTreeMetadata) + ": " + pytree->problem;
      for (std::size_t i = 0; i < pytree->leaves.size(); ++i) {
        if (!pytree->leaves[i].has_array()) continue;
        array(i);
        break;
      }
      return {};
    }
    for (const char* part : {kManifest, "array_metadatas", "_sharding"})
      if (has(names_, part)) return below(kTreeMetadata) + ": is missing beside " + part;
    if (const Ptr<File> file = json())
      json::validate(whole_file(file).text(kMaxJson, file->name()), below(last_name(file->name())));
  } catch (const Error& e) {
    return e.what();
  } catch (const std::system_error& e) {
    return e.what();
  }
  return {};
}

Ptr<File> Item::json() const {
  if (has_tree() || directory_.empty()) return nullptr;
  for (const std::string& name : {last_name(directory_), std::string("data.json"), std::string("metadata")}) {
    if (!has(names_, name)) continue;
    try {
      return shown_file(source_, below(name));
    } catch (const Error&) {
      // A directory of that name is an item.
    } catch (const std::system_error&) {
    }
  }
  return nullptr;
}

Names Item::children() const {
  Names found;
  const auto depth = static_cast<std::size_t>(std::count(directory_.begin(), directory_.end(), '/'));
  if (has_tree() || directory_.empty() || depth >= kMaxDepth) return found;
  for (const std::string& name : names_)
    if (!is_temporary_name(name) && names_in(*source_, below(name))) found.push_back(name);
  return found;
}

std::shared_ptr<const Item> Item::child(const std::string& name) const {
  const Names known = children();
  if (!has(known, name)) return nullptr;
  const std::lock_guard<std::mutex> guard(mutex_);
  auto& item = children_[name];
  if (!item) item = std::make_shared<const Item>(source_, below(name));
  return item;
}

std::shared_ptr<const Pytree> Item::tree() const {
  return tree_.get([&] {
    const std::string path = below(kTreeMetadata);
    return std::make_shared<const Pytree>(Pytree::parse(read_json(*source_, path), path, has(names_, kManifest)));
  });
}

Ptr<zarr::KeyValues> Item::values() const {
  return values_
      .get([&] {
        auto values = std::make_shared<Values>();
        values->store = damage_of(below(kManifest), [&] {
          return tree()->ocdbt ? ocdbt::open_database(source_, directory_) : zarr::directory_store(source_, directory_);
        });
        return std::shared_ptr<const Values>(values);
      })
      ->store;
}

Ptr<zarr::ZarrArray> Item::array(std::size_t leaf) const {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const auto known = arrays_.find(leaf); known != arrays_.end()) return known->second;
  }
  const auto pytree = tree();
  const std::string key = zarr::metadata_key(pytree->leaves.at(leaf).name, pytree->zarr3);
  const std::string place = below(key);
  const auto store = values();
  auto made = damage_of(place, [&] {
    const auto text = store->find(key);
    if (!text) throw Error(Errc::corrupt, place + ": is missing");
    return std::make_shared<const zarr::ZarrArray>(
        zarr::parse_zarr(text->text(kMaxArrayMetadata, place), pytree->zarr3, place));
  });
  const std::lock_guard<std::mutex> guard(mutex_);
  return arrays_.emplace(leaf, std::move(made)).first->second;
}

std::string Item::why_unsupported(std::size_t leaf) const {
  const auto known = array(leaf);
  if (zarr::npy_descr(*known)) return {};
  return known->unsupported.empty() ? "its type is not known" : known->unsupported;
}

Recipe Item::npy(std::size_t leaf) const {
  const auto pytree = tree();
  const std::string& name = pytree->leaves.at(leaf).name;
  const auto known = array(leaf);
  if (const std::string why = why_unsupported(leaf); !why.empty())
    throw Error(Errc::unsupported, below(name) + ": its data cannot be shown: " + why);
  return zarr::npy_of(values(), name, known, chunk_cache(), pytree->missing_is_damage,
                      "orbax:" + stamp_ + ":" + source_->path() + "/" + below(name));
}

std::string Item::sharding(const Leaf& leaf) const {
  if (leaf.value_type != "jax.Array" || !has(names_, "_sharding")) return "null";
  const auto all = shardings_.get([&] { return read_shardings(*source_, below("_sharding")); });
  const auto found = all->find(sharding_key(leaf.name));
  return found == all->end() ? "null" : sharding_json(found->second);
}

std::string Item::key_kind(const Leaf& leaf) const {
  if (leaf.value_type != "jax.Array" || !has(names_, "array_metadatas")) return "null";
  try {
    const auto all = key_kinds_.get([&] { return read_key_kinds(*source_, below("array_metadatas")); });
    const auto found = all->find(leaf.name);
    return found == all->end() ? "null" : found->second;
  } catch (const Error&) {
    return "null";  // Orbax never reads these files to tell of a tree
  }
}

std::string Item::string_literal(const Leaf& leaf) const {
  const std::string path = below("_strings.json");
  const auto strings = strings_.get([&] { return Strings::read(*source_, path); });
  const auto value = strings->value(leaf.name);
  if (!value) throw Error(Errc::corrupt, path + ": has no value for '" + leaf.name + "'");
  return *value;
}

}  // namespace ckptree::orbax
