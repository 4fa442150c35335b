#include "formats/orbax/pytree.hpp"

#include <algorithm>

#include "ckptree/error.hpp"
#include "formats/orbax/view.hpp"

namespace ckptree::orbax {
namespace {

// Ten times the deepest tree seen; each level of each leaf is a directory.
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxLeaves = 1'000'000;  // a hundred times the largest model seen

constexpr std::size_t kLongestName = 255;  // bytes, of a file

struct Key {
  std::string text;
  bool sequence;
};

bool ends_in_npy(const std::string& key) { return key.size() >= 4 && key.compare(key.size() - 4, 4, ".npy") == 0; }

/// Finds or makes the place below another one.
class Builder {
 public:
  explicit Builder(Pytree& tree) : tree_(tree) {
    tree_.places.emplace_back();
    sequence_.emplace_back();
  }

  void add(const std::vector<Key>& keys, std::size_t leaf) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) at = enter(at, keys[i], i + 1 == keys.size() && !is_directory(leaf));
    if (is_directory(leaf)) return;
    Pytree::Place& place = tree_.places[at];
    // What another entry continues is a placeholder that was left over.
    if (place.entries.empty()) place.leaf = leaf;
  }

  /// Lists in numerical order, and whether they are without gaps.
  void finish() {
    for (std::size_t i = 0; i < tree_.places.size(); ++i) {
      Pytree::Place& place = tree_.places[i];
      if (!place.entries.empty()) place.leaf.reset();
      if (!sequence_[i].value_or(false)) continue;
      std::sort(place.entries.begin(), place.entries.end(), [](const auto& a, const auto& b) {
        return a.name.size() != b.name.size() ? a.name.size() < b.name.size() : a.name < b.name;
      });
      for (std::size_t n = 0; n < place.entries.size(); ++n)
        if (place.entries[n].name != std::to_string(n)) complain("a list has no entry " + std::to_string(n));
      place.by_name.clear();
      place.by_value_name.clear();
      for (const auto& e : place.entries) {
        place.by_name[e.name] = e.place;
        place.by_value_name[e.value_name] = e.place;
      }
    }
  }

 private:
  bool is_directory(std::size_t leaf) const { return tree_.leaves[leaf].is_empty_container(); }

  void complain(const std::string& what) {
    if (tree_.problem.empty()) tree_.problem = what + "; Orbax cannot rebuild the tree";
  }

  std::size_t enter(std::size_t at, const Key& key, bool last) {
    const FileName name = file_name_of(key.text);
    if (sequence_[at] && *sequence_[at] != key.sequence) complain("a container has indices and keys");
    sequence_[at] = key.sequence;
    const auto known = tree_.places[at].by_name.find(name.text);
    if (known != tree_.places[at].by_name.end()) return known->second;
    const std::size_t fresh = tree_.places.size();
    tree_.places.emplace_back();
    sequence_.emplace_back();
    FileName value = name;
    if (last) {
      value.text += ".npy";
      if (value.cut || value.text.size() > kLongestName) value = file_name_of(key.text + ".npy");
    } else if (ends_in_npy(value.text)) {
      value.text.replace(value.text.size() - 4, 1, "%2E");
    }
    Pytree::Place& place = tree_.places[at];
    place.by_name[name.text] = fresh;
    place.by_value_name[value.text] = fresh;
    place.entries.push_back({name.text, value.text, name.cut ? key.text : "", fresh});
    return fresh;
  }

  Pytree& tree_;
  std::vector<std::optional<bool>> sequence_;  // of each place: whether its keys are indices
};

std::optional<std::size_t> walk(const Pytree& tree, const TreePath& path,
                                std::map<std::string, std::size_t> Pytree::Place::*names) {
  std::size_t at = 0;
  for (const std::string& name : path) {
    const auto& known = tree.places[at].*names;
    const auto found = known.find(name);
    if (found == known.end()) return std::nullopt;
    at = found->second;
  }
  return at;
}

}  // namespace

bool Leaf::has_array() const {
  return !skip && (value_type == "jax.Array" || value_type == "np.ndarray" || value_type == "scalar");
}

bool Leaf::is_empty_container() const {
  return value_type == "Dict" || value_type == "List" || value_type == "Tuple" || value_type == "NamedTuple";
}

std::optional<std::size_t> Pytree::find(const TreePath& path) const { return walk(*this, path, &Place::by_name); }

std::optional<std::size_t> Pytree::find_value(const TreePath& path) const {
  return walk(*this, path, &Place::by_value_name);
}

Pytree Pytree::parse(Bytes text, const std::string& file, bool has_manifest) {
  const auto fail = [&](const std::string& what) -> Error { return {Errc::corrupt, file + ": " + what}; };
  const auto need = [&](const std::optional<View>& v, const char* what) -> const View& {
    if (!v) throw fail(std::string("has no ") + what);
    return *v;
  };
  const View top = View::of(text);
  const auto all = top.find("tree_metadata");
  if (!need(all, "tree_metadata").is_object()) throw fail("tree_metadata: expected an object");

  Pytree tree;
  const auto flag = [&](const char* key, bool otherwise) {
    const auto v = top.find(key);
    return v && !v->is_null() ? !v->is_falsy() : otherwise;
  };
  tree.ocdbt = flag("use_ocdbt", has_manifest);
  tree.zarr3 = flag("use_zarr3", false);
  tree.missing_is_damage = flag("store_array_data_equal_to_fill_value", false);
  Builder builder(tree);
  all->each([&](const std::string&, const View& entry) {
    if (tree.leaves.size() == kMaxLeaves) throw fail("has over " + std::to_string(kMaxLeaves) + " leaves");
    const std::string place = "leaf " + std::to_string(tree.leaves.size()) + ": ";
    const auto path = entry.find("key_metadata"), value = entry.find("value_metadata");
    if (!path || !path->is_list()) throw fail(place + "has no list key_metadata");
    if (!value || !value->is_object()) throw fail(place + "has no object value_metadata");
    std::vector<Key> keys;
    path->each([&](const std::string&, const View& key) {
      if (keys.size() == kMaxDepth) throw fail(place + "has over " + std::to_string(kMaxDepth) + " keys");
      const auto own = key.find("key"), type = key.find("key_type");
      if (!own || !own->is_string() || !type) throw fail(place + "a key without 'key' and 'key_type'");
      if (type->literal() != "1" && type->literal() != "2")
        throw fail(place + "key_type: expected 1 or 2, got " + std::string(type->literal().substr(0, 20)));
      keys.push_back({own->string(), type->literal() == "1"});
    });
    Leaf leaf;
    for (std::size_t i = 0; i < keys.size(); ++i) leaf.name += (i ? "." : "") + keys[i].text;
    const auto type = value->find("value_type"), skip = value->find("skip_deserialize");
    if (!type || !type->is_string()) throw fail(place + "has no value_type");
    leaf.value_type = type->string();
    leaf.skip = skip && skip->is_true();
    if (const auto shape = value->find("write_shape")) leaf.write_shape = std::string(shape->literal());
    // One leaf that is the whole tree has no key; it is shown as the empty one would be.
    if (keys.empty() && !leaf.is_empty_container()) keys.push_back({"", false});
    tree.leaves.push_back(std::move(leaf));
    builder.add(keys, tree.leaves.size() - 1);
  });
  if (tree.leaves.empty()) throw fail("tree_metadata is empty");
  builder.finish();
  return tree;
}

}  // namespace ckptree::orbax
