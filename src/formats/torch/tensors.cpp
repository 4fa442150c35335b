#include "formats/torch/tensors.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "formats/torch/index.hpp"
#include "formats/torch/pickled.hpp"

namespace ckptree::torch {
namespace {

// Changes that each edit copies; past it they are sorted in, which costs a few microseconds a tensor.
constexpr std::size_t kMaxChanges = 256;
// A shorter name is no longer than a file name may be, whatever is encoded in it.
constexpr std::size_t kNeverCut = 80;

bool begins_with(Bytes text, Bytes prefix) { return text.substr(0, prefix.size()) == prefix; }

}  // namespace

const std::string& Tensors::Base::name(Index i) const {
  const auto change = changes.find(i);
  return change != changes.end() && change->second ? *change->second : survey->tensors()[i].name;
}

bool Tensors::Base::is_there(Index i) const {
  const auto change = changes.find(i);
  return change != changes.end() ? change->second.has_value() : alive[i];
}

std::vector<Tensors::Index>::const_iterator Tensors::Base::lower_bound(Bytes wanted) const {
  return std::lower_bound(by_name.begin(), by_name.end(), wanted, [&](Index i, Bytes n) { return name(i) < n; });
}

std::shared_ptr<const Tensors::Base> Tensors::make_base(const pickle::Graph& graph,
                                                        std::shared_ptr<const Survey> survey, Changes changes) {
  const auto base = std::make_shared<Base>();
  base->graph = graph;
  base->survey = std::move(survey);
  base->changes = std::move(changes);
  base->alive = base->survey->alive(graph);
  for (Index i = 0; i < base->survey->tensors().size(); ++i) {
    if (!base->is_there(i)) continue;
    base->by_name.push_back(i);
    const std::string& name = base->name(i);
    if (name.size() <= kNeverCut) continue;
    if (const FileName file = file_name_of(name); file.cut) base->cut_files.emplace(file.text, i);
    if (const FileName file = array_file_name(name); file.cut) base->cut_arrays.emplace(file.text, i);
  }
  std::sort(base->by_name.begin(), base->by_name.end(),
            [&](Index a, Index b) { return base->name(a) < base->name(b); });
  return base;
}

Tensors::Tensors(pickle::Graph graph, std::shared_ptr<const Survey> survey)
    : graph_(std::move(graph)), base_(make_base(graph_, std::move(survey), {})), size_(base_->by_name.size()) {}

Tensors::Tensors(pickle::Graph edited, const Tensors& from)
    : graph_(std::move(edited)),
      base_(from.base_),
      changes_(from.changes_),
      new_names_(from.new_names_),
      size_(from.size_) {}

bool Tensors::is_there(Index i) const {
  const auto change = changes_.find(i);
  return change != changes_.end() ? change->second.has_value() : base_->is_there(i);
}

const std::string& Tensors::name(Index i) const {
  const auto change = changes_.find(i);
  return change != changes_.end() && change->second ? *change->second : base_->name(i);
}

std::optional<Tensors::Index> Tensors::find(Bytes name) const {
  if (const auto fresh = new_names_.find(std::string(name)); fresh != new_names_.end()) return fresh->second;
  const auto at = base_->lower_bound(name);
  const bool found = at != base_->by_name.end() && base_->name(*at) == name && !changes_.count(*at);
  return found ? std::optional<Index>(*at) : std::nullopt;
}

std::optional<Tensors::Index> Tensors::find_file(const std::string& file_name) const {
  const std::string key = key_of(file_name);
  if (const auto i = find(key); i && file_name_of(key).text == file_name) return i;
  const auto cut = base_->cut_files.find(file_name);
  if (cut != base_->cut_files.end() && !changes_.count(cut->second)) return cut->second;
  for (const auto& [name, i] : new_names_)
    if (name.size() > kNeverCut && file_name_of(name).text == file_name) return i;
  return std::nullopt;
}

std::optional<Tensors::Index> Tensors::find_array(const std::string& file_name) const {
  if (!is_array_file_name(file_name)) {
    const auto cut = base_->cut_arrays.find(file_name);
    if (cut != base_->cut_arrays.end() && !changes_.count(cut->second)) return cut->second;
    for (const auto& [name, i] : new_names_)
      if (name.size() > kNeverCut && array_file_name(name).text == file_name) return i;
    return std::nullopt;
  }
  const std::string stem = file_name.substr(0, file_name.size() - 4);
  const std::string key = key_of(stem);
  const auto i = find(key);
  return i && array_file_name(key).text == file_name ? i : std::nullopt;
}

std::shared_ptr<const std::vector<Tensors::Use>> Tensors::uses() const {
  return base_->uses.get([&] {
    auto uses = std::make_shared<std::vector<Use>>();
    std::vector<Index> listed = base_->by_name;
    std::sort(listed.begin(), listed.end());
    for (const Index i : listed) {
      const TensorInfo info = describe(base_->graph, base_->graph.at(place(i).slot));
      if (info.storage) uses->push_back({info.storage->key, i});
      for (const TensorPart& part : info.parts)
        if (part.tensor.storage) uses->push_back({part.tensor.storage->key, i});
    }
    std::sort(uses->begin(), uses->end(),
              [](const Use& a, const Use& b) { return std::tie(a.key, a.tensor) < std::tie(b.key, b.tensor); });
    return uses;
  });
}

std::vector<Tensors::Index> Tensors::sharing(Index i, const TensorInfo& info, std::size_t limit) const {
  std::vector<Index> found;
  const auto all = uses();
  const auto look = [&](const std::optional<StorageInfo>& storage) {
    if (!storage) return;
    const Bytes key = storage->key;
    auto at = std::lower_bound(all->begin(), all->end(), key, [](const Use& use, Bytes k) { return use.key < k; });
    for (std::size_t n = 0; at != all->end() && at->key == key && n < limit; ++at) {
      if (at->tensor == i || !is_there(at->tensor)) continue;
      found.push_back(at->tensor);
      ++n;
    }
  };
  look(info.storage);
  for (const TensorPart& part : info.parts) look(part.tensor.storage);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  if (found.size() > limit) found.resize(limit);
  return found;
}

bool Tensors::has_below(const std::string& prefix, const std::string& but, Index i) const {
  const auto is_key = [&](Index other) { return other != i && place(other).renameable; };
  const auto is_left_out = [&](Bytes name) { return !but.empty() && begins_with(name, but); };
  for (auto at = new_names_.lower_bound(prefix); at != new_names_.end() && begins_with(at->first, prefix); ++at)
    if (is_key(at->second) && !is_left_out(at->first)) return true;
  std::string behind = but;  // everything that begins with `but`
  if (!behind.empty()) ++behind.back();
  for (auto at = base_->lower_bound(prefix); at != base_->by_name.end() && begins_with(base_->name(*at), prefix);) {
    if (is_left_out(base_->name(*at))) {
      at = base_->lower_bound(behind);
      continue;
    }
    if (is_key(*at) && !changes_.count(*at)) return true;
    ++at;
  }
  return false;
}

void Tensors::set_name(Index i, std::optional<std::string> name) {
  auto& change = changes_[i];
  if (change) {
    const auto old = new_names_.find(*change);
    if (old != new_names_.end() && old->second == i) new_names_.erase(old);
  }
  if (name) new_names_[*name] = i;
  else --size_;
  change = std::move(name);
}

void Tensors::settle() {
  if (changes_.size() <= kMaxChanges) return;
  Changes all = base_->changes;
  for (auto& [i, name] : changes_) all[i] = std::move(name);
  base_ = make_base(graph_, base_->survey, std::move(all));
  changes_.clear();
  new_names_.clear();
}

std::shared_ptr<const Tensors> Tensors::renamed(pickle::Graph edited, Index i, const std::string& name) const {
  const std::shared_ptr<Tensors> next(new Tensors(std::move(edited), *this));
  next->set_name(i, name);
  next->settle();
  return next;
}

std::shared_ptr<const Tensors> Tensors::removed(pickle::Graph edited, Index i) const {
  const std::shared_ptr<Tensors> next(new Tensors(std::move(edited), *this));
  next->set_name(i, std::nullopt);
  next->settle();
  return next;
}

std::shared_ptr<const Tensors> Tensors::exchanged(pickle::Graph edited, Index one, Index other) const {
  const std::shared_ptr<Tensors> next(new Tensors(std::move(edited), *this));
  next->set_name(one, name(other));
  next->set_name(other, name(one));
  next->settle();
  return next;
}

std::shared_ptr<const Tensors> Pickled::tensors() const {
  return tensors_.get([&] { return std::make_shared<const Tensors>(graph(), survey()); });
}

}  // namespace ckptree::torch
