// Decodes, edits and encodes pickles for test_pickle.py, which compares with what Python makes of them.
//
// Input, any number of times: length and bytes of a pickle, length and lines of commands (lengths: 4 bytes, little
// endian). Output, for each: one byte, 'k' or 'e', then length and bytes of the new pickle, or of the reason why not.
//
// A command is a line of fields with tabs between them:
//   rename PATH KEY   erase PATH   set PATH VALUE   append PATH VALUE   insert PATH KEY VALUE   state PATH VALUE
//   global MODULE NAME MODULE NAME
// A path is steps with '/' between them: the text of a key, "#N" of a list or set, ".N" of a tuple or call, "@" for
// the state.
// A value is a letter and a text: i5 f1.5 sTEXT b1 n, l and t and d of three values, oMODULE NAME for an instance.

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "codec/pickle/pickle.hpp"

using namespace ckptree;
using namespace ckptree::pickle;

namespace {

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(by, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

/// What a path leads to: a slot, and the entry or item it is of, if any.
struct Place {
  Slot slot = 0;
  Entry entry;
  Item item;
};

Place step_into(const Graph& graph, Id node, const std::string& step) {
  Place place;
  if (step == "@") {
    place.slot = graph.state_slot(node);
    return place;
  }
  if (step[0] == '.') {
    const std::size_t n = std::stoul(step.substr(1));
    if (n >= graph.count(node)) throw Error(Errc::not_found, step);
    place.slot = graph.slot(node, n);
    return place;
  }
  if (step[0] == '#') {
    const std::size_t n = std::stoul(step.substr(1));
    Items items(graph, node);
    for (std::size_t i = 0; i <= n; ++i)
      if (!items.next(place.item)) throw Error(Errc::not_found, step);
    place.slot = place.item.at;
    return place;
  }
  const auto entry = find(graph, node, step);
  if (!entry) throw Error(Errc::not_found, step);
  place.entry = *entry;
  place.slot = entry->value_slot();
  return place;
}

Place find_place(const Graph& graph, const std::string& path) {
  Place place;
  place.slot = graph.root_slot();
  if (!path.empty())
    for (const std::string& step : split(path, '/')) place = step_into(graph, graph.at(place.slot), step);
  return place;
}

Id value(Editor& edit, const std::string& text) {
  const std::string rest = text.substr(1);
  switch (text[0]) {
    case 'i': return edit.integer(Bytes(rest));
    case 'f': return edit.real(std::strtod(rest.c_str(), nullptr));
    case 's': return edit.text(rest);
    case 'b': return edit.boolean(rest == "1");
    case 'l': return edit.list({edit.integer(1), edit.text(rest), edit.none()});
    case 't': return edit.tuple({edit.integer(1), edit.text(rest), edit.none(), edit.tuple({})});
    case 'd': {
      const Id shared = edit.list();
      return edit.dict({{edit.text("a"), edit.integer(1)}, {edit.text(rest), shared}, {edit.none(), shared}});
    }
    case 'o': {
      const auto names = split(rest, ' ');
      const Id object = edit.newobj(edit.global(names[0], names[1]), edit.tuple({}));
      edit.set_state(object, edit.dict({{edit.text("x"), edit.integer(-7)}}));
      return object;
    }
    default: return edit.none();
  }
}

void run(Editor& edit, const std::string& command) {
  const auto fields = split(command, '\t');
  const std::string& what = fields.at(0);
  if (what == "global") {
    for (Id id = 0; id < edit.graph().size(); ++id)
      if (edit.graph().is_global(id, fields.at(1), fields.at(2))) edit.rename_global(id, fields.at(3), fields.at(4));
    return;
  }
  const Place place = find_place(edit.graph(), fields.at(1));
  const Id node = edit.graph().at(place.slot);
  if (what == "rename") edit.replace(place.entry.key_slot(), edit.text(fields.at(2)));
  else if (what == "erase" && place.item.value != kNone) edit.erase(place.item);
  else if (what == "erase") edit.erase(place.entry);
  else if (what == "set") edit.replace(place.slot, value(edit, fields.at(2)));
  else if (what == "append") edit.append(node, value(edit, fields.at(2)));
  else if (what == "insert") edit.insert(node, edit.text(fields.at(2)), value(edit, fields.at(3)));
  else if (what == "state") edit.set_state(node, value(edit, fields.at(2)));
  else throw Error(Errc::invalid, what);
}

std::string edited(const std::string& bytes, const std::string& commands) {
  Graph graph = decode(bytes, "pickle");
  if (const auto why = why_not_editable(graph)) throw Error(Errc::immutable, *why);
  for (const std::string& command : split(commands, '\n')) {
    if (command.empty()) continue;
    Editor edit(graph);
    run(edit, command);
    graph = std::move(edit).finish();
  }
  std::string next = encode(graph);
  // Whoever mounts it again can edit it again.
  if (const auto why = why_not_editable(decode(next, "edited"))) throw Error(Errc::immutable, *why);
  return next;
}

bool read(std::string& bytes) {
  char length[4];
  if (!std::cin.read(length, sizeof length)) return false;
  std::size_t size = 0;
  for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<unsigned char>(length[i]);
  bytes.resize(size);
  return static_cast<bool>(std::cin.read(bytes.data(), static_cast<std::streamsize>(size)));
}

void write(char status, const std::string& bytes) {
  std::cout.put(status);
  for (int shift = 0; shift < 32; shift += 8) std::cout.put(static_cast<char>(bytes.size() >> shift & 0xFF));
  std::cout << bytes << std::flush;
}

}  // namespace

int main() {
  std::string bytes, commands;
  while (read(bytes) && read(commands)) {
    try {
      write('k', edited(bytes, commands));
    } catch (const Error& e) {
      write('e', e.what());
    }
  }
}
