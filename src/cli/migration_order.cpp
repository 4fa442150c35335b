// migration fix-order: scripts that are new come behind those that are merged.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "ckptree/error.hpp"
#include "ckptree/fd.hpp"
#include "cli/migration.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

namespace {

/// What a command prints, in parts that end in a NUL. @throws Stop when it fails; its own words are on stderr then
std::vector<std::string> parts_of(const std::vector<std::string>& words) {
  int ends[2];
  if (::pipe(ends) != 0) throw_errno("pipe");
  Fd out(ends[0]), in(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) throw_errno("fork");
  if (child == 0) {
    ::dup2(in.get(), STDOUT_FILENO);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  in.reset();
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(out.get(), buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno != EINTR) throw_errno(words[0]);
    if (n > 0) text.append(buffer, static_cast<std::size_t>(n));
  }
  int how = 0;
  while (::waitpid(child, &how, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
    throw Stop(Status::failure, "migration fix-order: git could not tell which scripts are new");
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\0', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool is_stamped(const std::string& name) {
  const std::size_t digits = name.find_first_not_of("0123456789");
  return digits != 0 && digits != std::string::npos && digits < 19 && name[digits] == '_';
}

}  // namespace

std::vector<Renaming> renamings(const std::vector<std::string>& all, const std::vector<std::string>& added) {
  const auto is_new = [&](const std::string& name) { return std::count(added.begin(), added.end(), name) > 0; };
  const auto last = std::find_if_not(all.rbegin(), all.rend(), is_new);
  if (last == all.rend() || std::none_of(last, all.rend(), is_new)) return {};
  // They come right behind it, so that whoever merges next has room.
  std::uint64_t seconds = std::stoull(*last);
  std::vector<Renaming> result;
  for (const std::string& name : added)
    result.push_back({name, std::to_string(++seconds) + name.substr(name.find('_'))});
  return result;
}

int fix_order(const std::string& directory, bool check) {
  std::vector<std::string> all, added;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failure))
    if (entry.is_regular_file() && is_stamped(entry.path().filename().string()))
      all.push_back(entry.path().filename().string());
  if (failure) throw Stop(Status::no_source, directory + ": " + failure.message());
  std::sort(all.begin(), all.end());
  const std::vector<std::string> git = {"git", "-C", directory};
  const auto ask = [&](std::vector<std::string> words) {
    words.insert(words.begin(), git.begin(), git.end());
    for (const std::string& name : parts_of(words))
      if (std::binary_search(all.begin(), all.end(), name)) added.push_back(name);
  };
  ask({"diff", "-z", "--name-only", "--relative", "--diff-filter=A", "origin/main", "--", "."});
  ask({"ls-files", "-z", "--others", "--exclude-standard", "--", "."});
  std::sort(added.begin(), added.end());
  const std::vector<Renaming> todo = renamings(all, added);
  if (todo.empty()) std::printf("No migration to rename.\n");
  // All of it can be done, or none of it is.
  const auto frees = [&](const std::string& name) {
    return std::any_of(todo.begin(), todo.end(), [&](const Renaming& r) { return r.from == name; });
  };
  for (const Renaming& r : todo)
    if (::access((directory + "/" + r.to).c_str(), F_OK) == 0 && !frees(r.to))
      throw Stop(Status::failure, directory + "/" + r.to + ": exists; nothing was renamed");
  for (const Renaming& r : todo)
    std::printf("%s %s to %s.\n", check ? "Would rename" : "Renaming", r.from.c_str(), r.to.c_str());
  // New names ascend as the old ones do: from the last on each is free.
  for (auto r = todo.rbegin(); r != todo.rend() && !check; ++r)
    std::filesystem::rename(directory + "/" + r->from, directory + "/" + r->to);
  return check && !todo.empty() ? static_cast<int>(Status::failure) : 0;
}

}  // namespace ckptree::cli
