// Commits to a checkpoint from the outside of a test, so that it can be killed, starved and lied to by the kernel.
//
//   committer CHECKPOINT make BYTES      a checkpoint whose text is number 0 and has so many bytes
//   committer CHECKPOINT commit [COUNT]  counts the text up, prints each number once it is durable; without COUNT for ever
//   committer CHECKPOINT check           prints the number; fails when the checkpoint is not whole
//   committer CHECKPOINT sweep           removes what dead ones left, and prints how many

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>

#include "commit/execute.hpp"
#include "commit/real_disk.hpp"
#include "commit/store.hpp"
#include "plain_format.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

/// "7 aaaa...": the letter depends on the number, so that no mixture of two of them is one of them.
std::string text_of_number(unsigned long number, std::size_t size) {
  std::string text = std::to_string(number) + " ";
  if (text.size() < size) text.append(size - text.size(), static_cast<char>('a' + number % 26));
  return text;
}

unsigned long number_of(const Model& model) {
  const std::string text = PlainFormat::text_of(model);
  const unsigned long number = std::strtoul(text.c_str(), nullptr, 10);
  if (text != text_of_number(number, text.size())) throw std::runtime_error("the text is none that was ever written");
  return number;
}

int run(const std::string& path, const std::string& command, const char* argument) {
  if (command == "make") {
    std::ofstream(path, std::ios::binary) << PlainFormat::bytes(text_of_number(0, std::strtoul(argument, nullptr, 10)));
    return 0;
  }
  if (command == "sweep") {
    std::printf("%zu\n", sweep_temporaries(path));
    return 0;
  }
  const PlainFormat format;
  const auto store = make_store(format, path, real_disk(), {});
  Snapshot now = store->open();
  if (command == "check") {
    std::printf("%lu\n", number_of(*now.model));
    return 0;
  }
  if (command != "commit") throw std::runtime_error("unknown command: " + command);
  const std::size_t size = PlainFormat::text_of(*now.model).size();
  unsigned long left =
      argument[0] != '\0' ? std::strtoul(argument, nullptr, 10) : std::numeric_limits<unsigned long>::max();
  for (; left > 0; --left) {
    const unsigned long next = number_of(*now.model) + 1;
    now = store->commit(now, *with_text(*now.model, text_of_number(next, size)), {});
    std::printf("%lu\n", next);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the limit is an error of write, not the end of the process
  try {
    if (argc < 3) throw std::runtime_error("usage: committer CHECKPOINT make|commit|check|sweep [ARGUMENT]");
    return run(argv[1], argv[2], argc > 3 ? argv[3] : "");
  } catch (const std::exception&) {
    const Failure failure = current_failure();
    std::fprintf(stderr, "%s\n", failure.text.c_str());
    return 1;
  }
}
