#pragma once

#include <map>
#include <string>

#include "codec/pickle/pickle.hpp"
#include "formats/torch/rows.hpp"
#include "formats/torch/survey.hpp"
#include "torch_checkpoint.hpp"
#include "torch_objects.hpp"

namespace ckptree_test {

/// A checkpoint with this data.pkl, without the storages it names.
inline Archive with_pickle(const std::string& pickle) {
  Archive a;
  a.torch("m/data.pkl", pickle).torch("m/byteorder", "little").torch("m/version", "3\n");
  return a;
}

inline ViewOptions edit_all() {
  ViewOptions options;
  options.edit_all = true;
  return options;
}

/// A checkpoint whose object is looked at and edited; nothing is committed.
class Pickle : public Mounted {
 public:
  explicit Pickle(const std::string& pickle, ViewOptions options = edit_all())
      : Mounted(with_pickle(pickle), std::move(options)) {}

  const torch::Pickled& pickled() const { return *dynamic_cast<const torch::TorchModel&>(**this).state().pickled; }
  /// As it would be stored.
  std::string encoded() const { return pickle::encode(pickled().graph()); }
  /// As it would be seen after it was.
  Pickle again() const { return Pickle(encoded()); }
  std::string target(const std::string& path) const {
    const auto node = find(path);
    return node && node->kind == Node::Kind::link ? node->target : "no link";
  }
  Names tensors() const {
    Names all;
    const auto survey = pickled().survey();
    const std::vector<bool> alive = survey->alive(pickled().graph());
    for (std::size_t i = 0; i < alive.size(); ++i)
      if (alive[i]) all.push_back(survey->tensors()[i].name);
    return all;
  }
  /// Every file of object/ with its text, every link with its target, every directory; and the same found one by one.
  std::map<std::string, std::string> all() const {
    std::map<std::string, std::string> found;
    walk("object", found);
    return found;
  }

 private:
  void walk(const std::string& path, std::map<std::string, std::string>& found) const {
    (*this)->list(parse_path(path), [&](const std::string& name, const Node& node) {
      const std::string below = path + "/" + name;
      const auto same = find(below);
      REQUIRE(same);
      REQUIRE(same->kind == node.kind);
      REQUIRE(same->target == node.target);
      REQUIRE(same->content.tag == node.content.tag);
      std::string& text = found[below];
      if (node.kind == Node::Kind::link) text = "-> " + node.target;
      else if (node.kind == Node::Kind::file) text = node.content.text(1 << 20, below);
      else text = "/", walk(below, found);
      return true;
    });
  }
};

}  // namespace ckptree_test
