// Commits to a checkpoint from the outside of a test, so that it can be killed, starved and lied to by the kernel. The
// checkpoint is one of this program's own, or one of torch's with metadata.
//
//   committer CHECKPOINT make BYTES      a checkpoint whose text is number 0 and has so many bytes
//   committer CHECKPOINT commit [COUNT]  counts up, prints each number once it is durable; without COUNT for ever
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
#include "formats/torch/format.hpp"
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

const char kNumber[] = "\"number\": ";

unsigned long number_of_torch(const Model& model) {
  const std::string text = model.find({"metadata.json"})->content.text(1u << 20, "metadata.json");
  const auto at = text.find(kNumber);
  return at == std::string::npos ? 0 : std::strtoul(text.c_str() + at + sizeof kNumber - 1, nullptr, 10);
}

/// Every other one is longer, so that the member stays, moves and comes back.
Ptr<Model> with_number_of_torch(const Model& model, unsigned long number) {
  Op op;
  op.path = {"metadata.json"};
  op.content = Recipe::literal("{\"version\": \"1.0\", " + (kNumber + std::to_string(number)) + ", \"pad\": \"" +
                               std::string(number % 2 * 5000, 'p') + "\"}");
  return model.apply(op);
}

void commit(Checkpoint& store, unsigned long count) {
  const bool is_torch = store.kind() == "torch";
  Snapshot now = store.open();
  const std::size_t size = is_torch ? 0 : PlainFormat::text_of(*now.model).size();
  for (; count > 0; --count) {
    const unsigned long next = (is_torch ? number_of_torch(*now.model) : number_of(*now.model)) + 1;
    const auto edited =
        is_torch ? with_number_of_torch(*now.model, next) : with_text(*now.model, text_of_number(next, size));
    now = store.commit(now, *edited, {});
    if (!now.problem.empty()) throw Error(Errc::io, now.problem);
    std::printf("%lu\n", next);
    std::fflush(stdout);
  }
}

void run(const std::string& path, const std::string& command, const std::string& argument) {
  const unsigned long count =
      argument.empty() ? std::numeric_limits<unsigned long>::max() : std::strtoul(argument.c_str(), nullptr, 10);
  if (command == "make") {
    std::ofstream(path, std::ios::binary) << PlainFormat::bytes(text_of_number(0, count));
    return;
  }
  if (command == "sweep") {
    std::printf("%zu\n", sweep_temporaries(path));
    return;
  }
  const PlainFormat plain;
  const bool is_torch = torch_format().claims(*open_source(path));
  const auto store = make_store(is_torch ? torch_format() : plain, path, real_disk(), {});
  if (command == "check") {
    const Snapshot now = store->open();
    std::printf("%lu\n", is_torch ? number_of_torch(*now.model) : number_of(*now.model));
  } else if (command == "commit") {
    commit(*store, count);
  } else {
    throw std::runtime_error("unknown command: " + command);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the limit is an error of write, not the end of the process
  try {
    if (argc < 3) throw std::runtime_error("usage: committer CHECKPOINT make|commit|check|sweep [ARGUMENT]");
    run(argv[1], argv[2], argc > 3 ? argv[3] : "");
    return 0;
  } catch (const std::exception&) {
    const Failure failure = current_failure();
    std::fprintf(stderr, "%s\n", failure.text.c_str());
    return 1;
  }
}
