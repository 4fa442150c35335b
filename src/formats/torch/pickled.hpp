#pragma once

#include <ctime>
#include <memory>
#include <string>

#include "codec/pickle/pickle.hpp"
#include "formats/lazy.hpp"
#include "formats/torch/archive.hpp"

namespace ckptree::torch {

class Imports;
class ObjectNames;
class Survey;
class Tensors;

/// One state of data.pkl: the pickled object as data, and what is found in it, each when it is first asked for.
/// Immutable and safe to use from several threads. Ids and slots of a graph stay what they are in those edited from it.
class Pickled : public std::enable_shared_from_this<Pickled> {
 public:
  /// What is known about the graph before an edit that is as true after it, so that thousands of edits cost what they
  /// touch. What was erased is told by its slot, which is kNone.
  enum class Keep {
    nothing,  // a directory or a tensor has another name or place, or the home of something shared is gone
    survey,   // names of other things came or changed
    names,    // values were replaced by such as are shown alike, or entries erased
  };

  /// As it is stored. Reads nothing yet.
  explicit Pickled(Ptr<Archive> archive);
  /// After an edit.
  Pickled(const Pickled& base, pickle::Graph edited, Keep keep = Keep::nothing);
  /// After an edit of names of tensors, which knows what they are now.
  Pickled(const Pickled& base, pickle::Graph edited, Keep keep, std::shared_ptr<const Tensors> tensors);
  ~Pickled();

  const Ptr<Archive>& archive() const noexcept { return archive_; }
  /// @throws Error Errc::corrupt, Errc::too_large "FILE: data.pkl at byte N: ..."
  const pickle::Graph& graph() const;
  /// Why it can only be shown, in a sentence; empty when it can be edited. As costly as encoding it, once.
  /// @throws Error as graph()
  const std::string& obstacle() const;
  /// Where the objects stand, but for what was erased since. @throws Error as graph()
  std::shared_ptr<const Survey> survey() const;
  /// What directories hold, but for what was erased since. @throws Error as graph()
  std::shared_ptr<const ObjectNames> names() const;
  /// Defined with Tensors. @throws Error as graph()
  std::shared_ptr<const Tensors> tensors() const;
  /// The classes and functions that it refers to. @throws Error as graph()
  std::shared_ptr<const Imports> imports() const;
  /// Time of data.pkl.
  std::timespec mtime() const noexcept { return mtime_; }

 private:
  const Ptr<Archive> archive_;
  const std::timespec mtime_;
  const std::shared_ptr<const Pickled> stored_;  // of an edited one: what it comes from
  std::shared_ptr<const Survey> before_;         // of an edited one: the last that was made
  Lazy<pickle::Graph> graph_;
  Lazy<std::string> obstacle_;
  Lazy<Survey> survey_;
  Lazy<ObjectNames> names_;
  Lazy<Tensors> tensors_;
  Lazy<Imports> imports_;
};

}  // namespace ckptree::torch
