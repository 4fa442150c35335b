// Listing directories: what the model has, and the scratch that stands among it.

#include <algorithm>

#include "ckptree/error.hpp"
#include "tree/control.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {

std::uint64_t Mount::open_directory(Ino ino, const Caller& caller) {
  std::unique_lock<std::mutex> lock(s_->mutex);
  const Inode& dir = s_->inodes.at(ino);
  auto handle = std::make_shared<Handle>();
  handle->ino = ino;
  if (dir.kind == Inode::Kind::scratch) {
    for (const std::string& name : open_source(s_->inodes.real_of(dir))->list(""))
      handle->entries.push_back({name, std::nullopt, 0});
    return s_->keep_handle(handle);
  }
  const bool is_control = dir.kind == Inode::Kind::control;
  const State::Spot spot = s_->spot_of(dir);
  if (is_control) s_->await_last_closes(lock);
  else s_->tree_removals.note_listing(caller.thread, spot.view.get(), spot.path);
  std::vector<Name> mine;
  for (const auto& [name, h] : s_->hidden)
    if (name.first == ino && s_->is_hidden(name, caller)) mine.push_back(name);
  for (const auto& [name, scratch] : dir.scratch_names) handle->entries.push_back({name, std::nullopt, scratch});
  const std::size_t scratch_entries = handle->entries.size();
  lock.unlock();
  const auto add = [&](const std::string& name, const Node& node) {
    if (std::find(mine.begin(), mine.end(), Name{ino, name}) == mine.end()) handle->entries.push_back({name, node, 0});
    return true;
  };
  if (is_control) control::list(*spot.view->session, TreePath(spot.path.begin() + 1, spot.path.end()), add);
  else
    s_->ask(spot.view, [&](const Model& m) {
      handle->listed = m.shared_from_this();
      handle->entries.resize(scratch_entries);  // asked once more, the listing begins anew
      m.list(spot.path, add);
      return true;
    });
  lock.lock();
  return s_->keep_handle(handle);
}

void Mount::list(std::uint64_t handle, std::uint64_t from,
                 const std::function<bool(const ListedEntry&, std::uint64_t)>& each) {
  const auto open = s_->handle_at(handle);
  std::unique_lock<std::mutex> lock(s_->mutex);
  Inode& dir = s_->inodes.at(open->ino);
  const TreePath path = s_->inodes.path_of(dir);
  for (std::uint64_t i = from; i < open->entries.size() + 2; ++i) {
    ListedEntry listed;
    listed.attributes.st_mode = S_IFDIR;
    if (i < 2) {
      listed.name = i == 0 ? "." : "..";
      listed.attributes.st_ino = i == 0 ? dir.shown_ino : dir.parent ? s_->inodes.at(dir.parent).shown_ino : kRoot;
    } else {
      const Handle::Listed& entry = open->entries[i - 2];
      listed.name = entry.name;
      if (entry.node) {
        TreePath child = path;
        child.push_back(entry.name);
        const bool file = entry.node->kind == Node::Kind::file;
        if (file) listed.attributes.st_mode = S_IFREG;
        else if (entry.node->kind == Node::Kind::link) listed.attributes.st_mode = S_IFLNK;
        listed.attributes.st_ino = shown_number(child, file ? entry.node->content.tag : "");
      } else {
        const Inode* scratch = entry.ino ? s_->inodes.find(entry.ino) : s_->inodes.named(open->ino, entry.name);
        const std::string real = dir.kind == Inode::Kind::scratch ? s_->inodes.real_of(dir) + "/" + entry.name
                                 : scratch && scratch->linked     ? s_->inodes.real_of(*scratch)
                                                                  : std::string();
        if (real.empty() || ::lstat(real.c_str(), &listed.attributes) != 0) continue;
        if (scratch) listed.attributes.st_ino = scratch->shown_ino;
      }
    }
    if (!each(listed, i + 1)) return;
  }
}

void Mount::list_entries(std::uint64_t handle, std::uint64_t from, const Caller& caller,
                         const std::function<bool(const ListedEntry&, const Entry&, std::uint64_t)>& each) {
  const auto open = s_->handle_at(handle);
  for (std::uint64_t i = from; i < open->entries.size() + 2; ++i) {
    ListedEntry listed;
    Entry entry;
    if (i < 2) {
      list(handle, i, [&](const ListedEntry& l, std::uint64_t) {
        listed = l;
        return false;
      });
      if (!each(listed, entry, i + 1)) return;
      continue;
    }
    const Handle::Listed& e = open->entries[i - 2];
    listed.name = e.name;
    // A name the listing knows everything about is not looked up in the model once more.
    const bool known = e.node && (e.node->kind != Node::Kind::file || !e.node->content.tag.empty());
    std::optional<Entry> found;
    try {
      if (known) {
        std::unique_lock<std::mutex> lock(s_->mutex);
        Inode& dir = s_->inodes.at(open->ino);
        const bool current = open->listed && s_->inodes.view_of(dir)->session->working() == open->listed;
        if (current && dir.kind == Inode::Kind::model && !s_->in_flux({open->ino, e.name}) &&
            !dir.scratch_names.count(e.name)) {
          TreePath path = s_->inodes.path_of(dir);
          path.push_back(e.name);
          Inode& inode = s_->version_of(open->ino, e.name, path, *e.node);
          ++inode.lookups;
          found = s_->entry_of(inode);
        }
      }
      if (!found) found = lookup(open->ino, e.name, caller);
    } catch (const std::exception&) {
      bool listable = false;  // damaged, or not to be read: listed, not looked up
      list(handle, i, [&](const ListedEntry& l, std::uint64_t next) {
        listable = next == i + 1;
        listed = l;
        return false;
      });
      if (listable && !each(listed, Entry{}, i + 1)) return;
      continue;
    }
    if (!found) continue;  // gone since the directory was opened
    listed.attributes = found->attributes;
    if (!each(listed, *found, i + 1)) {
      forget(found->ino, 1);
      return;
    }
  }
}

void Mount::release_directory(std::uint64_t handle) {
  const std::lock_guard<std::mutex> guard(s_->mutex);
  const auto found = s_->handles.find(handle);
  if (found == s_->handles.end()) return;
  const Ino ino = found->second->ino;
  s_->handles.erase(found);
  s_->inodes.unpin(ino);
}

}  // namespace ckptree
