// From edited rows to a durable store: which files a commit has, and the order in which they are made.

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <random>
#include <set>
#include <system_error>

#include "ckptree/error.hpp"
#include "formats/earth2studio/edit.hpp"
#include "formats/earth2studio/prune.hpp"
#include "formats/earth2studio/state.hpp"
#include "formats/utc.hpp"

namespace ckptree::earth2studio {
namespace {

constexpr const char* kCatalog = "catalog.json";
// A commit of upstream is three levels deep, and one more for each container in a state.
constexpr std::size_t kMaxDepth = kMaxNesting;

/// commit_%08d_%s, as upstream names one.
std::string new_commit_id(std::int64_t write_count) {
  static thread_local std::random_device random;
  char id[64];
  std::snprintf(id, sizeof id, "commit_%08lld_%06x%06x", static_cast<long long>(write_count),
                static_cast<unsigned>(random() & 0xFFFFFF), static_cast<unsigned>(random() & 0xFFFFFF));
  return id;
}

/// datetime.now(timezone.utc).isoformat()
std::string isoformat(const std::timespec& time) {
  std::string out = utc_text(time.tv_sec);
  const long us = time.tv_nsec / 1000;
  if (us > 0) {
    char text[32];
    std::snprintf(text, sizeof text, ".%06ld", us);
    out += text;
  }
  return out + "+00:00";
}

/// Every regular file below a directory of the source, by its path from there. A symbolic link that leads to nothing
/// stays behind. @throws Error Errc::corrupt for one to a directory, or out of the store: without what is there the new
///         commit could not be read, and to walk it may never end
void collect_files(const Ptr<Source>& source, const std::string& directory, const std::string& prefix,
                   std::size_t depth, std::map<std::string, Recipe>& files) {
  if (depth > kMaxDepth) throw Error(Errc::corrupt, directory + ": directories more than 200 deep");
  for (const std::string& name : source->list(directory)) {
    const std::string path = directory + "/" + name;
    try {
      files[prefix + name] = whole_file(shown_file(source, path));
      continue;
    } catch (const Error& e) {
      if (e.code() == Errc::corrupt) throw;
      // A directory, or nothing that a commit has: sockets and the like stay behind.
    } catch (const std::system_error& e) {
      const int error = e.code().value();
      if (error != EISDIR && error != ENOENT && error != ELOOP) throw;
    }
    try {
      collect_files(source, path, prefix + name + "/", depth + 1, files);
    } catch (const std::system_error& e) {
      const int error = e.code().value();
      if (error != ENOTDIR && error != ENOENT && error != ELOOP) throw;
    }
  }
}

bool is_below(const std::string& path, const char* directory) {
  return path.compare(0, std::string(directory).size(), directory) == 0;
}

/// Puts the files of an edited row's new commit into `changes`. @return its entry
std::shared_ptr<const Entry> add_commit(const StoreRow& row, const State& state, const Stamp& stamp,
                                        ChangeSet& changes) {
  Rewritten fresh = rewritten(row);
  std::int64_t write_count = row.entry().write_count();
  if (state.options.edits_append) {
    const Json saved_at = Json::string(isoformat(stamp.time));
    write_count = next_write_count(write_count);
    for (Json* tree : {&fresh.entry, &fresh.manifest}) {
      tree->set("write_count", Json::number(write_count));
      tree->set("saved_at", saved_at);
    }
  }
  const std::string id = new_commit_id(write_count);
  for (Json* tree : {&fresh.entry, &fresh.manifest}) tree->set("commit_id", Json::string(id));

  std::map<std::string, Recipe> old, files;
  try {
    collect_files(row.source(), row.commit(), "", 0, old);
  } catch (const std::system_error& e) {
    row.cannot_be_read(row.commit(), e);
  }
  for (const auto& [path, content] : old) {
    const bool of_metadata = row.edited_metadata() && (is_below(path, "metadata/") || is_below(path, "artifacts/"));
    if (!of_metadata) files[path] = content;
  }
  for (const auto& [path, from] : fresh.moved)
    if (const auto found = old.find(from); found != old.end()) files[path] = found->second;
  for (auto& [path, content] : fresh.files) files[path] = std::move(content);
  files["manifest.json"] = Recipe::literal(dumps(fresh.manifest) + "\n");
  for (auto& [path, content] : files) changes["commits/" + id + "/" + path] = Change{std::move(content), stamp.time};
  return Entry::make(fresh.entry, id);
}

/// The same for a row that was written below next/.
std::shared_ptr<const Entry> add_written(const Written& row, const State& state, const Entry* last, const Stamp& stamp,
                                         ChangeSet& changes) {
  Json entry = row.entry, manifest = row.manifest;
  const std::string id = new_commit_id(std::stoll(entry.find("write_count")->text));
  const ViewOptions& options = state.options;
  const auto or_last = [&](std::optional<std::uint64_t> given, std::int64_t of_last) {
    return Json::number(given ? static_cast<std::int64_t>(*given) : of_last);
  };
  for (Json* tree : {&entry, &manifest}) {
    tree->set("commit_id", Json::string(id));
    tree->set("saved_at", Json::string(isoformat(stamp.time)));
    tree->set("rank", or_last(options.rank, last ? last->rank() : 0));
    tree->set("world_size", or_last(options.world_size, last ? last->world_size() : 1));
  }
  manifest.set("mode", Json::string(options.overwrite ? "overwrite" : "append"));
  manifest.set("checkpoint", Json::string(name_of(state)));
  for (const auto& [path, content] : row.files) changes["commits/" + id + "/" + path] = Change{content, stamp.time};
  changes["commits/" + id + "/manifest.json"] = Change{Recipe::literal(dumps(manifest) + "\n"), stamp.time};
  return Entry::make(entry, id);
}

}  // namespace

ChangeSet seal(const State& base, const State& edited, const Stamp& stamp) {
  ChangeSet changes;
  const bool any = std::any_of(edited.rows->begin(), edited.rows->end(), [](const auto& r) { return r->is_edited(); });
  if (!any && edited.untouched && edited.added.empty()) return changes;
  Entries entries, added;
  for (const auto& row : *edited.rows) {
    if (!row->is_edited()) {
      entries.push_back(row->stored());
      continue;
    }
    auto entry = add_commit(*row, base, stamp, changes);
    if (!base.options.edits_append) {
      entries.push_back(std::move(entry));
      continue;
    }
    entries.push_back(row->stored());
    added.push_back(std::move(entry));
  }
  const Entry* last = base.rows->empty() ? nullptr : &base.rows->back()->entry();
  for (const auto& row : edited.added) added.push_back(add_written(*row, base, last, stamp, changes));
  const Pruning rule{base.options.overwrite, base.options.history_size};
  for (const auto& entry : added) entries = with_row(entries, entry, rule);
  changes[kCatalog] = Change{Recipe::literal(catalog_text(entries)), stamp.time};
  return changes;
}

namespace {

Step step(Step::Kind kind, const std::string& path) {
  Step s{};
  s.kind = kind;
  s.path = path;
  return s;
}

std::string above(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// The file that a content is all of, to be hard-linked; null when it is put together.
Ptr<File> stored_file(const Recipe& content) {
  if (content.pieces.size() != 1) return nullptr;
  const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&content.pieces[0].from);
  const bool all = extent && extent->second == 0 && content.pieces[0].size == extent->first->size();
  return all && extent->first->fingerprint().inode != 0 ? extent->first : nullptr;
}

}  // namespace

// 1. Everything new is made in a directory of ours inside the store: not under a name that a run of Earth2Studio sweeps
//    (`.tmp_*`, and whatever no row names in commits/). Unchanged files are hard links: what power loss leaves of their
//    bytes is what it leaves of the row that is there now. New files are synced, then the directories they stand in,
//    from the bottom up.
// 2. Each new commit is renamed into commits/, and commits/ synced: no row names it yet. A crash up to here leaves the
//    old catalog with all its commits, a directory to be swept at mount, and commits that Earth2Studio sweeps.
// 3. The new catalog, written and synced beside, is exchanged with the old one: the commit point. Every commit that it
//    names is durable by then.
// 4. The directory of the store is synced: the choice survives power loss.
// 5. What came out of the exchange goes. Commits that are no longer named stay: a run beside us may name them again.
Plan plan(const State& base, const Source& source, const ChangeSet& changes, const Medium& medium) {
  const std::string store = source.path(), stage = medium.temporary, catalog = store + "/" + kCatalog;
  Plan plan;
  plan.target = catalog;
  plan.lock = store;
  plan.temporary = stage;
  const auto add = [&](Step s) { plan.steps.push_back(std::move(s)); };
  const bool has_catalog = base.store->catalog != nullptr;
  const auto like = [&](const std::string& path, const std::string& from) {
    Step attributes = step(Step::Kind::copy_attributes, path);
    attributes.from = from;
    add(std::move(attributes));
  };
  const auto put = [&](const std::string& path, const Recipe& content) {
    add(step(Step::Kind::clone, path));
    Step write = step(Step::Kind::write, path);
    write.content = content;
    plan.bytes_written += content.size();
    add(std::move(write));
    if (has_catalog) like(path, catalog);
    add(step(Step::Kind::sync, path));
  };

  // A commit without metadata or states has no such directory; upstream reads it so.
  std::set<std::string> commits, directories;
  for (const auto& [path, change] : changes) {
    if (path == kCatalog) continue;
    const std::string inside = path.substr(path.find('/') + 1);
    commits.insert(inside.substr(0, inside.find('/')));
    for (std::string dir = above(inside);; dir = above(dir)) {
      directories.insert(dir);
      if (dir.find('/') == std::string::npos) break;
    }
  }
  add(step(Step::Kind::make_dir, stage));
  for (const std::string& dir : directories) {  // a directory sorts before what is in it
    add(step(Step::Kind::make_dir, stage + "/" + dir));
    like(stage + "/" + dir, store);
  }
  Step exchange = step(Step::Kind::exchange, catalog);
  for (const auto& [path, change] : changes) {
    if (path == kCatalog) continue;
    const std::string staged = stage + "/" + path.substr(path.find('/') + 1);
    const Ptr<File> stored = stored_file(change->content);
    if (!stored) {
      put(staged, change->content);
      continue;
    }
    Step link = step(Step::Kind::link, staged);
    link.from = stored->name();
    link.content = change->content;
    add(std::move(link));
  }
  for (auto dir = directories.rbegin(); dir != directories.rend(); ++dir)
    add(step(Step::Kind::sync_dir, stage + "/" + *dir));
  if (!commits.empty()) {
    const Names names = source.list("");
    if (std::binary_search(names.begin(), names.end(), "commits")) {
      source.list("commits");  // through no symbolic link
    } else {
      add(step(Step::Kind::make_dir, store + "/commits"));
      like(store + "/commits", store);
      add(step(Step::Kind::sync_dir, store));
    }
    for (const std::string& id : commits) {
      Step rename = step(Step::Kind::rename, store + "/commits/" + id);
      rename.from = stage + "/" + id;
      exchange.expected.push_back(rename.path + "/manifest.json");
      plan.made.push_back(id);
      add(std::move(rename));
    }
    add(step(Step::Kind::sync_dir, store + "/commits"));
  }
  // Rows that were dropped, pruned or replaced: a run that names one of them again undid this commit.
  std::set<std::string> left;
  for (const auto& entry : parse_catalog(changes.at(kCatalog)->content.text(kMaxCatalog, kCatalog), kCatalog))
    left.insert(entry->commit_id());
  for (const auto& row : *base.rows)
    if (left.count(row->entry().commit_id()) == 0) plan.unmade.push_back(row->entry().commit_id());
  put(stage + "/" + kCatalog, changes.at(kCatalog)->content);
  exchange.from = stage + "/" + kCatalog;
  add(std::move(exchange));
  add(step(Step::Kind::sync_dir, store));
  add(step(Step::Kind::remove_tree, stage));
  return plan;
}

}  // namespace ckptree::earth2studio
