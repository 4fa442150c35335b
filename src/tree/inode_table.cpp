#include "tree/inode_table.hpp"

#include <algorithm>

#include "ckptree/error.hpp"

namespace ckptree {

InodeTable::InodeTable() {
  Inode& root = add(Inode::Kind::model, 0, "");
  root.node.kind = Node::Kind::directory;
  root.shown_ino = kRoot;
  root.pins = 1;
}

Inode* InodeTable::find(Ino ino) {
  const auto found = inodes_.find(ino);
  return found == inodes_.end() ? nullptr : &found->second;
}

Inode& InodeTable::at(Ino ino) {
  if (Inode* inode = find(ino)) return *inode;
  throw Error(Errc::stale, "inode " + std::to_string(ino) + ": is not known (any more)");
}

Inode* InodeTable::named(Ino parent, const std::string& name) {
  const auto found = names_.find({parent, name});
  return found == names_.end() ? nullptr : find(found->second);
}

Inode& InodeTable::add(Inode::Kind kind, Ino parent, const std::string& name) {
  Inode inode;
  inode.ino = next_++;
  inode.kind = kind;
  inode.parent = parent;
  inode.name = name;
  inode.shown_ino = inode.ino;
  if (parent != 0) pin(parent);
  return inodes_.emplace(inode.ino, std::move(inode)).first->second;
}

void InodeTable::bind(Inode& inode) { names_[{inode.parent, inode.name}] = inode.ino; }

void InodeTable::unbind(Ino parent, const std::string& name) { names_.erase({parent, name}); }

void InodeTable::move(Inode& inode, Ino parent, const std::string& name) {
  const auto old = names_.find({inode.parent, inode.name});
  if (old != names_.end() && old->second == inode.ino) names_.erase(old);
  const Ino former = inode.parent;
  pin(parent);
  inode.parent = parent;
  inode.name = name;
  bind(inode);
  unpin(former);
}

void InodeTable::add_alias(Inode& inode, Alias alias) {
  pin(alias.parent);
  names_[{alias.parent, alias.name}] = inode.ino;
  inode.aliases.push_back(std::move(alias));
}

void InodeTable::put_first(Inode& inode, Ino parent, const std::string& name) {
  for (Alias& alias : inode.aliases) {
    if (alias.parent != parent || alias.name != name) continue;
    std::swap(alias.parent, inode.parent);
    std::swap(alias.name, inode.name);
    std::swap(alias.real, inode.real);
    return;
  }
}

bool InodeTable::remove_name(Inode& inode, Ino parent, const std::string& name) {
  put_first(inode, parent, name);
  unbind(parent, name);
  if (inode.aliases.empty()) return false;
  const Alias next = inode.aliases.back();
  inode.aliases.pop_back();
  inode.parent = next.parent;
  inode.name = next.name;
  inode.real = next.real;
  unpin(parent);
  return true;
}

void InodeTable::unpin(Ino ino) {
  Inode& inode = at(ino);
  if (inode.pins > 0) --inode.pins;
  collect(ino);
}

void InodeTable::collect(Ino ino) {
  while (ino != 0) {
    Inode* inode = find(ino);
    if (!inode || inode->lookups > 0 || inode->pins > 0) return;
    const auto name = names_.find({inode->parent, inode->name});
    const bool bound = name != names_.end() && name->second == ino;
    // A scratch file lives by its name; everything else can be made again from the model.
    if (inode->kind == Inode::Kind::scratch && inode->linked) return;
    if (bound) names_.erase(name);
    const Ino parent = inode->parent;
    inodes_.erase(ino);
    if (parent == 0) return;
    Inode* above = find(parent);
    if (above && above->pins > 0) --above->pins;
    ino = parent;
  }
}

TreePath InodeTable::path_of(const Inode& inode) {
  TreePath path;
  for (const Inode* i = &inode; i && !i->view; i = find(i->parent)) path.push_back(i->name);
  std::reverse(path.begin(), path.end());
  return path;
}

std::shared_ptr<View> InodeTable::view_of(const Inode& inode) {
  const Inode* i = &inode;
  while (!i->view) i = &at(i->parent);
  return i->view;
}

std::string InodeTable::real_of(const Inode& inode) {
  std::string below;
  const Inode* i = &inode;
  for (; i->real.empty(); i = &at(i->parent)) below = "/" + i->name + below;
  return i->real + below;
}

std::uint64_t shown_number(const TreePath& path, const std::string& tag) {
  const std::string digits = tag_of(to_string(path) + '\0' + tag).substr(2, 16);
  // Not 0, not the root's, and positive as a signed number: some tools read it so.
  return (std::stoull(digits, nullptr, 16) >> 1) | 0x10;
}

}  // namespace ckptree
