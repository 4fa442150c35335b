#include "enumerator.hpp"

#include <cstdio>
#include <random>
#include <vector>

namespace ckptree_test {
namespace {

using Choice = std::vector<std::size_t>;

/// The next combination, or none: an odometer.
bool advance(Choice& choice, const Choice& fates) {
  for (std::size_t i = 0; i < fates.size(); ++i) {
    if (++choice[i] < fates[i]) return true;
    choice[i] = 0;
  }
  return false;
}

bool fits(const Choice& fates, std::size_t bound) {
  std::size_t product = 1;
  for (const std::size_t n : fates) {
    if (n > bound / product) return false;
    product *= n;
  }
  return true;
}

void each_choice(const Choice& fates, std::size_t bound, const std::function<void(const Choice&)>& visit) {
  if (fits(fates, bound)) {
    Choice choice(fates.size(), 0);
    do visit(choice);
    while (advance(choice, fates));
    return;
  }
  std::size_t visited = 0;
  for (const std::size_t others : {0, 1}) {
    Choice choice(fates.size(), others);
    for (std::size_t i = 0; i < fates.size(); ++i) {
      for (choice[i] = 0; choice[i] < fates[i]; ++choice[i], ++visited) visit(choice);
      choice[i] = others;
    }
  }
  std::mt19937 random(20240607);  // NOLINT: the same choices at every run are what is wanted
  for (; visited < bound; ++visited) {
    Choice choice;
    for (const std::size_t n : fates) choice.push_back(random() % n);
    visit(choice);
  }
}

std::string words_for(const Choice& choice) {
  std::string text;
  for (const std::size_t fate : choice)
    text += " " + (fate == 0 ? "lost" : fate == 1 ? "kept" : "torn" + std::to_string(fate - 1));
  return text;
}

}  // namespace

Verdict cut_the_power(ckptree::MemoryDisk& disk, const std::function<void()>& commit,
                      const std::function<Found(const ckptree::MemoryDisk::Image&)>& judge, std::size_t bound) {
  Verdict verdict;
  const auto cut = [&](bool returned) {
    each_choice(disk.fates(), bound, [&](const Choice& choice) {
      ++verdict.states;
      const Found found = judge(disk.after_power_loss(choice));
      (found == Found::old ? verdict.old : verdict.fresh) += found != Found::neither;
      if (found == Found::fresh || (found == Found::old && !returned)) return;
      if (verdict.violations++ == 0)
        verdict.first = "after change " + std::to_string(disk.changes()) + ":" + words_for(choice) +
                        (returned ? ": the commit had returned and is lost" : ": neither old nor fresh");
    });
  };
  cut(false);
  disk.after_change = [&] { cut(false); };
  commit();
  disk.after_change = nullptr;
  cut(true);
  return verdict;
}

void print(const std::string& what, const Verdict& v) {
  std::printf("# %s: crash states checked: %zu (%zu old, %zu new), violations %zu%s%s\n", what.c_str(), v.states, v.old,
              v.fresh, v.violations, v.first.empty() ? "" : ", first ", v.first.c_str());
}

}  // namespace ckptree_test
