// Edits below imports/: other names for classes and functions, and placeholders for those that are gone.

#include <utility>

#include "ckptree/error.hpp"
#include "formats/torch/imports.hpp"
#include "formats/torch/object_place.hpp"
#include "formats/torch/pickled.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {
namespace {

using pickle::Editor;

/// The module and the name of a dotted one.
std::pair<std::string, std::string> split(const std::string& dotted) {
  const std::size_t dot = dotted.rfind('.');
  return {dotted.substr(0, dot), dotted.substr(dot + 1)};
}

/// One edit. Paths are those of the tree: imports, then a module, then a name.
class Edit {
 public:
  Edit(const State& state, const Op& op)
      : state_(state), op_(op), imports_(state.pickled->imports()), edit_(state.pickled->graph()), next_(state) {}

  State run() {
    switch (op_.kind) {
      case Op::Kind::write:
        throw Error(Errc::immutable,
                    place(op_.path) + ": shows what the pickle refers to; mv renames it, rm takes it out");
      case Op::Kind::make_dir: return make_dir();
      case Op::Kind::remove:
      case Op::Kind::remove_tree: return remove();
      case Op::Kind::rename: return rename();
      case Op::Kind::exchange: return exchange();
    }
    return state_;
  }

 private:
  static std::string place(const TreePath& path) { return to_string(path); }
  static bool is_module(const TreePath& path) { return path.size() == 2; }
  static bool is_name(const TreePath& path) { return path.size() == 3; }

  bool is_empty(const std::string& module_file) const {
    const auto [begin, end] = imports_->in(module_file);
    return begin == end;
  }
  bool exists(const std::string& module_file) const {
    return !is_empty(module_file) || state_.empty_modules.count(module_file) > 0;
  }

  State done() {
    next_.pickled = std::make_shared<const Pickled>(*state_.pickled, std::move(edit_).finish());
    return std::move(next_);
  }

  /// A module that lost its last name stays as a directory, as on any filesystem, until somebody removes it.
  void leave_empty(const std::string& module_file) { next_.empty_modules[module_file] = op_.path; }

  State make_dir() {
    if (!is_module(op_.path))
      throw Error(Errc::immutable, place(op_.path) + ": a module is one directory, under its dotted name");
    if (exists(op_.path[1])) throw Error(Errc::exists, place(op_.path) + ": exists");
    leave_empty(op_.path[1]);
    return std::move(next_);
  }

  void rename_all(const Import& import, const std::string& module, const std::string& name) {
    const std::string why = why_not_renameable(state_.pickled->graph(), import, module, name);
    if (!why.empty()) throw Error(Errc::immutable, place(op_.path) + ": " + why);
    for (const pickle::Id id : import.ids) edit_.rename_global(id, module, name);
  }

  /// Gives the one of a path the name of another.
  void rename_to(const Import& import, const TreePath& to) {
    const Import* there = imports_->find(to[1], to[2]);
    rename_all(import, module_of(to[1]), there ? there->name : key_of(to[2]));
  }

  /// The name that a directory stands for. One that was cut is known from what is in it.
  std::string module_of(const std::string& module_file) const {
    const auto [begin, end] = imports_->in(module_file);
    return begin != end ? imports_->all()[begin].module : key_of(module_file);
  }

  void replace_by_placeholder(const Import& import) {
    const auto [module, name] = split(state_.options.missing);
    if (import.module == module && import.name == name)
      throw Error(Errc::immutable, place(op_.path) + ": is the placeholder for what was removed");
    const std::string why = why_no_placeholder(state_.pickled->graph(), import);
    if (!why.empty()) throw Error(Errc::immutable, place(op_.path) + ": cannot be removed: " + why);
    rename_all(import, module, name);
  }

  State remove() {
    if (op_.path.size() < 2) throw Error(Errc::immutable, place(op_.path) + ": cannot be removed");
    const std::string& module = op_.path[1];
    const auto [begin, end] = imports_->in(module);
    if (is_name(op_.path)) {
      const Import* import = imports_->find(op_.path[1], op_.path[2]);
      if (!import) return gone();
      replace_by_placeholder(*import);
      if (end - begin == 1) leave_empty(module);
      return done();
    }
    if (begin != end && op_.kind == Op::Kind::remove) throw Error(Errc::not_empty, place(op_.path) + ": not empty");
    if (!exists(module)) throw Error(Errc::not_found, place(op_.path) + ": no such module");
    for (std::size_t i = begin; i < end; ++i) replace_by_placeholder(imports_->all()[i]);
    next_.empty_modules.erase(module);
    return done();
  }

  /// The edit was made, and committed; of it only the empty directory is left. Made again it leaves that.
  State gone() {
    if (!is_empty(op_.path[1])) throw Error(Errc::not_found, place(op_.path) + ": no such name");
    leave_empty(op_.path[1]);
    return std::move(next_);
  }

  State rename() {
    if (op_.to.front() != op_.path.front() || op_.to.size() < 2 || op_.path.size() < 2)
      throw Error(Errc::immutable, place(op_.path) + ": can only be moved within imports/");
    if (op_.to == op_.path) return state_;
    if (is_module(op_.path)) return rename_module();
    if (!is_name(op_.to))
      throw Error(Errc::immutable, place(op_.to) + ": only modules stand here; a name stands in its module");
    const Import* import = imports_->find(op_.path[1], op_.path[2]);
    if (!import) return gone();
    if (!exists(op_.to[1])) throw Error(Errc::not_found, place(op_.to) + ": no such module");
    rename_to(*import, op_.to);
    next_.empty_modules.erase(op_.to[1]);
    const auto [begin, end] = imports_->in(op_.path[1]);
    if (end - begin == 1 && op_.to[1] != op_.path[1]) leave_empty(op_.path[1]);
    return done();
  }

  /// `mv imports/a imports/b`, which arrives as a rename to imports/b/a where b exists: b has the names of both then.
  State rename_module() {
    const std::string &from = op_.path[1], &to = op_.to[1];
    if (is_name(op_.to) && (op_.to[2] != from || !exists(to) || to == from || imports_->find(to, from)))
      throw Error(Errc::immutable, place(op_.to) + ": a module has no modules in it");
    const auto [begin, end] = imports_->in(from);
    const std::string module = module_of(to);
    for (std::size_t i = begin; i < end; ++i) rename_all(imports_->all()[i], module, imports_->all()[i].name);
    next_.empty_modules.erase(from);
    if (begin != end) next_.empty_modules.erase(to);
    else if (!exists(to)) leave_empty(to);
    return done();
  }

  State exchange() {
    if (op_.to.front() != op_.path.front() || op_.to.size() != op_.path.size() || op_.path.size() < 2)
      throw Error(Errc::immutable, place(op_.path) + ": is exchanged with another module, or a name with another name");
    if (is_name(op_.path)) {
      const Import *one = imports_->find(op_.path[1], op_.path[2]), *two = imports_->find(op_.to[1], op_.to[2]);
      if (!one || !two) throw Error(Errc::not_found, place(one ? op_.to : op_.path) + ": no such name");
      rename_all(*one, two->module, two->name);
      rename_all(*two, one->module, one->name);
      return done();
    }
    for (const auto& [from, to] : {std::pair(op_.path[1], op_.to[1]), std::pair(op_.to[1], op_.path[1])}) {
      if (!exists(from)) throw Error(Errc::not_found, "imports/" + from + ": no such module");
      const auto [begin, end] = imports_->in(from);
      for (std::size_t i = begin; i < end; ++i) rename_all(imports_->all()[i], module_of(to), imports_->all()[i].name);
      next_.empty_modules.erase(to);
    }
    if (is_empty(op_.path[1])) leave_empty(op_.to[1]);
    if (is_empty(op_.to[1])) leave_empty(op_.path[1]);
    return done();
  }

  const State& state_;
  const Op& op_;
  const std::shared_ptr<const Imports> imports_;
  Editor edit_;
  State next_;
};

}  // namespace

State edit_import(const State& state, const Match&, const Op& op) {
  if (const auto why = why_not_editable(state)) throw Error(why->code(), to_string(op.path) + ": " + why->what());
  return Edit(state, op).run();
}

}  // namespace ckptree::torch
