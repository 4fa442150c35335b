#include "formats/torch/object_names.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace ckptree::torch {

ObjectNames::Directory::Directory(const pickle::Graph& graph, const View& view, const ListLooks& looks) {
  children(graph, view, [&](Child&& child) {
    const Look look = child.text.empty() ? view_at(graph, child.slot, &looks).look : Look::reference;
    FileName name = name_of(std::string(child.key_text(graph)), child.is_literal(), look);
    entries_.push_back({std::move(name.text), name.cut, std::move(child)});
    return true;
  });
  const auto is_item = [](const Named& named) { return named.child.part == Part::item; };
  const auto items = std::find_if(entries_.begin(), entries_.end(), is_item);
  std::reverse(items, std::find_if_not(items, entries_.end(), is_item));
  by_name_.resize(entries_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0);
  std::sort(by_name_.begin(), by_name_.end(),
            [&](std::uint32_t a, std::uint32_t b) { return entries_[a].name < entries_[b].name; });
}

const ObjectNames::Named* ObjectNames::Directory::find(const std::string& name) const {
  const auto at =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](std::uint32_t i, const std::string& wanted) { return entries_[i].name < wanted; });
  return at != by_name_.end() && entries_[*at].name == name ? &entries_[*at] : nullptr;
}

std::shared_ptr<const ObjectNames::Directory> ObjectNames::in(const View& view) const {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto known = directories_.find(view.id);
    if (known != directories_.end()) return known->second;
  }
  auto made = std::make_shared<const Directory>(graph_, view, survey_->list_looks());
  const std::lock_guard<std::mutex> guard(mutex_);
  return directories_.emplace(view.id, std::move(made)).first->second;  // another thread's, if it was faster
}

}  // namespace ckptree::torch
