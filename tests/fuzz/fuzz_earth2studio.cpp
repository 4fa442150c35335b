// A catalog, a manifest or the metadata of a state: bytes that another machine wrote. The first byte tells which.

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <system_error>

#include "ckptree/error.hpp"
#include "formats/earth2studio/catalog.hpp"
#include "formats/earth2studio/display.hpp"
#include "formats/earth2studio/fields.hpp"
#include "formats/earth2studio/format.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/typed.hpp"

using namespace ckptree;
using namespace ckptree::earth2studio;

namespace {

/// A store that has nothing but a catalog.
struct CatalogOnly final : Source {
  explicit CatalogOnly(std::string bytes) : file(memory_file("/store", std::move(bytes))) {}
  const std::string& path() const override { return file->name(); }
  bool is_directory() const override { return true; }
  Names list(const std::string& of) const override { return of.empty() ? Names{"catalog.json"} : Names(); }
  Ptr<File> open(const std::string& relative) const override {
    if (relative != "catalog.json") throw std::system_error(ENOENT, std::generic_category(), relative);
    return file;
  }
  Ptr<File> file;
};

/// A source of one file, which is an array if its bytes are.
struct OneFile final : Source {
  explicit OneFile(std::string bytes) : file(memory_file("array.npy", std::move(bytes))) {}
  const std::string& path() const override { return file->name(); }
  bool is_directory() const override { return true; }
  Names list(const std::string&) const override { return {}; }
  Ptr<File> open(const std::string&) const override { return file; }
  Ptr<File> file;
};

void show(const Json& value) {
  displayed(value);
  // What is rendered reads back as the same.
  if (!same(parse(dumps(value), "again"), value)) std::abort();
  if (!same(parse(dumps_line(value), "again"), value)) std::abort();
}

void read_catalog(const std::string& text) {
  const Entries entries = parse_catalog(text, "catalog.json");
  for (const auto& entry : entries) {
    for (const auto& [key, value] : entry->metadata().members) show(value);
    for (const auto& [key, value] : entry->labels().members) show(value);
    entry->metadata_keys();
    entry->state_ids();
  }
  if (parse_catalog(catalog_text(entries), "again").size() != entries.size()) std::abort();
  // The table has a line for each row, and each line a cell for each column.
  const auto model = earth2studio_format().open(std::make_shared<const CatalogOnly>(text), ViewOptions());
  const std::string table = model->find({"catalog.tsv"})->content.text(UINT64_MAX, "catalog.tsv");
  const auto tabs = std::count(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(table.find('\n')), '\t');
  const auto lines = std::count(table.begin(), table.end(), '\n');
  if (lines != static_cast<std::ptrdiff_t>(entries.size()) + 1) std::abort();
  if (std::count(table.begin(), table.end(), '\t') != tabs * lines) std::abort();
}

void read_manifest(const std::string& text) {
  const std::size_t end = std::min(text.find('\0'), text.size());
  const OneFile source(text.substr(std::min(end + 1, text.size())));
  const Json manifest = parse(text.substr(0, end), "manifest.json");
  Entry::make(entry_of_manifest(manifest, source, "commits/c"), "commits/c");
}

void walk(const Json& payload, std::size_t depth) {
  const Look look = look_of(payload, "here");
  if (look != Look::directory) {
    const std::string shown = text_of_payload(payload, look);
    if (look != Look::array) edited_payload(payload, shown, "here");
    return;
  }
  for (const auto& [name, child] : children(payload, "here")) walk(*child, depth + 1);
}

void read_state(const std::string& text) {
  const Json fields = parse(text, "metadata.json");
  for (const auto& [name, payload] : top_children(fields, "here")) {
    find_payload(fields, {name}, "here");
    walk(*payload, 0);
  }
}

void merge_values(const std::string& text) {
  const Json all = parse(text, "values");
  if (!all.is_list() || all.items.size() < 3) return;
  const Both both = merge(&all.items[0], &all.items[1], all.items[2], "a", "here");
  check_numbers(both.value, "here");
  kind_of(both.payload, "here");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] % 4) {
      case 0: read_catalog(text); break;
      case 1: read_manifest(text); break;
      case 2: read_state(text); break;
      case 3: merge_values(text); break;
    }
  } catch (const Error&) {
    // Refused with a sentence.
  }
  return 0;
}
