#include "tree/control.hpp"

#include <algorithm>

#include "ckptree/error.hpp"

namespace ckptree::control {
namespace {

Node directory(bool editable = false) {
  Node n;
  n.kind = Node::Kind::directory;
  n.saving = editable ? Node::Saving::value : Node::Saving::none;
  return n;
}

Node text_file(std::string text, bool writable = false) {
  Node n;
  n.content = Recipe::literal(std::move(text));
  n.saving = writable ? Node::Saving::value : Node::Saving::none;
  return n;
}

std::string line(const std::string& text) { return text.empty() ? text : text + "\n"; }

std::string pending_text(const Session& session) {
  std::string text;
  for (const std::string& edit : session.pending_lines()) text += edit + "\n";
  return text;
}

Bytes trimmed(Bytes text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

/// A directory of kept bytes: an entry each, and beside it `NAME.reason` where there is one.
std::optional<Node> find_kept(const std::vector<Kept>& kept, const std::string& name) {
  for (const Kept& k : kept) {
    Node n;
    if (name == k.name && !k.dropped) n.content = k.content;
    else if (!k.reason.empty() && name == k.name + kReasonSuffix) n.content = Recipe::literal(line(k.reason));
    else continue;
    n.mtime = k.time;
    return n;
  }
  return std::nullopt;
}

void list_kept(const std::vector<Kept>& kept, const std::function<bool(const std::string&, const Node&)>& each) {
  for (const Kept& k : kept)
    for (const std::string& name : {k.name, k.name + kReasonSuffix})
      if (const auto n = find_kept(kept, name); n && !each(name, *n)) return;
}

struct File {
  const char* name;
  Node (*show)(const Session&);
  void (*write)(Session&, Bytes);
};

// The rows. What has no `write` is read-only.
const File kFiles[] = {
    {"status.json", [](const Session& s) { return text_file(s.status_json()); }, nullptr},
    {"last_error", [](const Session& s) { return text_file(line(s.last_error_of_all())); }, nullptr},
    {"flush_interval", [](const Session& s) { return text_file(line(s.flush_interval().text()), true); },
     [](Session& s, Bytes text) { s.set_flush_interval_of_all(FlushInterval::parse(std::string(text))); }},
    {"pending", [](const Session& s) { return text_file(pending_text(s)); }, nullptr},
    {"flush", [](const Session&) { return text_file("", true); }, [](Session& s, Bytes) { s.commit_all(); }},
    {"discard", [](const Session&) { return text_file("", true); }, [](Session& s, Bytes) { s.discard_all(); }},
    {"sweep", [](const Session&) { return text_file("", true); }, [](Session& s, Bytes) { s.sweep(); }},
    {"report", [](const Session&) { return text_file("", true); }, [](Session&, Bytes) {}},
};

const File* file_named(const TreePath& path) {
  if (path.size() != 1) return nullptr;
  const auto found =
      std::find_if(std::begin(kFiles), std::end(kFiles), [&](const File& f) { return path[0] == f.name; });
  return found == std::end(kFiles) ? nullptr : found;
}

TreePath below(const TreePath& path) { return TreePath(path.begin() + 1, path.end()); }

}  // namespace

std::optional<Node> find(const Session& session, const TreePath& path) {
  if (path.empty()) return directory();
  if (const File* file = file_named(path)) return file->show(session);
  if (path[0] == "raw") return path.size() == 1 ? directory() : session.working()->find_raw(below(path));
  if (path[0] != "rejected" && path[0] != "removed") return std::nullopt;
  if (path.size() == 1) return directory(path[0] == "rejected");
  if (path.size() > 2) return std::nullopt;
  return find_kept(path[0] == "rejected" ? session.rejected() : session.removed(), path[1]);
}

void list(const Session& session, const TreePath& path,
          const std::function<bool(const std::string&, const Node&)>& each) {
  if (path.empty()) {
    for (const File& file : kFiles)
      if (!each(file.name, file.show(session))) return;
    for (const char* name : {"rejected", "removed", "raw"})
      if (!each(name, directory())) return;
  } else if (path[0] == "raw") {
    session.working()->list_raw(below(path), each);
  } else if (path.size() == 1 && path[0] == "rejected") {
    list_kept(session.rejected(), each);
  } else if (path.size() == 1 && path[0] == "removed") {
    list_kept(session.removed(), each);
  } else {
    throw Error(Errc::not_directory, ".ckptree/" + to_string(path) + ": not a directory");
  }
}

bool takes_writes(const TreePath& path) {
  const File* file = file_named(path);
  return file && file->write;
}

namespace {

void refuse_in_one_commit(const Session& session, const TreePath& path) {
  if (session.is_one_commit())
    throw Error(Errc::immutable, ".ckptree/" + to_string(path) +
                                     ": all that is done in this mount is one commit, which is made at its end");
}

}  // namespace

void write(Session& session, const TreePath& path, Bytes text) {
  const File* file = file_named(path);
  if (!file || !file->write) throw Error(Errc::immutable, ".ckptree/" + to_string(path) + ": cannot be written");
  refuse_in_one_commit(session, path);
  file->write(session, trimmed(text));
}

void remove(Session& session, const TreePath& path) {
  if (path.size() != 2 || path[0] != "rejected")
    throw Error(Errc::immutable, ".ckptree/" + to_string(path) + ": only entries of rejected/ can be removed");
  refuse_in_one_commit(session, path);
  session.forget_rejected(path[1]);
}

}  // namespace ckptree::control
