#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "cli/commands.hpp"
#include "cli/status.hpp"
#include "cli/usage.hpp"

namespace ckptree::cli {

namespace {

struct Command {
  const char* name;
  int (*run)(const Arguments&);
};
constexpr Command kCommands[] = {{"umount", umount_command}, {"ls", ls_command},   {"cat", cat_command},
                                 {"write", write_command},   {"run", run_command}, {"migration", migration_command}};
constexpr const char* kMigration = "migration";

const std::vector<std::string> kFlags = {"-f", "--foreground", "-l", "-o", "-h", "--help", "-V", "--version"};

Stop bad_usage(const std::string& text) { return Stop(Status::usage, text + "; 'ckptree --help' lists what there is"); }

/// An option of `migration`; false when it is none.
bool take_flag(const std::string& word, MigrationFlags& flags) {
  const std::pair<const char*, bool*> known[] = {{"--with-setup", &flags.with_setup},
                                                 {"--final", &flags.final},
                                                 {"--dry-run", &flags.dry_run},
                                                 {"--check", &flags.check}};
  for (const auto& [name, flag] : known)
    if (word == name) return *flag = true;
  return false;
}

/// Options may stand anywhere before "--".
/// @param command  whose words they are; empty when it is the mount
Arguments sort_arguments(const std::vector<std::string>& given, const std::string& command) {
  Arguments a;
  bool only_words = false;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const std::string& word = given[i];
    if (only_words || word.size() < 2 || word[0] != '-') a.words.push_back(word);
    else if (word == "--") only_words = true;
    else if (word == "-f" || word == "--foreground") a.foreground = true;
    else if (word == "-l") a.long_form = true;
    else if (command == kMigration && word == "--dir" && i + 1 < given.size()) a.migration.directory = given[++i];
    else if (command == kMigration && take_flag(word, a.migration)) continue;
    else if (word == "-o" && i + 1 == given.size()) throw bad_usage("-o: expected a list of options behind it");
    else if (word == "-o") parse_options(given[++i], a.options);
    else if (word.compare(0, 2, "-o") == 0) parse_options(word.substr(2), a.options);
    else throw bad_usage(word + ": unknown option; the nearest known one is " + nearest(word, kFlags));
  }
  return a;
}

/// `ckptree umuont mnt` mounts nothing: a word that is neither a file nor a command was meant as one of them.
/// @throws Stop Status::no_source
void refuse_unknown_command(const std::string& word) {
  const bool is_word = std::all_of(word.begin(), word.end(), [](unsigned char c) { return std::isalpha(c) != 0; });
  if (word.empty() || !is_word || ::access(word.c_str(), F_OK) == 0) return;
  std::vector<std::string> names = {"--help"};
  for (const Command& command : kCommands) names.push_back(command.name);
  throw Stop(Status::no_source,
             word + ": no such file or directory, nor a command; the nearest of those is " + nearest(word, names));
}

int run(std::vector<std::string> given) {
  for (const std::string& word : given) {
    if (word == "--") break;
    const bool help = word == "-h" || word == "--help";
    if (!help && word != "-V" && word != "--version") continue;
    const std::string text = help ? help_text() : version_text();
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0 ? 0 : 1;
  }
  // A source that is called like a command is spelled ./umount.
  for (const Command& command : kCommands) {
    if (given.empty() || given[0] != command.name) continue;
    given.erase(given.begin());
    return command.run(sort_arguments(given, command.name));
  }
  if (!given.empty()) refuse_unknown_command(given[0]);
  return mount_command(sort_arguments(given, ""));
}

}  // namespace

}  // namespace ckptree::cli

int main(int argc, char** argv) {
  using namespace ckptree::cli;
  // A reader that went away (`ckptree cat ... | head`) is an error of write(2) like any other.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // past a limit of file sizes a write fails with EFBIG instead
#ifdef __GLIBC__
  // A catalog of 20,000 rows is some 10 MiB of text, read and written at each commit. By default glibc takes such
  // blocks from its heaps, one for each of many threads, once it has seen a few of them, and holds all that they ever
  // took.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_ARENA_MAX, 2);
#endif
  try {
    return run({argv + std::min(argc, 1), argv + argc});
  } catch (...) {
    const Ending ending = current_ending();
    complain(ending.text);
    return static_cast<int>(ending.status);
  }
}
