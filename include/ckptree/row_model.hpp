#pragma once

// The generic half of row.hpp: finds the row for a path and calls it.

#include <type_traits>

#include "ckptree/error.hpp"
#include "ckptree/row.hpp"

namespace ckptree {

/// Whether a Table tells what an edit is an edit of.
template <class Table, class = void>
struct NamesMove : std::false_type {};
template <class Table>
struct NamesMove<Table, std::void_t<decltype(&Table::identity)>> : std::true_type {};

/// `Table` has `static xtl::span<const Row<M>> rows()` and `static std::vector<std::string> warnings(const M&)` and
/// `static std::vector<TreePath> waiting(const M&)`, and for the members or files under their own names
/// `static std::optional<Node> find_raw(const M&, const TreePath&)` and `static void list_raw(const M&, const
/// TreePath&, each)`. Where names move, also `static std::string identity(const M&, const TreePath&)` and `static bool
/// has(const M&, const std::string&)`, as Model has them.
template <class M, class Table>
class RowModel final : public Model {
 public:
  explicit RowModel(M state) : state_(std::move(state)) {}

  const M& state() const noexcept { return state_; }

  std::optional<Node> find(const TreePath& path) const override {
    if (path.empty()) return top();
    const auto [row, m] = row_of(path);
    return row ? row->show(state_, m) : std::nullopt;
  }

  void list(const TreePath& path, const std::function<bool(const std::string&, const Node&)>& each) const override {
    if (path.empty()) {
      for (const Row<M>& row : Table::rows()) {
        const std::string_view name = row.pattern.substr(0, row.pattern.find('/'));
        const TreePath child{std::string(name)};
        const auto m = match(row.pattern, child);
        if (name == "*" || !m) continue;
        const auto node = shown(row, *m);
        if (node && !each(child.front(), *node)) return;
      }
      return;
    }
    const auto [row, m] = row_of(path);
    const auto node = row ? row->show(state_, m) : std::nullopt;
    if (!node) throw Error(Errc::not_found, to_string(path) + ": no such directory");
    if (node->kind != Node::Kind::directory || !row->list)
      throw Error(Errc::not_directory, to_string(path) + ": not a directory");
    row->list(state_, m, each);
  }

  std::optional<Node> vacant(const TreePath& path) const override {
    const auto [row, m] = row_of(path);
    return row && row->vacant ? row->vacant(state_, m) : std::nullopt;
  }

  Ptr<Model> apply(const Op& op) const override {
    const auto [row, m] = row_of(op.path);
    if (!row) throw Error(Errc::immutable, to_string(op.path) + ": nothing can be stored under this name");
    if (!row->edit)
      throw Error(Errc::immutable, to_string(op.path) + ": derived from the checkpoint, cannot be edited");
    return std::make_shared<RowModel>(row->edit(state_, m, op));
  }

  std::optional<Node> find_raw(const TreePath& path) const override { return Table::find_raw(state_, path); }
  void list_raw(const TreePath& path, const std::function<bool(const std::string&, const Node&)>& each) const override {
    Table::list_raw(state_, path, each);
  }

  std::string identity(const TreePath& path) const override {
    if constexpr (NamesMove<Table>::value) return Table::identity(state_, path);
    else return {};
  }
  bool has(const std::string& identity) const override {
    if constexpr (NamesMove<Table>::value) return Table::has(state_, identity);
    else return true;
  }

  std::vector<TreePath> waiting() const override { return Table::waiting(state_); }
  std::vector<std::string> warnings() const override { return Table::warnings(state_); }

 private:
  /// For the listing of the top: what a row says about why there is nothing is for who asks for it by name.
  std::optional<Node> shown(const Row<M>& row, const Match& m) const {
    try {
      return row.show(state_, m);
    } catch (const Error& e) {
      if (e.code() == Errc::stale || e.code() == Errc::io) throw;
      return std::nullopt;
    }
  }
  static Node top() {
    Node n;
    n.kind = Node::Kind::directory;
    return n;
  }
  static std::pair<const Row<M>*, Match> row_of(const TreePath& path) {
    for (const Row<M>& row : Table::rows())
      if (auto m = match(row.pattern, path)) return {&row, std::move(*m)};
    return {nullptr, Match{}};
  }

  M state_;
};

}  // namespace ckptree
