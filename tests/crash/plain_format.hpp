#pragma once

#include <functional>
#include <string>

#include "ckptree/error.hpp"
#include "ckptree/format.hpp"

namespace ckptree_test {

/// The smallest checkpoint there can be: 64 bytes that hold the tag of the text behind them. Any mixture of two of them
/// is Errc::corrupt, so that a test of commits needs no other format. Its tree is one file, "text".
class PlainFormat final : public ckptree::Format {
 public:
  struct State final : ckptree::Model {
    explicit State(std::string t) : text(std::move(t)) {}
    std::optional<ckptree::Node> find(const ckptree::TreePath& path) const override {
      if (path != ckptree::TreePath{"text"}) return std::nullopt;
      ckptree::Node node;
      node.saving = ckptree::Node::Saving::whole;
      node.content = ckptree::Recipe::literal(text);
      return node;
    }
    void list(const ckptree::TreePath&,
              const std::function<bool(const std::string&, const ckptree::Node&)>& each) const override {
      each("text", *find({"text"}));
    }
    std::optional<ckptree::Node> vacant(const ckptree::TreePath&) const override { return std::nullopt; }
    ckptree::Ptr<ckptree::Model> apply(const ckptree::Op& op) const override {
      return std::make_shared<State>(op.content.text(1u << 30, "text"));
    }
    std::string text;
  };

  static constexpr std::uint64_t kHeader = 64;

  static std::string header(const std::string& text) {
    std::string line = "plain " + ckptree::tag_of(text);
    line.resize(kHeader - 1, ' ');
    return line + "\n";
  }
  static std::string bytes(const std::string& text) { return header(text) + text; }
  static std::string text_of(const ckptree::Model& model) { return dynamic_cast<const State&>(model).text; }
  static std::string parse(const ckptree::File& file) {
    std::string all(file.size(), '\0');
    file.read(0, ckptree::Buffer(all.data(), all.size()));
    const std::string text = all.size() < kHeader ? "" : all.substr(kHeader);
    if (all != bytes(text))
      throw ckptree::Error(ckptree::Errc::corrupt, file.name() + ": the tag is not that of the text");
    return text;
  }

  const char* kind() const override { return "plain"; }
  bool claims(const ckptree::Source&) const override { return true; }
  ckptree::Ptr<ckptree::Model> open(ckptree::Ptr<ckptree::Source> source, const ckptree::ViewOptions&) const override {
    return std::make_shared<State>(parse(*source->open("")));
  }
  ckptree::ChangeSet seal(const ckptree::Model& base, const ckptree::Model& edited,
                          const ckptree::Stamp& stamp) const override {
    if (text_of(base) == text_of(edited)) return {};
    return {{"text", ckptree::Change{ckptree::Recipe::literal(text_of(edited)), stamp.time}}};
  }
  /// As tier A does it: a clone, new bytes over it, everything synced before the name is.
  ckptree::Plan plan(const ckptree::Model&, const ckptree::Source& source, const ckptree::ChangeSet& changes,
                     const ckptree::Medium& medium) const override {
    using Kind = ckptree::Step::Kind;
    const std::string text = changes.at("text")->content.text(1u << 30, "text");
    const std::string target = source.path(), fresh = medium.temporary;
    ckptree::Plan plan;
    plan.target = target;
    plan.temporary = fresh;
    plan.bytes_written = bytes(text).size();
    plan.steps.push_back({Kind::clone, fresh, target, 0, source.open("")->size(), {}, {}});
    plan.steps.push_back({Kind::write, fresh, "", 0, 0, ckptree::Recipe::literal(header(text)), {}});
    plan.steps.push_back({Kind::write, fresh, "", kHeader, 0, changes.at("text")->content, {}});
    plan.steps.push_back({Kind::truncate, fresh, "", 0, kHeader + text.size(), {}, {}});
    plan.steps.push_back({Kind::copy_attributes, fresh, target, 0, 0, {}, {}});
    plan.steps.push_back({Kind::sync, fresh, "", 0, 0, {}, {}});
    plan.steps.push_back({Kind::verify, fresh, "", 0, 0, {}, [](const ckptree::Ptr<ckptree::File>& f) { parse(*f); }});
    plan.steps.push_back({Kind::rename, target, fresh, 0, 0, {}, {}});
    plan.steps.push_back({Kind::sync_dir, target.substr(0, target.rfind('/')), "", 0, 0, {}, {}});
    return plan;
  }
  std::string layout(const ckptree::Model&) const override { return "one text"; }
};

/// The model after the text was written.
inline ckptree::Ptr<ckptree::Model> with_text(const ckptree::Model& model, const std::string& text) {
  ckptree::Op op;
  op.path = {"text"};
  op.content = ckptree::Recipe::literal(text);
  return model.apply(op);
}

}  // namespace ckptree_test
