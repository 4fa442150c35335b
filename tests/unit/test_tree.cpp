// The tree without FUSE: a Mount over a small model, driven by a kernel of a few lines.

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "ckptree/log.hpp"
#include "ckptree/mount.hpp"

using namespace ckptree;

namespace {

using Files = std::map<std::string, std::string>;

using OpenInner = std::function<std::shared_ptr<Session>()>;

/// Documents ("doc": must begin with '{' and end with '}'), values below `values/` (digits only), and `fixed`; where it
/// is given, another checkpoint as `inner`.
struct SmallModel final : Model {
  explicit SmallModel(Files f, OpenInner i = {}) : files(std::move(f)), open_inner(std::move(i)) {}

  static Node file(const std::string& text, Node::Saving saving) {
    Node n;
    n.content = Recipe::literal(text);
    n.saving = saving;
    n.mtime = {1000, 0};
    return n;
  }
  static Node::Saving saving_of(const TreePath& path) {
    if (path.size() == 1 && path[0].compare(0, 3, "doc") == 0) return Node::Saving::whole;
    return path.size() == 2 && path[0] == "values" ? Node::Saving::value : Node::Saving::none;
  }

  std::optional<Node> find(const TreePath& path) const override {
    if (path.empty() || path == TreePath{"values"}) {
      Node n;
      n.kind = Node::Kind::directory;
      n.saving = path.empty() ? Node::Saving::none : Node::Saving::value;
      return n;
    }
    if (open_inner && path == TreePath{"inner"}) {
      Node n;
      n.kind = Node::Kind::nested;
      n.open_nested = open_inner;
      return n;
    }
    const auto found = files.find(to_string(path));
    if (found == files.end()) return std::nullopt;
    return file(found->second, saving_of(path));
  }

  void list(const TreePath& path, const std::function<bool(const std::string&, const Node&)>& each) const override {
    if (path.empty() && !each("values", *find({"values"}))) return;
    for (const auto& [name, text] : files) {
      const TreePath p = parse_path(name);
      if (p.size() == path.size() + 1 && std::equal(path.begin(), path.end(), p.begin()) && !each(p.back(), *find(p)))
        return;
    }
  }

  std::optional<Node> vacant(const TreePath& path) const override {
    const Node::Saving saving = saving_of(path);
    if (saving == Node::Saving::none || is_scratch_name(path.back())) return std::nullopt;
    return file("", saving);
  }

  Ptr<Model> apply(const Op& op) const override {
    Files next = files;
    const std::string name = to_string(op.path);
    if (op.kind == Op::Kind::write) {
      const std::string text = op.content.text(1 << 20, name);
      if (saving_of(op.path) == Node::Saving::whole && text == "{")
        throw Error(Errc::incomplete, name + ": expected {...}, got '{'");
      if (saving_of(op.path) == Node::Saving::whole &&
          (text.empty() || text.front() != '{' || text.find('}') == text.npos))
        throw Error(Errc::rejected, name + ": expected {...}, got '" + text + "'");
      if (saving_of(op.path) == Node::Saving::value && text.find_first_not_of("0123456789\n") != text.npos)
        throw Error(Errc::rejected, name + ": expected a number, got '" + text + "'");
      next[name] = text;
    } else if (op.kind == Op::Kind::remove) {
      if (next.erase(name) == 0) throw Error(Errc::not_found, name + ": no such entry");
    } else if (op.kind == Op::Kind::rename) {
      if (next.count(to_string(op.to))) throw Error(Errc::exists, to_string(op.to) + ": exists already");
      auto moved = next.extract(name);
      moved.key() = to_string(op.to);
      next.insert(std::move(moved));
    } else {
      throw Error(Errc::immutable, name + ": cannot be made");
    }
    return std::make_shared<SmallModel>(next, open_inner);
  }

  Files files;
  OpenInner open_inner;
};

/// A checkpoint in memory that counts commits and can be changed behind the session's back.
struct SmallCheckpoint final : Checkpoint {
  explicit SmallCheckpoint(Files f) : files(std::move(f)) {}

  std::string kind() const override { return "small"; }
  std::string path() const override { return place; }
  std::string layout(const Model&) const override { return "map"; }
  std::string strategy() const override { return "memory"; }
  Snapshot open() const override {
    const std::lock_guard<std::mutex> guard(mutex);
    return {0, std::make_shared<SmallModel>(files, open_inner), look_locked()};
  }
  Fingerprint look() const override {
    const std::lock_guard<std::mutex> guard(mutex);
    return look_locked();
  }
  Snapshot commit(const Snapshot& base, const Model& edited, const Stamp&) override {
    const std::lock_guard<std::mutex> guard(mutex);
    if (look_locked() != base.seen) throw Error(Errc::stale, "small: changed");
    if (fail) throw Error(Errc::no_space, "small: no space left");
    const Files& next = dynamic_cast<const SmallModel&>(edited).files;
    if (next == files) return base;
    files = next;
    ++commits;
    ++version;
    return {base.generation + 1, std::make_shared<SmallModel>(files, open_inner), look_locked()};
  }
  Fingerprint look_locked() const { return {1, version, files.size(), 0, 0}; }
  void change_outside(const std::string& name, const std::string& text) {
    const std::lock_guard<std::mutex> guard(mutex);
    files[name] = text;
    ++version;
  }

  mutable std::mutex mutex;
  Files files;
  std::string place;
  std::uint64_t version = 1;
  int commits = 0;
  bool fail = false;
  OpenInner open_inner;
};

/// A mount, and what the kernel and libc do around it: path walks, the retry after ESTALE, close.
struct World {
  explicit World(Files files = {{"doc", "{1}"}, {"fixed", "x"}, {"values/a", "1\n"}}, FlushInterval interval = {}) {
    char name[] = "tree-test-XXXXXX";
    folder = ::mkdtemp(name);
    const int fd = ::open((folder + "/small").c_str(), O_CREAT | O_WRONLY, 0644);
    ::close(fd);
    checkpoint = std::make_shared<SmallCheckpoint>(std::move(files));
    checkpoint->place = std::filesystem::canonical(folder + "/small").string();
    session = std::make_shared<Session>(checkpoint, interval);
    MountOptions options;
    options.umask = 022;
    mount = std::make_unique<Mount>(session, options);
  }
  ~World() {
    mount.reset();
    ::unlink((folder + "/small").c_str());
    ::rmdir(folder.c_str());
  }

  std::pair<Ino, std::string> parent_of(const std::string& path, const Caller& who) {
    Ino at = kRoot;
    TreePath names = parse_path(path);
    const std::string last = names.back();
    names.pop_back();
    for (const std::string& name : names) at = mount->lookup(at, name, who)->ino;
    return {at, last};
  }
  std::uint64_t open(const std::string& path, int flags, const Caller& who) {
    const auto [parent, name] = parent_of(path, who);
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto entry = mount->lookup(parent, name, who);
      if (!entry) return mount->create(parent, name, 0644, flags, who).second.handle;
      if (const auto opened = mount->open(entry->ino, flags, who)) return opened->handle;
    }
    throw Error(Errc::stale, path);
  }
  std::string read(const std::string& path, const Caller& who) {
    const std::uint64_t h = open(path, O_RDONLY, who);
    char text[4096];
    const std::size_t n = mount->read(h, 0, Buffer(text, sizeof text));
    mount->release(h);
    return std::string(text, n);
  }
  void write(const std::string& path, const std::string& text, const Caller& who) {
    const std::uint64_t h = open(path, O_WRONLY | O_TRUNC | O_CREAT, who);
    try {
      mount->write(h, 0, text, who);
      mount->flush(h, who);
    } catch (...) {
      mount->release(h);
      throw;
    }
    mount->release(h);
  }
  void unlink(const std::string& path, const Caller& who) {
    const auto [parent, name] = parent_of(path, who);
    mount->unlink(parent, name, who);
  }
  void rename(const std::string& from, const std::string& to, const Caller& who) {
    const auto a = parent_of(from, who), b = parent_of(to, who);
    mount->rename(a.first, a.second, b.first, b.second, 0, who);
  }
  bool exists(const std::string& path, const Caller& who) {
    const auto [parent, name] = parent_of(path, who);
    return mount->lookup(parent, name, who).has_value();
  }
  void wait_for(const std::function<bool()>& done) {
    for (int i = 0; i < 300 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(done());
  }

  std::string folder;
  std::shared_ptr<SmallCheckpoint> checkpoint;
  std::shared_ptr<Session> session;
  std::unique_ptr<Mount> mount;
};

/// A mount with a checkpoint within the one at its top, at `inner`.
struct NestedWorld : World {
  explicit NestedWorld(FlushInterval interval = FlushInterval::parse("none")) : World({{"doc", "{1}"}}, interval) {
    inner = std::make_shared<SmallCheckpoint>(Files{{"doc", "{1}"}, {"values/a", "1\n"}});
    inner->place = checkpoint->place + "/10";
    checkpoint->open_inner = [this, interval] { return std::make_shared<Session>(inner, interval); };
    session = std::make_shared<Session>(checkpoint, interval);
    mount = std::make_unique<Mount>(session, MountOptions{});
  }
  std::shared_ptr<SmallCheckpoint> inner;
};

Caller me() { return {::getpid(), ::getuid(), ::getgid(), 022}; }
Caller somebody_else() { return {1, 0, 0, 022}; }  // process 1 exists everywhere and outlives the test

}  // namespace

TEST_CASE("a document is saved at close, by one commit", "[mount]") {
  World w;
  w.write("doc", "{2}", me());
  CHECK(w.checkpoint->files["doc"] == "{2}");
  CHECK(w.checkpoint->commits == 1);
  CHECK(w.read("doc", me()) == "{2}");
}

TEST_CASE("the same bytes are no commit", "[mount]") {
  World w;
  w.write("doc", "{1}", me());
  CHECK(w.checkpoint->commits == 0);
}

TEST_CASE("a draft is its writer's alone until it is saved", "[mount]") {
  World w;
  const auto h = w.open("doc", O_WRONLY | O_TRUNC, me());
  CHECK(w.read("doc", somebody_else()) == "{1}");
  w.mount->write(h, 0, "{3", me());
  CHECK(w.read("doc", somebody_else()) == "{1}");
  w.mount->write(h, 2, "}", me());
  w.mount->flush(h, somebody_else());  // a child's duplicate
  CHECK(w.checkpoint->commits == 0);
  w.mount->flush(h, me());
  CHECK(w.read("doc", somebody_else()) == "{3}");
  w.mount->release(h);
}

TEST_CASE("a reader keeps the version it opened", "[mount]") {
  World w;
  const auto h = w.open("doc", O_RDONLY, somebody_else());
  w.write("doc", "{2}", me());
  char text[16];
  CHECK(std::string(text, w.mount->read(h, 0, Buffer(text, 16))) == "{1}");
  w.mount->release(h);
}

TEST_CASE("an invalid document is refused at close and its bytes are kept", "[mount]") {
  World w;
  REQUIRE_THROWS_WITH(w.write("doc", "oops", me()), says("doc: expected {...}, got 'oops'"));
  CHECK(w.read("doc", me()) == "{1}");
  REQUIRE(w.session->rejected().size() == 1);
  CHECK(w.session->rejected()[0].content.text(100, "") == "oops");
  CHECK(w.session->rejected()[0].reason == "doc: expected {...}, got 'oops'");
  CHECK(w.session->error_of({"doc"}) == "doc: expected {...}, got 'oops'");
}

TEST_CASE("an emptied document is none", "[mount]") {
  World w;
  const auto h = w.open("doc", O_WRONLY | O_TRUNC, me());
  w.mount->flush(h, me());
  w.mount->release(h);
  CHECK(w.read("doc", me()) == "{1}");
  CHECK(w.session->rejected().empty());
}

TEST_CASE("a document in pieces is one once it is whole", "[mount]") {
  World w;
  std::uint64_t end = 0;  // the kernel knows it
  const auto append = [&](const std::string& text) {
    const auto h = w.open("doc", O_WRONLY | O_APPEND, me());
    try {
      w.mount->write(h, end, text, me());
      end += text.size();
      w.mount->flush(h, me());
    } catch (const Error&) {
    }
    w.mount->release(h);
  };
  const auto h = w.open("doc", O_WRONLY | O_TRUNC, me());
  w.mount->flush(h, me());
  w.mount->release(h);
  append("{");
  CHECK(w.session->rejected().size() == 1);
  append("4}");
  CHECK(w.checkpoint->files["doc"] == "{4}");
  CHECK(w.session->rejected().empty());
}

TEST_CASE("a temporary moved onto a document is a save of it", "[mount]") {
  World w;
  w.write("t", "{5}", me());
  CHECK(w.exists("t", somebody_else()));
  CHECK(w.checkpoint->commits == 0);
  const Ino temporary = w.mount->lookup(kRoot, "t", me())->ino;
  w.rename("t", "doc", me());
  CHECK(w.checkpoint->files["doc"] == "{5}");
  CHECK_FALSE(w.exists("t", me()));
  CHECK(w.mount->lookup(kRoot, "doc", me())->ino == temporary);
}

TEST_CASE("a bad temporary is not moved, and both names stay", "[mount]") {
  World w;
  w.write("t", "bad", me());
  REQUIRE_THROWS_WITH(w.rename("t", "doc", me()), says("expected {...}"));
  CHECK(w.read("t", me()) == "bad");
  CHECK(w.read("doc", me()) == "{1}");
  CHECK(w.session->rejected().size() == 1);
}

TEST_CASE("who removes a document no longer sees it, and may put another in its place", "[mount]") {
  World w;
  w.unlink("doc", me());
  CHECK_FALSE(w.exists("doc", me()));
  CHECK(w.exists("doc", somebody_else()));
  w.write("doc", "{6}", me());
  CHECK(w.checkpoint->files["doc"] == "{6}");
  CHECK(w.checkpoint->commits == 1);
  CHECK(w.exists("doc", me()));
}

TEST_CASE("a removal that nothing replaces is committed within a second or so", "[mount]") {
  World w;
  w.unlink("doc", me());
  w.wait_for([&] { return w.session->committed()->model->find({"doc"}) == std::nullopt; });
  CHECK_FALSE(w.exists("doc", somebody_else()));
  REQUIRE(w.session->removed().size() == 1);
  CHECK(w.session->removed()[0].content.text(10, "") == "{1}");
}

TEST_CASE("a rename away leaves the document and gives the new name a copy", "[mount]") {
  World w;
  w.rename("doc", "doc~", me());
  CHECK(w.read("doc~", me()) == "{1}");
  CHECK_FALSE(w.exists("doc", me()));
  w.write("doc", "{7}", me());
  CHECK(w.checkpoint->files["doc"] == "{7}");
  CHECK(w.read("doc~", me()) == "{1}");
  w.rename("doc", "doc~", me());
  w.wait_for([&] { return w.exists("doc", me()); });
  CHECK(w.checkpoint->files.count("doc") == 1);
}

TEST_CASE("a value is checked by write itself", "[mount]") {
  World w;
  const auto h = w.open("values/a", O_WRONLY | O_TRUNC, me());
  REQUIRE_THROWS_WITH(w.mount->write(h, 0, "abc\n", me()), says("values/a: expected a number, got 'abc"));
  w.mount->flush(h, me());
  w.mount->release(h);
  CHECK(w.read("values/a", me()) == "1\n");
  CHECK(w.session->rejected().size() == 1);
}

TEST_CASE("values are visible at once and committed together", "[mount]") {
  World w;
  for (int i = 0; i < 50; ++i) w.write("values/k" + std::to_string(i), "7\n", me());
  CHECK(w.read("values/k49", somebody_else()) == "7\n");
  w.wait_for([&] { return w.session->pending_edits() == 0; });
  CHECK(w.checkpoint->files.count("values/k49") == 1);
  CHECK(w.checkpoint->commits <= 5);
}

TEST_CASE("with flush_interval=none nothing is committed until it is told", "[mount]") {
  World w({{"doc", "{1}"}, {"values/a", "1\n"}}, FlushInterval::parse("none"));
  w.write("doc", "{8}", me());
  w.write("values/a", "9\n", me());
  CHECK(w.read("doc", somebody_else()) == "{8}");
  CHECK(w.checkpoint->commits == 0);
  w.write(".ckptree/flush", "1\n", me());
  CHECK(w.checkpoint->commits == 1);
  CHECK(w.checkpoint->files["values/a"] == "9\n");
}

TEST_CASE("a flush at the top commits the edits of checkpoints within", "[mount]") {
  NestedWorld w;
  w.write("doc", "{8}", me());
  w.write("inner/doc", "{9}", me());
  CHECK(w.read(".ckptree/pending", me()) == "write\tdoc\nwrite\tinner/doc\n");
  CHECK(w.read(".ckptree/status.json", me()).find("\"pending\": 2,") != std::string::npos);
  w.write(".ckptree/flush", "1\n", me());
  CHECK(w.checkpoint->commits == 1);
  CHECK(w.inner->commits == 1);
  CHECK(w.inner->files["doc"] == "{9}");
  CHECK(w.read(".ckptree/pending", me()).empty());
  CHECK(w.read(".ckptree/status.json", me()).find("\"commits\": 2,") != std::string::npos);
}

TEST_CASE("a discard at the top drops the edits of checkpoints within", "[mount]") {
  NestedWorld w;
  w.write("inner/doc", "{9}", me());
  w.write(".ckptree/discard", "1\n", me());
  CHECK(w.read("inner/doc", me()) == "{1}");
  CHECK(w.mount->finish().all_committed);
  CHECK(w.inner->commits == 0);
}

TEST_CASE("a flush at the top goes on where one of the checkpoints fails, and names it", "[mount]") {
  NestedWorld w;
  w.write("inner/values/a", "9\n", me());
  w.write("doc", "{8}", me());
  w.inner->fail = true;
  REQUIRE_THROWS_WITH(w.write(".ckptree/flush", "1\n", me()), says("inner/small: no space left"));
  CHECK(w.checkpoint->commits == 1);
  CHECK(w.read(".ckptree/last_error", me()) == "inner/small: no space left\n");
  CHECK(w.read("inner/.ckptree/last_error", me()) == "small: no space left\n");
  CHECK(w.read(".ckptree/status.json", me()).find("\"rejected\": 1,") != std::string::npos);
}

TEST_CASE("edits of a checkpoint within stay visible when the kernel forgets it", "[mount]") {
  NestedWorld w;
  w.write("inner/doc", "{9}", me());
  const Ino inner = w.parent_of("inner/doc", me()).first;
  for (Ino any = 100; any > kRoot; --any) w.mount->forget(any, 1000);
  CHECK(w.parent_of("inner/doc", me()).first != inner);
  CHECK(w.read("inner/doc", me()) == "{9}");
  CHECK(w.read(".ckptree/pending", me()) == "write\tinner/doc\n");
}

TEST_CASE("the flush interval of the top is that of checkpoints within", "[mount]") {
  NestedWorld w(FlushInterval{});
  w.write(".ckptree/flush_interval", "none\n", me());
  w.write("inner/doc", "{2}", me());  // opened after it was set
  CHECK(w.inner->commits == 0);
  w.write(".ckptree/flush_interval", "1\n", me());
  w.write("inner/doc", "{3}", me());
  CHECK(w.inner->commits == 1);
}

TEST_CASE("with flush_interval=N the N-th save commits", "[mount]") {
  World w({{"doc", "{1}"}}, FlushInterval::parse("3"));
  for (const char* text : {"{2}", "{3}"}) w.write("doc", text, me());
  CHECK(w.checkpoint->commits == 0);
  w.write("doc", "{4}", me());
  CHECK(w.checkpoint->commits == 1);
}

TEST_CASE("a commit that fails is told to who saves, and nothing changes", "[mount]") {
  World w;
  w.checkpoint->fail = true;
  REQUIRE_THROWS_WITH(w.write("doc", "{9}", me()), says("no space left"));
  CHECK(w.read("doc", me()) == "{1}");
  CHECK(w.session->rejected().size() == 1);
  w.checkpoint->fail = false;
  w.write("doc", "{9}", me());
  CHECK(w.checkpoint->files["doc"] == "{9}");
}

TEST_CASE("a commit that fails after its writers were answered takes its edits back", "[mount]") {
  World w;
  w.checkpoint->fail = true;
  w.write("values/a", "5\n", me());
  w.wait_for([&] { return w.session->rejected().size() == 1; });
  CHECK(w.read("values/a", me()) == "1\n");
  CHECK(w.session->last_error() == "small: no space left");
}

TEST_CASE("a change made outside is noticed", "[mount]") {
  World w;
  w.checkpoint->change_outside("doc", "{outside}");
  w.wait_for([&] { return w.read("doc", me()) == "{outside}"; });
}

TEST_CASE("an edit of what changed outside meanwhile is stale and kept", "[mount]") {
  World w;
  const auto h = w.open("doc", O_WRONLY | O_TRUNC, me());
  w.mount->write(h, 0, "{mine}", me());
  w.checkpoint->change_outside("doc", "{theirs}");
  REQUIRE_THROWS_WITH(w.mount->flush(h, me()), says("doc: was changed by another program since this edit began"));
  w.mount->release(h);
  CHECK(w.checkpoint->files["doc"] == "{theirs}");
  REQUIRE(w.session->rejected().size() == 1);
  CHECK(w.session->rejected()[0].content.text(10, "") == "{mine}");
}

TEST_CASE("an edit beside what changed outside is made on top", "[mount]") {
  World w;
  const auto h = w.open("doc", O_WRONLY | O_TRUNC, me());
  w.mount->write(h, 0, "{mine}", me());
  w.checkpoint->change_outside("values/a", "44\n");
  w.mount->flush(h, me());
  w.mount->release(h);
  CHECK(w.checkpoint->files["doc"] == "{mine}");
  CHECK(w.checkpoint->files["values/a"] == "44\n");
}

TEST_CASE("what is derived cannot be written or removed", "[mount]") {
  World w;
  REQUIRE_THROWS_WITH(w.write("fixed", "y", me()), says("fixed: is derived from the checkpoint"));
  REQUIRE_THROWS_WITH(w.unlink("fixed", me()), says("fixed: cannot be removed"));
  CHECK((w.mount->lookup(kRoot, "fixed", me())->attributes.st_mode & 0222) == 0);
  CHECK((w.mount->lookup(kRoot, "doc", me())->attributes.st_mode & 0200) != 0);
}

TEST_CASE("scratch takes links, directories and renames, and never reaches the checkpoint", "[mount]") {
  World w;
  Entry made;
  w.mount->make_directory(kRoot, ".git", 0755, me(), made);
  w.write(".git/config", "[core]\n", me());
  w.rename(".git/config", ".git/other", me());
  CHECK(w.read(".git/other", me()) == "[core]\n");
  w.mount->make_link(kRoot, ".#doc", "user@host", me(), made);
  CHECK(w.mount->read_link(made.ino) == "user@host");
  w.write("t", "abc", me());
  w.mount->hard_link(w.mount->lookup(kRoot, "t", me())->ino, kRoot, "t2", me(), made);
  CHECK(w.read("t2", me()) == "abc");
  w.unlink("t", me());
  w.unlink("t2", me());
  w.unlink(".#doc", me());
  CHECK_FALSE(w.exists("t", me()));
  REQUIRE_THROWS(w.mount->remove_directory(kRoot, ".git", me()));
  w.unlink(".git/other", me());
  w.mount->remove_directory(kRoot, ".git", me());
  CHECK(w.checkpoint->commits == 0);
}

TEST_CASE("a directory lists the model and the scratch in it, and not the control directory", "[mount]") {
  World w;
  w.write("t", "abc", me());
  const auto h = w.mount->open_directory(kRoot, me());
  std::vector<std::string> names;
  w.mount->list_entries(h, 0, me(), [&](const ListedEntry& e, const Entry&, std::uint64_t) {
    names.push_back(e.name);
    return true;
  });
  w.mount->release_directory(h);
  CHECK(names == std::vector<std::string>{".", "..", "t", "values", "doc", "fixed"});
  CHECK(w.exists(".ckptree", me()));
  CHECK(w.read(".ckptree/flush_interval", me()) == "auto\n");
}

TEST_CASE("the end of a mount keeps refused bytes and says where", "[mount]") {
  World w;
  const std::string state = w.folder + "/state";
  ::setenv("XDG_STATE_HOME", state.c_str(), 1);
  CHECK_THROWS(w.write("doc", "bad", me()));
  const Report report = w.mount->finish();
  CHECK_FALSE(report.all_committed);
  REQUIRE(report.lines.size() == 2);
  CHECK(report.lines[0] == "refused: doc: expected {...}, got 'bad'");
  CHECK(report.lines[1].find("their bytes are in " + state) == 0);
  CHECK(std::system(("grep -rq bad " + state + " && rm -r " + state).c_str()) == 0);
}

TEST_CASE("the end of a mount tells in which of its checkpoints an edit was refused, and why, once", "[mount]") {
  NestedWorld w;
  const std::string state = w.folder + "/state";
  ::setenv("XDG_STATE_HOME", state.c_str(), 1);
  w.write("inner/values/a", "9\n", me());
  w.inner->fail = true;
  std::string logged;
  set_log_sink([&](const std::string& sentence) { logged = sentence; });
  const Report report = w.mount->finish();
  set_log_sink([](const std::string& sentence) { std::fprintf(stderr, "ckptree: %s\n", sentence.c_str()); });
  CHECK(logged == "inner/values/a: kept in rejected/: small: no space left");
  CHECK_FALSE(report.all_committed);
  REQUIRE(report.lines.size() == 2);
  CHECK(report.lines[0] == "refused: inner/values/a: small: no space left");
  CHECK(report.lines[1].find("their bytes are in " + state + "/ckptree/small-inner-") == 0);
  CHECK(std::system(("rm -r " + state).c_str()) == 0);
}

TEST_CASE("the end of a mount commits what is pending", "[mount]") {
  World w({{"doc", "{1}"}}, FlushInterval::parse("none"));
  w.write("doc", "{end}", me());
  CHECK(w.mount->finish().all_committed);
  CHECK(w.checkpoint->files["doc"] == "{end}");
}
