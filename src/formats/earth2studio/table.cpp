// catalog.tsv: what print(checkpoint) shows, with everything else that a row has.

#include <set>

#include "ckptree/error.hpp"
#include "formats/document/table_text.hpp"
#include "formats/earth2studio/display.hpp"
#include "formats/earth2studio/state.hpp"

namespace ckptree::earth2studio {
namespace {

/// A directory of a source as a source of its own.
class Below final : public Source {
 public:
  Below(Ptr<Source> source, std::string directory)
      : source_(std::move(source)), directory_(std::move(directory)), path_(source_->path() + "/" + directory_) {}
  const std::string& path() const override { return path_; }
  bool is_directory() const override { return true; }
  Names list(const std::string& relative) const override { return source_->list(below(relative)); }
  Ptr<File> open(const std::string& relative) const override { return source_->open(below(relative)); }

 private:
  std::string below(const std::string& relative) const {
    return relative.empty() ? directory_ : directory_ + "/" + relative;
  }
  Ptr<Source> source_;
  std::string directory_, path_;
};

struct Line {
  std::size_t row;  // in its rank
  std::shared_ptr<const Entry> entry;
  Json labels, metadata;
};

/// The rows of a store; of one with ranks those of all, rank after rank.
std::vector<Line> lines_of(const State& state) {
  std::vector<Line> lines;
  const auto add = [&](std::size_t row, const std::shared_ptr<const Entry>& entry) {
    lines.push_back({row, entry, entry->labels(), entry->metadata()});
  };
  for (std::size_t i = 0; i < state.rows->size(); ++i) {
    const StoreRow& row = *(*state.rows)[i];
    add(i, row.is_edited() ? edited_entry(row) : row.stored());
  }
  for (const std::string& rank : state.store->ranks) {
    const Entries entries = read_catalog(Below(state.store->source, "rank_" + rank)).entries;
    for (std::size_t i = 0; i < entries.size(); ++i) add(i, entries[i]);
  }
  return lines;
}

std::string table(const State& state) {
  std::set<std::string> labels, metadata;
  const std::vector<Line> lines = lines_of(state);
  for (const Line& line : lines) {
    for (const auto& m : line.labels.members) labels.insert(m.first);
    for (const auto& m : line.metadata.members) metadata.insert(m.first);
  }
  std::string text = "row\tcommit_id";
  for (const std::string& name : labels) text += "\t" + escaped(metadata.count(name) ? "label." + name : name);
  for (const std::string& name : metadata) text += "\t" + escaped(name);
  text += "\twrite_count\tsaved_at\trank\tworld_size\n";
  const auto cell = [&](const Json& of, const std::string& name) {
    const Json* value = of.find(name);
    text += '\t';
    if (value) text += escaped(displayed(*value));
  };
  for (const Line& line : lines) {
    const Entry& entry = *line.entry;
    text += std::to_string(line.row) + "\t" + escaped(entry.commit_id());
    for (const std::string& name : labels) cell(line.labels, name);
    for (const std::string& name : metadata) cell(line.metadata, name);
    text += "\t" + std::to_string(entry.write_count()) + "\t" + escaped(entry.saved_at()) + "\t" +
            std::to_string(entry.rank()) + "\t" + std::to_string(entry.world_size()) + "\n";
  }
  return text;
}

}  // namespace

std::optional<Node> show_table(const State& state, const Match&) {
  return made_node(state, [&] {
    if (state.has_ranks()) return Recipe::literal(table(state));
    LastTable& last = *state.store->last_table;
    {
      const std::lock_guard<std::mutex> guard(last.mutex);
      if (last.rows == state.rows) return last.content;
    }
    Recipe made = Recipe::literal(table(state));
    const std::lock_guard<std::mutex> guard(last.mutex);
    last.rows = state.rows;
    last.content = made;
    return made;
  });
}

}  // namespace ckptree::earth2studio
