#include "cli/location.hpp"

#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/status.hpp"

namespace ckptree::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "e2s:";

fs::path cache() {
  if (const char* own = std::getenv("EARTH2STUDIO_CACHE")) return own;
  const char* home = std::getenv("HOME");
  return fs::path(home && *home ? home : "/") / ".cache" / "earth2studio";
}

std::optional<std::uint64_t> number_in(const char* variable) {
  const char* text = std::getenv(variable);
  std::uint64_t n = 0;
  if (!text || std::from_chars(text, text + std::strlen(text), n).ec != std::errc()) return std::nullopt;
  return n;
}

/// As upstream finds it: without WORLD_SIZE the store itself is used, whatever the rank.
std::optional<std::uint64_t> rank_of_process() {
  if (number_in("WORLD_SIZE").value_or(1) < 2) return std::nullopt;
  for (const char* variable : {"RANK", "LOCAL_RANK", "SLURM_PROCID"})
    if (const auto n = number_in(variable)) return n;
  return std::nullopt;
}

std::string rank_folder(std::uint64_t rank) {
  char name[32];
  std::snprintf(name, sizeof name, "rank_%06llu", static_cast<unsigned long long>(rank));
  return name;
}

bool has_ranks(const fs::path& store) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(store, ignored))
    if (entry.path().filename().string().compare(0, 5, "rank_") == 0 && entry.is_directory(ignored)) return true;
  return false;
}

void create(const fs::path& store) {
  std::error_code error;
  fs::create_directories(store, error);
  if (error) throw Stop(Status::no_permission, store.string() + ": cannot be made: " + error.message());
}

}  // namespace

std::string locate(const std::string& source, Options& options) {
  fs::path store = source;
  if (source.compare(0, std::strlen(kPrefix), kPrefix) == 0) {
    const std::string name = source.substr(std::strlen(kPrefix));
    if (name.empty() || name.front() == '/' || ("/" + name + "/").find("/../") != std::string::npos)
      throw Stop(Status::usage,
                 source + ": expected the name of a store, such as e2s:my-forecast; a path goes without 'e2s:'");
    store = cache() / "checkpoints" / name;
    options.view.store_name = name;
    options.kind = "earth2studio";
  }
  const bool new_rank = options.create && options.view.rank && options.view.world_size.value_or(1) > 1;
  if (new_rank || has_ranks(store)) {
    if (!options.view.rank) options.view.rank = rank_of_process();
    if (options.view.rank) {
      if (options.view.store_name.empty()) options.view.store_name = store.filename().string();
      store /= rank_folder(*options.view.rank);
      std::error_code ignored;
      if (!options.create && !fs::exists(store, ignored))
        throw Stop(Status::no_source, source + ": has no rank " + std::to_string(*options.view.rank));
    }
  }
  std::error_code ignored;
  if (options.create && !options.view.read_only) {
    if (!fs::exists(store, ignored)) create(store);
    options.kind = "earth2studio";
  }
  return store.string();
}

}  // namespace ckptree::cli
