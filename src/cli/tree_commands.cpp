// ls, cat and write: the tree of a checkpoint without a mount.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "ckptree/fd.hpp"
#include "cli/checkpoint.hpp"
#include "cli/commands.hpp"
#include "cli/status.hpp"
#include "tree/control.hpp"

namespace ckptree::cli {

namespace {

constexpr std::size_t kBuffer = 1 << 20;

void put(const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(STDOUT_FILENO, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Stop(Status::failure, std::string("standard output: ") + std::strerror(errno));
    data += n;
    size -= static_cast<std::size_t>(n);
  }
}

constexpr const char* kControl = ".ckptree";

// As many as the kernel follows.
constexpr int kMaxLinks = 40;

/// Where a link leads to, from the directory that it is in.
TreePath led_to(TreePath directory, const std::string& target) {
  for (std::size_t at = 0; at < target.size();) {
    const std::size_t end = std::min(target.find('/', at), target.size());
    const std::string name = target.substr(at, end - at);
    if (name == ".." && !directory.empty()) directory.pop_back();
    else if (name != ".." && name != "." && !name.empty()) directory.push_back(name);
    at = end + 1;
  }
  return directory;
}

/// Goes from `session` to the checkpoint that a path leads into, through links and checkpoints within checkpoints;
/// `path` becomes the rest. A failure leaves `session` where it was met.
/// @param follow  whether a link at its end is followed too
void enter(std::shared_ptr<Session>& session, TreePath& path, bool follow) {
  int links = 0;
  for (std::size_t n = 1; n <= path.size() && path[0] != kControl;) {
    const TreePath above(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(n));
    const TreePath rest(path.begin() + static_cast<std::ptrdiff_t>(n), path.end());
    const auto node = session->working()->find(above);
    if (!node) break;
    ++n;
    if (node->kind == Node::Kind::nested && node->open_nested) {
      const auto inner = node->open_nested();
      session->contain(above, inner);
      session = inner;
      path = rest;
      n = 1;
    } else if (node->kind == Node::Kind::link && (follow || !rest.empty()) && ++links <= kMaxLinks) {
      path = led_to(TreePath(above.begin(), above.end() - 1), node->target);
      path.insert(path.end(), rest.begin(), rest.end());
      n = 1;
    }
  }
}

/// The tree as a mount shows it: the checkpoint's model, and beside it the control directory.
class Tree {
 public:
  Tree(std::shared_ptr<Session> session, const Options& options)
      : session_(std::move(session)),
        model_(session_->working()),
        hides_data_(options.view.no_data || (!options.data && !session_->within().empty())) {}

  std::optional<Node> find(const TreePath& path) const {
    if (path.empty()) {
      Node top;
      top.kind = Node::Kind::directory;
      return top;
    }
    return path[0] == kControl ? control::find(*session_, below(path)) : model_->find(path);
  }
  Node at(const TreePath& path) const {
    auto node = find(path);
    if (node) return *node;
    const bool is_data = hides_data_ && std::find(path.begin(), path.end(), "values") != path.end();
    throw Error(Errc::not_found, to_string(path) + ": no such file in this checkpoint" +
                                     (is_data ? ", which is shown without values/; -o data shows it" : ""));
  }
  void list(const TreePath& path, const std::function<bool(const std::string&, const Node&)>& each) const {
    if (!path.empty() && path[0] == kControl) control::list(*session_, below(path), each);
    else model_->list(path, each);
  }

 private:
  static TreePath below(const TreePath& path) { return {path.begin() + 1, path.end()}; }

  std::shared_ptr<Session> session_;
  Ptr<Model> model_;
  bool hides_data_;  // by -o nodata, or because the checkpoint is one of several
};

/// Runs a command whose failures are about the source that it was given, and in it about the checkpoint that it is at.
int about_source(const Arguments& a, const std::function<void(std::shared_ptr<Session>& at)>& command) {
  std::shared_ptr<Session> at;
  try {
    command(at);
    return 0;
  } catch (const Stop&) {
    throw;
  } catch (...) {
    const Ending ending = current_ending();
    throw Stop(ending.status, a.words[0] + ": " + (at ? at->from_top(ending.text) : ending.text));
  }
}

char letter(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::directory:
    case Node::Kind::nested: return 'd';
    case Node::Kind::file: return '-';
    case Node::Kind::link: return 'l';
  }
  return '?';
}

/// "-rw-      1234 2026-01-31 12:00:00 metadata.json": always four fields before the name; times in UTC.
std::string long_line(const std::string& name, const Node& node, bool read_only) {
  char time[32] = "         -        -";  // two fields as well
  std::tm broken_down{};
  if (node.mtime.tv_sec != 0 && ::gmtime_r(&node.mtime.tv_sec, &broken_down))
    std::strftime(time, sizeof time, "%Y-%m-%d %H:%M:%S", &broken_down);
  char line[96];
  std::snprintf(line, sizeof line, "%cr%c%c %12llu %19s ", letter(node.kind),
                node.saving != Node::Saving::none && !read_only ? 'w' : '-',
                node.kind == Node::Kind::directory || node.kind == Node::Kind::nested ? 'x' : '-',
                static_cast<unsigned long long>(node.content.size()), time);
  return line + name + (node.kind == Node::Kind::link ? " -> " + node.target : "") + "\n";
}

/// Standard input, whole: in memory while it is small, else in an unnamed file.
Recipe standard_input() {
  std::string head;
  std::vector<char> buffer(kBuffer);
  Fd spill;
  std::uint64_t spilled = 0;
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("standard input");
    if (n == 0) break;
    head.append(buffer.data(), static_cast<std::size_t>(n));
    if (!spill && head.size() < 16 * kBuffer) continue;
    if (!spill) {
      const char* dir = std::getenv("TMPDIR");
      std::string name = std::string(dir && *dir ? dir : "/var/tmp") + "/ckptree-XXXXXX";
      spill = Fd(::mkostemp(name.data(), O_CLOEXEC));
      if (!spill) throw_errno(name);
      ::unlink(name.c_str());
    }
    for (std::size_t done = 0; done < head.size();) {
      const ssize_t w = ::write(spill.get(), head.data() + done, head.size() - done);
      if (w < 0 && errno == EINTR) continue;
      if (w < 0) throw_errno("a temporary file for standard input");
      done += static_cast<std::size_t>(w);
    }
    spilled += head.size();
    head.clear();
  }
  if (!spill) return Recipe::literal(std::move(head));
  const auto file = adopt_private_file(spill.release(), "standard input");
  // The tag tells this content from every other: nothing else was ever read in this process.
  return Recipe::extent(file, 0, spilled, "standard input");
}

void print(const Tree& tree, const TreePath& path) {
  const Node node = tree.at(path);
  if (node.kind != Node::Kind::file) throw Error(Errc::is_directory, to_string(path) + ": is a directory");
  const std::uint64_t size = node.content.size();
  std::vector<char> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(size, kBuffer)));
  for (std::uint64_t at = 0; at < size;) {
    const std::size_t n = node.content.read(at, {buffer.data(), buffer.size()});
    if (n == 0) break;
    put(buffer.data(), n);
    at += n;
  }
}

}  // namespace

int ls_command(const Arguments& a) {
  if (a.words.empty() || a.words.size() > 2) throw Stop(Status::usage, "ls: expected SOURCE and at most one PATH");
  return about_source(a, [&](std::shared_ptr<Session>& at) {
    const std::string given = a.words.size() > 1 ? a.words[1] : "";
    TreePath path = parse_path(given);
    const std::string name = to_string(path);
    at = open_session(a.words[0], a.options);
    // As ls of the shell: a link that was named is listed through, by the long form only with a slash behind it.
    enter(at, path, !a.long_form || (!given.empty() && given.back() == '/'));
    const Tree tree(at, a.options);
    const bool read_only = a.options.view.read_only;
    const Node node = tree.at(path);
    std::string out;
    const auto add = [&](const std::string& shown, const Node& entry) {
      out += a.long_form ? long_line(shown, entry, read_only) : shown + "\n";
      if (out.size() < kBuffer) return;
      put(out.data(), out.size());
      out.clear();
    };
    if (node.kind != Node::Kind::directory) add(name, node);
    else
      tree.list(path, [&](const std::string& entry_name, const Node& entry) {
        // An entry may come without its content, whose size the long form wants.
        TreePath child = path;
        child.push_back(entry_name);
        const auto whole = a.long_form && entry.kind == Node::Kind::file ? tree.find(child) : std::nullopt;
        add(entry_name, whole ? *whole : entry);
        return true;
      });
    put(out.data(), out.size());
  });
}

int cat_command(const Arguments& a) {
  if (a.words.size() < 2) throw Stop(Status::usage, "cat: expected SOURCE and PATH...");
  return about_source(a, [&](std::shared_ptr<Session>& at) {
    const auto top = open_session(a.words[0], a.options);
    for (std::size_t i = 1; i < a.words.size(); ++i) {
      TreePath path = parse_path(a.words[i]);
      at = top;
      enter(at, path, true);
      print(Tree(at, a.options), path);
    }
  });
}

int write_command(const Arguments& a) {
  if (a.words.size() != 2)
    throw Stop(Status::usage, "write: expected SOURCE and PATH; the content comes from standard input");
  auto session = open_session(a.words[0], a.options);
  try {
    Op op;
    op.path = parse_path(a.words[1]);
    enter(session, op.path, false);
    if (op.path.empty()) throw Error(Errc::is_directory, "the top: is a directory");
    if (a.options.view.read_only) throw Error(Errc::read_only, to_string(op.path) + ": -o ro allows no edits");
    op.content = standard_input();
    session->save({op}, session->epoch());
  } catch (...) {
    // Whatever the reason: the checkpoint is as it was.
    throw Stop(Status::not_committed, a.words[0] + ": " + session->from_top(current_ending().text));
  }
  return 0;
}

}  // namespace ckptree::cli
