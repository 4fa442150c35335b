#include "formats/torch/migration_scripts.hpp"

#include <algorithm>
#include <filesystem>

#include "ckptree/error.hpp"
#include "ckptree/recipe.hpp"
#include "ckptree/sha256.hpp"
#include "ckptree/source.hpp"

namespace ckptree::torch {
namespace {

// The head of a script stands in its first lines.
constexpr std::size_t kHead = 4096;
// Scripts are written by hand.
constexpr std::size_t kMaxScript = 16u << 20;

constexpr char kMark[] = "ckptree: ";

std::string stem_of(const std::string& file_name) { return std::filesystem::path(file_name).stem().string(); }
bool is_python(const std::string& file_name) { return std::filesystem::path(file_name).extension() == ".py"; }

/// "1755530253_initial": seconds, then a name.
bool is_named_like_one(const std::string& name) {
  const std::size_t digits = name.find_first_not_of("0123456789");
  return digits != 0 && digits != std::string::npos && name[digits] == '_';
}

/// The words of the head behind its mark; nothing when there is none.
std::optional<std::vector<std::string>> head_of(Bytes text) {
  const Bytes first = text.substr(0, kHead);
  const std::size_t at = first.find(std::string(kMark) + "migration=");
  if (at == Bytes::npos) return std::nullopt;
  const Bytes line = first.substr(at, first.substr(at).find_first_of("\r\n"));
  std::vector<std::string> words;
  for (std::size_t i = sizeof kMark - 1; i < line.size();) {
    const std::size_t end = std::min(line.find(' ', i), line.size());
    if (end > i) words.emplace_back(line.substr(i, end - i));
    i = end + 1;
  }
  return words;
}

std::optional<std::string> value_of(const std::string& word, const std::string& key) {
  if (word.compare(0, key.size() + 1, key + "=") != 0 || word.size() == key.size() + 1) return std::nullopt;
  return word.substr(key.size() + 1);
}

/// The text behind `"key":` in Python source that anemoi's own template wrote.
std::optional<std::string> python_value(Bytes text, const std::string& key) {
  const std::size_t at = text.find("\"" + key + "\":");
  if (at == Bytes::npos) return std::nullopt;
  const std::size_t begin = text.find('"', at + key.size() + 3);
  const std::size_t end = begin == Bytes::npos ? begin : text.find('"', begin + 1);
  if (end == Bytes::npos) return std::nullopt;
  return std::string(text.substr(begin + 1, end - begin - 1));
}

/// What could be a script, by name.
std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failure)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && name != "__init__.py" && name[0] != '.' && name.back() != '~') names.push_back(name);
  }
  if (failure) throw Error(Errc::io, directory + ": " + failure.message());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::optional<Migration> read_script(const std::string& file_name, Bytes text, const std::string& place) {
  Migration m;
  m.name = stem_of(file_name);
  if (const auto words = head_of(text)) {
    for (const std::string& word : *words) {
      if (const auto v = value_of(word, "migration")) m.migration = *v;
      else if (const auto a = value_of(word, "anemoi-models")) m.version = *a;
      else if (word == "final" || word == "[final]") m.final = true;
      else throw Error(Errc::rejected, place + ": expected migration=, anemoi-models= or final, got '" + word + "'");
    }
    if (m.version.empty()) throw Error(Errc::rejected, place + ": its head does not say anemoi-models=");
    m.signature = sha256(text);
    return m;
  }
  if (is_python(file_name)) {
    const std::size_t at = text.find("MigrationMetadata(");
    if (at == Bytes::npos) return std::nullopt;
    const Bytes metadata = text.substr(at, text.substr(at).find("\n)"));
    const auto migration = python_value(metadata, "migration"), version = python_value(metadata, "anemoi-models");
    if (!migration || !version) throw Error(Errc::rejected, place + ": its metadata has no versions");
    m.migration = *migration;
    m.version = *version;
    m.final = metadata.find("final=True") != Bytes::npos;
    return m;
  }
  return std::nullopt;
}

std::vector<Migration> scripts_in(const std::string& directory) {
  const std::vector<std::string> names = files_in(directory);
  std::vector<Migration> scripts;
  for (const std::string& name : names) {
    const std::string path = directory + "/" + name;
    const Ptr<File> file = open_source(path)->open("");
    const std::string text = Recipe::extent(file, 0, file->size(), path).text(kMaxScript, path);
    auto script = read_script(name, text, path);
    if (!script && is_named_like_one(name))
      throw Error(Errc::rejected, path +
                                      ": does not say which migration it is: expected a line "
                                      "'# ckptree: migration=1.0.0 anemoi-models=VERSION'");
    if (!script) continue;
    script->path = path;
    scripts.push_back(*std::move(script));
  }
  for (std::size_t i = 1; i < scripts.size(); ++i)
    if (scripts[i].name == scripts[i - 1].name)
      throw Error(Errc::rejected, scripts[i].path + ": " + scripts[i - 1].path + " has the same name");
  return scripts;
}

}  // namespace ckptree::torch
