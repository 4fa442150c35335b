// states/: what components stored in a row.

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"
#include "formats/document/table_text.hpp"
#include "formats/earth2studio/fields.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/state.hpp"

namespace ckptree::earth2studio {
namespace {

TreePath below(const Match& match, std::size_t depth) {
  return TreePath(match.names.begin() + static_cast<std::ptrdiff_t>(depth), match.names.end());
}

std::vector<std::string> ids_of(const StoreRow& row) {
  std::vector<std::string> ids;
  const auto manifest = row.manifest();
  if (const Json* states = manifest->find("states"))
    for (const auto& m : states->members) ids.push_back(m.first);
  return ids;
}

std::vector<std::uint64_t> shape_of(const Json& payload, const std::string& place) {
  const Json* shape = payload.find("shape");
  std::vector<std::uint64_t> extents;
  for (const Json& extent : shape->items) {
    if (!extent.is_integer() || extent.text.size() > 19 || extent.text[0] == '-')
      throw Error(Errc::corrupt, place + ": its shape is " + dumps_line(*shape).substr(0, 60));
    extents.push_back(std::stoull(extent.text));
  }
  return extents;
}

/// The file of an array, checked as np.load and upstream do. Types that only NumPy can take apart are shown as stored.
Recipe array_content(const StoreRow& row, const StoredState& state, const Json& payload, const std::string& place) {
  const std::string path = array_path(payload, place);
  const auto edited = state.arrays.find(path);
  if (edited != state.arrays.end()) return edited->second;
  const std::string commit = row.commit();
  const Recipe file = whole_file(row.show(state.directory.substr(commit.size() + 1) + "/" + path));
  const Json* dtype = payload.find("dtype");
  const std::vector<std::uint64_t> shape = shape_of(payload, place);
  if (!dtype->is_string() || dtype->text.empty() || dtype->text[0] == '[' || dtype->text[0] == '{') return file;
  npy::Header header;
  try {
    header = npy::parse_header(file, place);
  } catch (const Error& e) {
    if (e.code() == Errc::stale || e.code() == Errc::io) throw;
    throw Error(Errc::corrupt, e.what());
  }
  const std::string name = npy::dtype_name(header.descr);
  if (name != dtype->text || header.shape != shape)
    throw Error(Errc::corrupt, place + ": metadata.json says " + dtype->text + " " + shape_text(shape) +
                                   ", the file has " + name + " " + shape_text(header.shape));
  return file;
}

Node payload_node(const State& state, const StoreRow& row, const StoredState& stored, const Json& payload,
                  const std::string& place) {
  const Look look = look_of(payload, place);
  Node node = directory_node(state);
  node.mtime = stored.mtime;
  const bool writable = state.writable() && state.options.edit_all;
  if (look == Look::directory) return node;
  node.kind = Node::Kind::file;
  if (writable) node.saving = look == Look::array ? Node::Saving::whole : Node::Saving::value;
  if (look != Look::array) {
    node.content = Recipe::literal(text_of_payload(payload, look));
    return node;
  }
  try {
    node.content = array_content(row, stored, payload, place);
  } catch (const Error& e) {
    node.content = failing_content(e.code(), e.what());
  }
  return node;
}

/// A line of states.tsv for each leaf.
void add_lines(std::string& text, const std::string& id, const std::string& field, const Json& payload,
               const std::string& place) {
  const Look look = look_of(payload, place);
  if (look == Look::directory) {
    for (const auto& [name, child] : children(payload, place)) add_lines(text, id, field + "/" + name, *child, place);
    return;
  }
  const bool array = look == Look::array;
  text += file_name_of(id).text + "\t" + (array ? field.substr(0, field.rfind('.')) : field) + "\t";
  if (!array) {
    text += payload.find("kind")->text + "\t\t\n";
    return;
  }
  const auto shape = shape_of(payload, place);
  const Json* dtype = payload.find("dtype");
  std::string nbytes;
  try {
    nbytes = std::to_string(npy::byte_size(shape, npy::descr_of(dtype->text, place), place));
  } catch (const Error&) {
    // Of a structured type: nobody but NumPy can tell.
  }
  text += file_name_of(dtype->text).text + "\t" + shape_text(shape) + "\t" + nbytes + "\n";
}

}  // namespace

std::optional<std::string> state_id_of(const StoreRow& row, const std::string& name) {
  for (const std::string& id : ids_of(row))
    if (file_name_of(id).text == name) return id;
  return std::nullopt;
}

std::string states_table(const StoreRow& row) {
  std::string text = "state_id\tfield\tdtype\tshape\tnbytes\n";
  for (const std::string& id : ids_of(row)) {
    const auto stored = row.state(id);
    for (const auto& [name, payload] : top_children(stored->fields, id))
      add_lines(text, id, name, *payload, id + "/" + name);
  }
  return text;
}

std::optional<Node> show_states(const State& state, const Match& match) {
  const auto row = row_at(state, match);
  if (!row || state.options.level == 0) return std::nullopt;
  const TreePath path = below(match, 1);
  if (path.empty()) return directory_node(state);
  const auto id = state_id_of(*row, path[0]);
  if (!id) return std::nullopt;
  if (path.size() == 1) {
    Node node = directory_node(state);
    if (path[0].size() < id->size() && file_name_of(*id).cut) node.key = *id;
    return node;
  }
  const auto stored = row->state(*id);
  if (path.size() == 2 && (path[1] == "state_id" || path[1] == "schema_hash")) {
    Node node = file_node(state, (path[1] == "state_id" ? stored->id : stored->schema_hash) + "\n");
    node.mtime = stored->mtime;
    return node;
  }
  const std::string place = "rows/" + match.names.front() + "/states/" + to_string(path);
  const Json* payload = find_payload(stored->fields, below(match, 2), place);
  if (!payload || (state.options.no_data && look_of(*payload, place) == Look::array)) return std::nullopt;
  return payload_node(state, *row, *stored, *payload, place);
}

void list_states(const State& state, const Match& match, const Each& each) {
  const auto row = row_at(state, match);
  const TreePath path = below(match, 1);
  const std::string place = "rows/" + match.names.front() + "/states/" + to_string(path);
  if (path.empty()) {
    for (const std::string& id : ids_of(*row))
      if (!each(file_name_of(id).text, directory_node(state))) return;
    return;
  }
  const auto id = state_id_of(*row, path[0]);
  const auto stored = row->state(*id);
  std::vector<Child> all;
  if (path.size() == 1) {
    all = top_children(stored->fields, place);
    for (const char* name : {"state_id", "schema_hash"}) {
      Match child = match;
      child.names.emplace_back(name);
      if (!each(name, *show_states(state, child))) return;
    }
  } else {
    const Json* payload = find_payload(stored->fields, below(match, 2), place);
    if (!payload || look_of(*payload, place) != Look::directory)
      throw Error(Errc::not_directory, place + ": not a directory");
    all = children(*payload, place);
  }
  for (const auto& [name, payload] : all) {
    if (state.options.no_data && look_of(*payload, place) == Look::array) continue;
    if (!each(name, payload_node(state, *row, *stored, *payload, place + "/" + name))) return;
  }
}

}  // namespace ckptree::earth2studio
