// catalog.tsv: what print(checkpoint) shows, with everything else that a row has.

#include <set>

#include "ckptree/error.hpp"
#include "formats/earth2studio/display.hpp"
#include "formats/earth2studio/state.hpp"

namespace ckptree::earth2studio {
namespace {

std::string escaped(Bytes field) {
  std::string text;
  for (const char c : field) {
    switch (c) {
      case '\\': text += "\\\\"; break;
      case '\t': text += "\\t"; break;
      case '\n': text += "\\n"; break;
      case '\r': text += "\\r"; break;
      default: text += c;
    }
  }
  return text;
}

struct Line {
  Json labels, metadata;
};

std::string table(const State& state) {
  std::set<std::string> labels, metadata;
  std::vector<Line> lines;
  for (const auto& row : *state.rows) {
    const auto entry = row->is_edited() ? edited_entry(*row) : row->stored();
    lines.push_back({entry->labels(), entry->metadata()});
    for (const auto& m : lines.back().labels.members) labels.insert(m.first);
    for (const auto& m : lines.back().metadata.members) metadata.insert(m.first);
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
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Entry& entry = (*state.rows)[i]->entry();
    text += std::to_string(i) + "\t" + escaped(entry.commit_id());
    for (const std::string& name : labels) cell(lines[i].labels, name);
    for (const std::string& name : metadata) cell(lines[i].metadata, name);
    text += "\t" + std::to_string(entry.write_count()) + "\t" + escaped(entry.saved_at()) + "\t" +
            std::to_string(entry.rank()) + "\t" + std::to_string(entry.world_size()) + "\n";
  }
  return text;
}

}  // namespace

std::optional<Node> show_table(const State& state, const Match&) {
  return made_node(state, [&] { return Recipe::literal(table(state)); });
}

}  // namespace ckptree::earth2studio
