#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/recipe.hpp"
#include "codec/pickle/pickle.hpp"
#include "formats/lazy.hpp"
#include "formats/torch/survey.hpp"
#include "formats/torch/tensor_info.hpp"

namespace ckptree::torch {

/// The tensors of one state of the object, by name. An edit of a name makes the next table from this one at the cost of
/// that name, so that thousands in a loop are cheap. Immutable and safe to use from several threads.
class Tensors {
 public:
  /// Which one; the same in all tables that came from one by edits.
  using Index = std::uint32_t;

  /// @param survey  of this graph, or of one that it was edited from
  Tensors(pickle::Graph graph, std::shared_ptr<const Survey> survey);

  std::size_t size() const noexcept { return size_; }
  /// In the order of the survey, until `each` answers false.
  template <class Each>
  void each(const Each& each) const {
    for (Index i = 0; i < base_->survey->tensors().size(); ++i)
      if (is_there(i) && !each(i)) return;
  }

  std::optional<Index> find(Bytes name) const;
  /// By the name of its file in tensors/, and in values/.
  std::optional<Index> find_file(const std::string& file_name) const;
  std::optional<Index> find_array(const std::string& file_name) const;

  const std::string& name(Index i) const;
  const Survey::Tensor& place(Index i) const { return base_->survey->tensors()[i]; }
  TensorInfo info(Index i) const { return describe(graph_, graph_.at(place(i).slot)); }
  /// The first `limit` of those that have a storage in common with it, as they are listed, without it.
  std::vector<Index> sharing(Index i, const TensorInfo& info, std::size_t limit) const;

  /// tensors.tsv, made once. @param make  its text
  template <class Make>
  Recipe table(const Make& make) const {
    return *table_.get([&] { return std::make_shared<const Recipe>(Recipe::literal(make(*this))); });
  }

  /// Whether another key of the state dict than that of `i` begins with `prefix`, but not with `but`; empty: none does.
  bool has_below(const std::string& prefix, const std::string& but, Index i) const;

  /// The next table. `edited` is the graph in which this was done to the entry of the tensor.
  std::shared_ptr<const Tensors> renamed(pickle::Graph edited, Index i, const std::string& name) const;
  std::shared_ptr<const Tensors> removed(pickle::Graph edited, Index i) const;
  std::shared_ptr<const Tensors> exchanged(pickle::Graph edited, Index one, Index other) const;

 private:
  // What a tensor is called now; nothing: it is gone.
  using Changes = std::map<Index, std::optional<std::string>>;
  // A tensor and a storage that it, or a part of it, is a view of.
  struct Use {
    Bytes key;  // in the graph of the base
    Index tensor;
  };
  // What many tables share: how things stood when there were last many changes.
  struct Base {
    pickle::Graph graph;
    std::shared_ptr<const Survey> survey;
    Changes changes;                                     // of the names in the survey
    std::vector<bool> alive;                             // by Index: Survey::alive
    std::vector<Index> by_name;                          // sorted; those that are there
    std::map<std::string, Index> cut_files, cut_arrays;  // names of files that the names cannot be had back from
    Lazy<std::vector<Use>> uses;                         // sorted

    const std::string& name(Index i) const;
    bool is_there(Index i) const;
    std::vector<Index>::const_iterator lower_bound(Bytes name) const;
  };

  Tensors(pickle::Graph edited, const Tensors& from);
  static std::shared_ptr<const Base> make_base(const pickle::Graph& graph, std::shared_ptr<const Survey> survey,
                                               Changes changes);
  std::shared_ptr<const std::vector<Use>> uses() const;
  bool is_there(Index i) const;
  void set_name(Index i, std::optional<std::string> name);
  void settle();

  pickle::Graph graph_;
  std::shared_ptr<const Base> base_;
  Changes changes_;                         // since
  std::map<std::string, Index> new_names_;  // in changes_
  std::size_t size_ = 0;
  Lazy<Recipe> table_;
};

}  // namespace ckptree::torch
