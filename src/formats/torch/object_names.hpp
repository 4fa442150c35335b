#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ckptree/recipe.hpp"
#include "formats/torch/object_view.hpp"
#include "formats/torch/survey.hpp"

namespace ckptree::torch {

/// What the directories of the object hold, by name; each is looked into when it is first asked for. It serves the
/// graph it was made from and those in which entries were erased or values replaced since: whoever asks looks whether a
/// slot is kNone now. Safe to use from several threads.
class ObjectNames {
 public:
  struct Named {
    std::string name;
    bool cut;  // the name says a part of the key
    Child child;
  };

  /// One directory.
  class Directory {
   public:
    Directory(const pickle::Graph& graph, const View& view, const ListLooks& looks);

    /// In order, but with items of a list from the last to the first: only the last can be removed, so that is how
    /// `rm -r` has to meet them.
    const std::vector<Named>& entries() const noexcept { return entries_; }
    /// Null when there is none.
    const Named* find(const std::string& name) const;

   private:
    std::vector<Named> entries_;
    std::vector<std::uint32_t> by_name_;  // indices of entries_
  };

  ObjectNames(pickle::Graph graph, std::shared_ptr<const Survey> survey)
      : graph_(std::move(graph)), survey_(std::move(survey)) {}

  /// @param view  Look::directory, of a node of this graph
  std::shared_ptr<const Directory> in(const View& view) const;

  /// A content that is slow to make, made once. @param make  the content of that object, the same each time
  template <class Make>
  Recipe content(pickle::Id id, const Make& make) const {
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      const auto known = contents_.find(id);
      if (known != contents_.end()) return known->second;
    }
    Recipe made = make();
    const std::lock_guard<std::mutex> guard(mutex_);
    kept_ += made.size();
    if (kept_ > kMaxKept) {
      contents_.clear();
      kept_ = made.size();
    }
    return contents_.emplace(id, std::move(made)).first->second;
  }

 private:
  // Bytes of contents: objects without number may be made of one text.
  static constexpr std::uint64_t kMaxKept = 256u << 20;

  const pickle::Graph graph_;
  const std::shared_ptr<const Survey> survey_;
  mutable std::mutex mutex_;  // guards what is below; nothing else is locked while it is held
  mutable std::unordered_map<pickle::Id, std::shared_ptr<const Directory>> directories_;
  mutable std::unordered_map<pickle::Id, Recipe> contents_;
  mutable std::uint64_t kept_ = 0;  // bytes of contents_
};

}  // namespace ckptree::torch
