#include "formats/torch/survey.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "ckptree/error.hpp"

namespace ckptree::torch {
namespace {

using pickle::Entries;
using pickle::Entry;
using pickle::Graph;
using pickle::Id;
using pickle::Kind;
using pickle::kNone;
using pickle::Slot;

// Ten times the most that a checkpoint is known to have. A tensor takes two bytes of a pickle when it is used again.
constexpr std::size_t kMaxTensors = 1'000'000;
// Of a name; keys of ours have 100. What lies deeper has the end of its path for a name.
constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kMaxNames = 256u << 20;
// Linux's PATH_MAX: a link to a longer one cannot be followed.
constexpr std::size_t kMaxPath = 4096;
// A module that is used in several places has its tensors under several names, as state_dict() has it. Past so many
// entries looked at, each is seen once: modules in modules in modules are few bytes and many paths.
constexpr std::size_t kMaxVisited = 10'000'000;

bool is_module_dict(Bytes key) { return key == "_modules" || key == "_parameters" || key == "_buffers"; }

}  // namespace

class Survey::Walk {
 public:
  Walk(const Graph& graph, Survey& survey, const Survey* before) : graph_(graph), s_(survey) {
    if (before) s_.looks_ = before->looks_;
  }

  void run() {
    s_.home_of_.assign(graph_.size(), kNone);
    s_.looks_.resize(graph_.size(), ListLook::unknown);
    const View top = look(graph_.root_slot());
    if (top.look == Look::tensor) add("", graph_.root_slot(), 0);
    if (top.look == Look::directory) {
      list_module(top.id);
      Child root;
      root.slot = graph_.root_slot();
      settle(top, 0, std::move(root));
      // The list of homes is the queue of those to look into: the place nearest to the top is the home.
      for (std::uint32_t i = 0; i < s_.homes_.size(); ++i) look_into(i);
      name_found();
    }
    number_names();
    s_.by_slot_.resize(s_.tensors_.size());
    std::iota(s_.by_slot_.begin(), s_.by_slot_.end(), 0);
    std::stable_sort(s_.by_slot_.begin(), s_.by_slot_.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return s_.tensors_[a].slot < s_.tensors_[b].slot; });
    for (std::size_t i = s_.homes_.size(); i-- > 1;)
      if (s_.homes_[i].is_shared) s_.homes_[s_.homes_[i].parent].is_shared = true;
  }

 private:
  // A tensor whose name is still to be told.
  struct Found {
    Child child;
    std::uint32_t home;
    bool is_entry() const { return child.part == Part::entry && !child.is_literal(); }
  };

  View look(Slot slot) {
    const View view = view_at(graph_, slot, &s_.looks_);
    if (is_list(graph_, view)) s_.looks_[view.id] = view.look == Look::list ? ListLook::file : ListLook::directory;
    return view;
  }

  void settle(const View& view, std::uint32_t parent, Child&& child) {
    s_.home_of_[view.id] = static_cast<std::uint32_t>(s_.homes_.size());
    const bool in_module = child.part == Part::attribute && is_module_dict(child.key_text(graph_));
    s_.homes_.push_back(
        {child.slot, view.slot, parent, view.typed, in_module, false, child.key, std::move(child.literal)});
  }

  void look_into(std::uint32_t home) {
    const Slot content = s_.homes_[home].content;
    const View directory{Look::directory, content, graph_.at(content), s_.homes_[home].typed};
    children(graph_, directory, [&](Child&& child) {
      if (!child.text.empty()) return true;
      const View view = look(child.slot);
      if (view.look == Look::tensor) {
        if (found_.size() >= kMaxTensors) refuse_more();
        found_.push_back({std::move(child), home});
      } else if (view.look == Look::directory) {
        const std::uint32_t known = s_.home_of_[view.id];
        if (known != kNone) {
          s_.homes_[known].is_shared = true;
          return true;
        }
        const bool is_state_dict =
            home == 0 && !child.is_literal() && child.key_text(graph_) == "state_dict" && is_dict(graph_, directory);
        settle(view, home, std::move(child));
        if (is_state_dict && is_dict(graph_, view)) state_dict_ = static_cast<std::uint32_t>(s_.homes_.size() - 1);
      }
      return true;
    });
  }

  /// Names of what was found: in a state dict the key, elsewhere the path.
  void name_found() {
    const std::size_t of_module = s_.tensors_.size();
    std::vector<std::pair<Slot, std::uint32_t>> listed;  // by list_module, and where they stand
    for (const Tensor& tensor : s_.tensors_) listed.emplace_back(tensor.slot, 0);
    std::sort(listed.begin(), listed.end());
    const auto find_listed = [&](Slot slot) {
      return std::lower_bound(listed.begin(), listed.end(), std::make_pair(slot, 0u));
    };
    std::stable_partition(found_.begin(), found_.end(), [&](const Found& f) { return f.home == state_dict_; });
    const View top = look(graph_.root_slot());
    const bool plain = is_dict(graph_, top);
    for (const Found& f : found_) {
      const Slot slot = f.child.slot;
      if (auto at = find_listed(slot); at != listed.end() && at->first == slot) {
        at->second = f.home;
        continue;
      }
      const bool is_key = f.is_entry() && (f.home == state_dict_ || (f.home == 0 && plain));
      add(is_key ? std::string(f.child.key_text(graph_)) : path_to(f), slot, f.home);
      if (!is_key) continue;
      s_.tensors_.back().renameable = true;
      s_.tensors_.back().entry = f.child.at;
    }
    for (std::size_t i = 0; i < of_module; ++i) s_.tensors_[i].home = find_listed(s_.tensors_[i].slot)->second;
  }

  std::string path_to(const Found& f) const {
    std::vector<Bytes> keys{f.child.key_text(graph_)};
    std::size_t size = keys.back().size();
    for (std::uint32_t i = f.home; i != 0 && size < kMaxName; i = s_.homes_[i].parent) {
      const Home& home = s_.homes_[i];
      ++size;  // also for one that is left out: the way up is as short as the path
      if (home.in_module) continue;
      keys.push_back(home.key == kNone ? Bytes(home.literal) : graph_.text(home.key));
      size += keys.back().size();
    }
    std::string path;
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) path.append(path.empty() ? "" : ".").append(*key);
    return path;
  }

  void add(std::string name, Slot slot, std::uint32_t home) {
    names_ += name.size();
    if (s_.tensors_.size() >= kMaxTensors || names_ > kMaxNames) refuse_more();
    s_.tensors_.push_back({std::move(name), slot, 0, home, false});
  }

  [[noreturn]] void refuse_more() const {
    throw Error(Errc::too_large, graph_.place() + ": more than " + std::to_string(kMaxTensors) +
                                     " tensors, or names of more than " + std::to_string(kMaxNames) + " bytes");
  }

  // The dicts of a torch.nn.Module; kNone: it has none.
  struct Module {
    Id modules = kNone, parameters = kNone, buffers = kNone;
    std::set<Bytes> without;  // names of buffers that state_dict() leaves out
  };
  Module module(Id id);
  void list_module(Id top);
  void list_tensors(Id dict, const std::string& prefix, const std::set<Bytes>& without);
  void number_names();

  const Graph& graph_;
  Survey& s_;
  std::vector<Found> found_;
  std::uint32_t state_dict_ = kNone;
  std::size_t names_ = 0;    // bytes
  std::size_t visited_ = 0;  // entries of modules
};

Survey::Walk::Module Survey::Walk::module(Id id) {
  Module found;
  const Id attributes = attributes_of(graph_, id);
  if (attributes == kNone) return found;
  Entries entries(graph_, attributes);
  for (Entry e; entries.next(e); ++visited_) {
    if (graph_.is_text(e.key, "_modules")) found.modules = e.value;
    if (graph_.is_text(e.key, "_parameters")) found.parameters = e.value;
    if (graph_.is_text(e.key, "_buffers")) found.buffers = e.value;
    if (!graph_.is_text(e.key, "_non_persistent_buffers_set")) continue;
    const View set = view_at(graph_, e.value_slot());
    if (!is_list(graph_, set)) continue;
    children(graph_, set, [&](Child&& child) {
      const Id name = graph_.at(child.slot);
      if (graph_.kind(name) == Kind::text) found.without.insert(graph_.text(name));
      ++visited_;
      return true;
    });
  }
  return found;
}

void Survey::Walk::list_tensors(Id dict, const std::string& prefix, const std::set<Bytes>& without) {
  if (dict == kNone) return;
  Entries entries(graph_, dict);
  for (Entry e; entries.next(e); ++visited_)
    if (is_tensor(graph_, e.value) && graph_.kind(e.key) == Kind::text && !without.count(graph_.text(e.key)))
      add(prefix + std::string(graph_.text(e.key)), e.value_slot(), 0);
}

/// What state_dict() of a module would list, if the object is one: its parameters, its buffers, then those of the
/// modules in it.
void Survey::Walk::list_module(Id top) {
  struct Visit {
    Id module;
    std::string prefix;
  };
  std::vector<Visit> open{{top, ""}};
  std::set<Id> seen;
  while (!open.empty()) {
    const Visit visit = std::move(open.back());
    open.pop_back();
    const bool again = !seen.insert(visit.module).second;
    if ((again && visited_ > kMaxVisited) || visit.prefix.size() > kMaxName) continue;
    const Module m = module(visit.module);
    if (m.modules == kNone || m.parameters == kNone) continue;
    list_tensors(m.parameters, visit.prefix, {});
    list_tensors(m.buffers, visit.prefix, m.without);
    const std::size_t first = open.size();
    Entries entries(graph_, m.modules);
    for (Entry e; entries.next(e); ++visited_)
      if (graph_.kind(e.key) == Kind::text)
        open.push_back({e.value, visit.prefix + std::string(graph_.text(e.key)) + "."});
    std::reverse(open.begin() + static_cast<std::ptrdiff_t>(first), open.end());
  }
}

/// "name:2" for the second of a name.
void Survey::Walk::number_names() {
  std::vector<Tensor>& all = s_.tensors_;
  std::vector<std::uint32_t> order(all.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const int by_name = all[a].name.compare(all[b].name);
    return by_name != 0 ? by_name < 0 : a < b;
  });
  std::vector<std::pair<std::uint32_t, std::size_t>> again;  // a tensor, and the how many-th of its name it is
  std::size_t n = 1;
  for (std::size_t i = 1; i < order.size(); ++i) {
    n = all[order[i]].name == all[order[i - 1]].name ? n + 1 : 1;
    if (n > 1) again.emplace_back(order[i], n);
  }
  if (again.empty()) return;
  std::set<std::string> taken;
  for (const Tensor& tensor : all) taken.insert(tensor.name);
  std::size_t skipped = 0;  // numbers that a key has in its own name, of the name that is being numbered
  for (const auto& [i, number] : again) {
    if (number == 2) skipped = 0;
    std::string name;
    do name = all[i].name + ":" + std::to_string(number + skipped);
    while (!taken.insert(name).second && ++skipped);
    all[i].name = std::move(name);
    all[i].renameable = false;
  }
}

Survey::Survey(const Graph& graph, const Survey* before) { Walk(graph, *this, before).run(); }

const Survey::Tensor* Survey::tensor_at(Slot slot) const {
  const auto at = std::lower_bound(by_slot_.begin(), by_slot_.end(), slot,
                                   [&](std::uint32_t i, Slot wanted) { return tensors_[i].slot < wanted; });
  return at != by_slot_.end() && tensors_[*at].slot == slot ? &tensors_[*at] : nullptr;
}

std::vector<bool> Survey::alive(const Graph& later) const {
  std::vector<bool> homes(homes_.size(), true);
  for (std::size_t i = 1; i < homes_.size(); ++i)  // parents come first
    homes[i] = homes[homes_[i].parent] && later.at(homes_[i].slot) != kNone;
  std::vector<bool> tensors;
  for (const Tensor& tensor : tensors_)
    tensors.push_back(later.at(tensor.slot) != kNone && (tensor.home == 0 || homes[tensor.home]));
  return tensors;
}

bool Survey::is_home(Id directory, Slot slot) const {
  if (directory >= home_of_.size() || home_of_[directory] == kNone) return true;
  return homes_[home_of_[directory]].slot == slot;
}

std::optional<TreePath> Survey::path_of(const Graph& graph, Id directory) const {
  TreePath path;
  if (directory >= home_of_.size() || home_of_[directory] == kNone) return path;
  std::size_t size = 0;
  for (std::uint32_t i = home_of_[directory]; i != 0; i = homes_[i].parent) {
    const Home& home = homes_[i];
    const bool literal = home.key == kNone;
    path.push_back(name_of(literal ? home.literal : std::string(graph.text(home.key)), literal, Look::directory).text);
    size += path.back().size() + 1;
    if (size >= kMaxPath) return std::nullopt;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

bool Survey::holds_shared(Id directory) const {
  if (directory >= home_of_.size() || home_of_[directory] == kNone) return false;
  return homes_[home_of_[directory]].is_shared;
}

}  // namespace ckptree::torch
