#include "formats/earth2studio/format.hpp"

#include <algorithm>
#include <set>

#include "ckptree/error.hpp"
#include "formats/earth2studio/rows.hpp"

namespace ckptree {
namespace earth2studio {
namespace {

constexpr const char* kCatalog = "catalog.json";

const State& state_of(const Model& model) {
  // Models of a mount come from the format that opened it.
  return dynamic_cast<const StoreModel&>(model).state();
}

bool has(const Names& names, const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); }

/// Whether a commit has a manifest: what tells a store without a catalog from any directory called "commits".
bool has_manifest(const Source& source) {
  constexpr std::size_t kLooked = 100;  // a store whose first commits are all damaged is still one
  std::size_t looked = 0;
  for (const std::string& name : source.list("commits")) {
    if (++looked > kLooked) return false;
    try {
      source.open("commits/" + name + "/manifest.json");
      return true;
    } catch (const std::exception&) {
      continue;
    }
  }
  return false;
}

class Earth2StudioFormat final : public Format {
 public:
  const char* kind() const override { return "earth2studio"; }
  std::string commit_point() const override { return kCatalog; }

  /// Upstream makes no links. A store is shown to others than its owner, and an edit links all files of a commit.
  bool leaves_directory() const override { return false; }

  bool claims(const Source& source) const override {
    if (!source.is_directory()) return false;
    try {
      const Names names = source.list("");
      if (std::any_of(names.begin(), names.end(), is_rank_name)) return true;
      if (has(names, "commits") && (has(names, kCatalog) || has_manifest(source))) return true;
      // A store whose rows were all dropped may have no commits/ any more.
      if (!has(names, kCatalog)) return false;
      const Ptr<File> file = source.open(kCatalog);
      parse_catalog(whole_file(file).text(kMaxCatalog, kCatalog), kCatalog);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  Ptr<Model> open(Ptr<Source> source, const ViewOptions& options) const override {
    if (!source->is_directory())
      throw Error(Errc::not_a_checkpoint, source->path() + ": expected the directory of an Earth2Studio store");
    return std::make_shared<StoreModel>(initial_state(source, options));
  }

  ChangeSet seal(const Model& base, const Model& edited, const Stamp& stamp) const override {
    return earth2studio::seal(state_of(base), state_of(edited), stamp);
  }

  Plan plan(const Model& base, const Source& source, const ChangeSet& changes, const Medium& medium) const override {
    return earth2studio::plan(state_of(base), source, changes, medium);
  }

  Names unused(const Model& model) const override {
    const State& state = state_of(model);
    std::set<std::string> named;
    for (const auto& row : *state.rows) named.insert(row->entry().commit_id());
    Names unused;
    // Of a damaged catalog nobody knows what it names.
    if (state.store->rebuilt || state.has_ranks()) return unused;
    for (const std::string& name : state.store->source->list("commits"))
      if (named.count(name) == 0) unused.push_back("commits/" + name);
    return unused;
  }

  std::string layout(const Model& model) const override {
    const State& state = state_of(model);
    if (state.has_ranks()) return "store, " + std::to_string(state.store->ranks.size()) + " ranks";
    return "store, " + std::to_string(state.rows->size()) + " rows" +
           (state.store->rebuilt ? ", catalog rebuilt from the manifests" : "");
  }
};

}  // namespace
}  // namespace earth2studio

const Format& earth2studio_format() {
  static const earth2studio::Earth2StudioFormat format;
  return format;
}

}  // namespace ckptree
