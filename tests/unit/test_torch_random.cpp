#include <random>

#include "torch_checkpoint.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

/// What arrays/ should hold: a file system of two kinds of things, kept as simply as can be. Paths begin with '/'.
struct Expected {
  std::map<std::string, std::string> arrays;  // path -> .npy file
  std::map<std::string, bool> directories;

  static std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }
  bool is_directory(const std::string& path) const { return path.empty() || directories.count(path) > 0; }
  bool is_empty(const std::string& path) const {
    const std::string below = path + "/";
    const auto in = [&](const auto& all) {
      const auto at = all.lower_bound(below);
      return at != all.end() && at->first.compare(0, below.size(), below) == 0;
    };
    return !in(arrays) && !in(directories);
  }
  /// Whether a directory and an array would have one key: "a" and "a.npy".
  bool has_twin(const std::string& path) const {
    const bool array = path.size() > 4 && path.substr(path.size() - 4) == ".npy";
    return array ? directories.count(path.substr(0, path.size() - 4)) > 0 : arrays.count(path + ".npy") > 0;
  }
  template <class Map>
  static void move(Map& all, const std::string& from, const std::string& to) {
    Map moved;
    for (auto& [path, what] : all) {
      const bool below = path == from || path.compare(0, from.size() + 1, from + "/") == 0;
      moved[below ? to + path.substr(from.size()) : path] = what;
    }
    all = moved;
  }
  void remove_tree(const std::string& top) {
    move(arrays, top, "gone");
    move(directories, top, "gone");
    for (auto it = arrays.lower_bound("gone"); it != arrays.end();) it = arrays.erase(it);
    for (auto it = directories.lower_bound("gone"); it != directories.end();) it = directories.erase(it);
  }
};

class Walk {
 public:
  explicit Walk(std::uint32_t seed) : random_(seed), mounted_(with_metadata(metadata_with("{}"))) {}

  void step() {
    const std::string path = any_path(), other = any_path();
    const bool array = path.size() > 4 && path.substr(path.size() - 4) == ".npy";
    const bool other_array = other.size() > 4 && other.substr(other.size() - 4) == ".npy";
    const bool there = expected_.arrays.count(path) || expected_.directories.count(path);
    const bool parent = expected_.is_directory(Expected::parent(path));
    const bool to_parent = expected_.is_directory(Expected::parent(other));
    Expected next = expected_;
    Op::Kind kind = Op::Kind::write;
    std::string to;
    std::optional<bool> works;
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2: {
        if (!array) return;
        const std::string file = any_file();
        next.arrays[path] = file;
        works = parent && !expected_.has_twin(path);
        return check(*works, next, [&] { mounted_.write("arrays" + path, file); });
      }
      case 3:
        if (array) return;
        kind = Op::Kind::make_dir;
        next.directories[path] = true;
        works = parent && !there && !expected_.has_twin(path);
        break;
      case 4:
        if (random_() % 2 != 0) return;
        kind = Op::Kind::remove;
        works = there && next.is_empty(path);
        next.remove_tree(path);
        break;
      case 5:
        if (random_() % 12 != 0) return;
        kind = Op::Kind::remove_tree;
        works = there;
        next.remove_tree(path);
        break;
      case 6: {
        kind = Op::Kind::rename;
        to = other;
        const bool target = expected_.arrays.count(other) || expected_.directories.count(other);
        const bool inside = other.compare(0, path.size() + 1, path + "/") == 0;
        works = there && to_parent && !inside && array == other_array && !expected_.has_twin(other) &&
                (path == other || array || !target || expected_.is_empty(other));
        if (path == other) break;
        next.arrays.erase(other);
        next.directories.erase(other);
        Expected::move(next.arrays, path, other);
        Expected::move(next.directories, path, other);
        break;
      }
      case 7: {
        kind = Op::Kind::exchange;
        to = other;
        const bool target = expected_.arrays.count(other) || expected_.directories.count(other);
        const bool inside =
            other.compare(0, path.size() + 1, path + "/") == 0 || path.compare(0, other.size() + 1, other + "/") == 0;
        works = there && target && !inside && array == other_array;
        if (path == other) break;
        for (const auto& [from, into] :
             {std::make_pair(path, std::string("/swap")), {other, path}, {std::string("/swap"), other}}) {
          Expected::move(next.arrays, from, into);
          Expected::move(next.directories, from, into);
        }
        break;
      }
    }
    INFO("edit " << static_cast<int>(kind) << " of " << path << " to " << to);
    check(*works, next, [&] { mounted_.edit(kind, "arrays" + path, to.empty() ? "" : "arrays" + to); });
  }

  void commit() {
    mounted_.commit();
    compare();
    CHECK_FALSE(mounted_.warns("arrays/"));
    // Every array has one member, and every member an array.
    std::size_t members = 0;
    const auto archive = mounted_.archive();
    for (const zip::Member& member : archive->members())
      members += member.name.compare(0, 18, "m/anemoi-metadata/") == 0;
    CHECK(members == expected_.arrays.size() + 1 + 2);  // the document, and two that were never in the index
    CHECK(mounted_.member("m/data/0") == std::string(4000, '0'));
  }

  const Expected& expected() const { return expected_; }

 private:
  std::string any_path() {
    const char* const names[] = {"a", "b", "A", "d", "sub dir"};
    std::string path;
    for (std::size_t depth = random_() % 3; depth > 0; --depth) path += std::string("/") + names[random_() % 5];
    path += std::string("/") + names[random_() % 5];
    return random_() % 3 == 0 ? path : path + ".npy";
  }
  std::string any_file() {
    const std::uint64_t n = random_() % 200;
    return npy_file("<i2", {n, 2}, std::string(4 * n, static_cast<char>('a' + random_() % 26)));
  }

  template <class Edit>
  void check(bool works, const Expected& next, const Edit& edit) {
    CHECK(code_of(edit).has_value() != works);
    if (works) expected_ = next;
    compare();
  }

  void compare() const {
    Expected found;
    std::vector<std::string> open{""};
    while (!open.empty()) {
      const std::string directory = open.back();
      open.pop_back();
      for (const std::string& name : mounted_.names("arrays" + directory)) {
        std::string path = directory + "/" + name;
        if (name.back() == '/') {
          path.pop_back();
          found.directories[path] = true;
          open.push_back(path);
        } else {
          found.arrays[path] = mounted_.read("arrays" + path);
        }
      }
    }
    INFO(mounted_.read("metadata.json"));
    REQUIRE(found.arrays == expected_.arrays);
    REQUIRE(found.directories == expected_.directories);
  }

  std::mt19937 random_;
  Mounted mounted_;
  Expected expected_;
};

}  // namespace

TEST_CASE("whatever is done to arrays, they are those of a simple file system, before and after commits", "[torch]") {
  std::size_t most = 0;
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    Walk walk(seed);
    for (int i = 0; i < 250; ++i) {
      walk.step();
      most = std::max(most, walk.expected().arrays.size());
      if (i % 10 == 9) walk.commit();
    }
  }
  CHECK(most >= 8);  // the walks went somewhere
}
