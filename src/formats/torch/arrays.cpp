// arrays/ and arrays.tsv: how the supporting arrays are shown.

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"
#include "formats/document/table_text.hpp"
#include "formats/torch/state.hpp"

namespace ckptree::torch {
namespace {

/// The entry at a path below arrays/; nothing when there is none.
std::optional<std::size_t> entry_at(const ArrayIndex& index, const TreePath& names) {
  std::size_t at = ArrayIndex::kTop;
  for (const std::string& name : names) {
    at = index.child(at, name);
    if (at == ArrayIndex::kTop) return std::nullopt;
  }
  return at;
}

std::string place_of(const ArrayIndex& index, std::size_t i) { return "arrays/" + index.title(i) + ".npy"; }

Node directory_node(const State& state) {
  Node node;
  node.kind = Node::Kind::directory;
  node.saving = state.writable() ? Node::Saving::value : Node::Saving::none;
  node.mtime = state.metadata->mtime();
  return node;
}

Node array_node(const State& state, const ArrayIndex& index, std::size_t i) {
  const ArrayIndex::Entry& entry = index[i];
  Node node;
  node.saving = state.writable() ? Node::Saving::whole : Node::Saving::none;
  node.mtime = state.metadata->mtime();
  if (array_file_name(entry.key).cut) node.key = entry.key;
  node.content = content_or_failure([&] {
    Content data = array_data(state, index, i);
    node.mtime = data.mtime;
    std::string header = npy::make_header(entry.descr, entry.shape);
    data.recipe.tag = tag_of(header) + "+" + data.recipe.tag;
    const std::uint64_t size = header.size();
    data.recipe.pieces.insert(data.recipe.pieces.begin(), {std::move(header), size});
    return std::move(data.recipe);
  });
  return node;
}

Node node_of(const State& state, const ArrayIndex& index, std::size_t i) {
  if (index[i].is_array) return array_node(state, index, i);
  Node node = directory_node(state);
  if (i != ArrayIndex::kTop && array_directory_name(index[i].key).cut) node.key = index[i].key;
  return node;
}

/// The table, or its failure.
std::string table(const State& state) {
  std::string text = "name\tdtype\tshape\tnbytes\tmember\n";
  const Ptr<ArrayIndex> index = state.metadata->index();
  for (const std::size_t i : index->below(ArrayIndex::kTop)) {
    const ArrayIndex::Entry& entry = (*index)[i];
    if (!entry.is_array) continue;
    std::string dtype = "?", shape = "?", nbytes = "?";
    if (entry.problem.empty()) {
      dtype = npy::dtype_name(entry.descr);
      shape = shape_text(entry.shape);
      try {
        nbytes = std::to_string(npy::byte_size(entry.shape, entry.descr, ""));
      } catch (const Error&) {
        // Larger than anything: as unknown as the rest.
      }
    }
    text += escaped(index->title(i)) + "\t" + escaped(dtype) + "\t" + shape + "\t" + nbytes + "\t" +
            escaped(entry.member) + "\n";
  }
  return text;
}

}  // namespace

Content array_data(const State& state, const ArrayIndex& index, std::size_t i) {
  const ArrayIndex::Entry& entry = index[i];
  const std::string place = place_of(index, i);
  if (!entry.problem.empty()) throw Error(Errc::corrupt, place + ": " + entry.problem);
  const std::uint64_t needs = npy::byte_size(entry.shape, entry.descr, place);
  const auto edited = state.members.find(entry.member);
  const zip::Member* stored = state.archive->zip().find(entry.member);
  const bool missing = edited == state.members.end() ? stored == nullptr : !edited->second;
  if (missing) throw Error(Errc::corrupt, place + ": its member '" + entry.member + "' is not in the archive");
  const std::uint64_t has = edited != state.members.end() ? edited->second->recipe.size() : stored->size;
  if (has != needs)
    throw Error(Errc::corrupt, place + ": shape " + shape_text(entry.shape) + " of " + npy::dtype_name(entry.descr) +
                                   " needs " + std::to_string(needs) + " bytes, member '" + entry.member + "' has " +
                                   std::to_string(has));
  if (edited != state.members.end()) return *edited->second;
  return {checked_content(state.archive, *stored), state.archive->zip().mtime(*stored), false};
}

std::optional<Node> show_array(const State& state, const Match& match) {
  if (match.names.empty()) return directory_node(state);
  const Ptr<ArrayIndex> index = state.metadata->index();
  const auto i = entry_at(*index, match.names);
  if (!i) return std::nullopt;
  return node_of(state, *index, *i);
}

void list_arrays(const State& state, const Match& match,
                 const std::function<bool(const std::string&, const Node&)>& each) {
  const Ptr<ArrayIndex> index = state.metadata->index();
  const auto directory = entry_at(*index, match.names);
  if (!directory) throw Error(Errc::not_found, "arrays/" + to_string(match.names) + ": no such directory");
  for (const std::size_t i : (*index)[*directory].children)
    if (!each((*index)[i].name, node_of(state, *index, i))) return;
}

std::optional<Node> vacant_array(const State& state, const Match& match) {
  if (!state.writable() || match.names.empty()) return std::nullopt;
  const std::string& name = match.names.back();
  if (!is_array_file_name(name) || is_scratch_name(name)) return std::nullopt;
  try {
    const Ptr<ArrayIndex> index = state.metadata->index();
    const auto above = entry_at(*index, TreePath(match.names.begin(), match.names.end() - 1));
    if (!above || (*index)[*above].is_array) return std::nullopt;
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt && e.code() != Errc::ambiguous) throw;
    return std::nullopt;  // no array can be entered in a document that is broken
  }
  Node node;
  node.saving = Node::Saving::whole;
  return node;
}

std::optional<Node> show_arrays_table(const State& state, const Match&) {
  Node node;
  node.mtime = state.metadata->mtime();
  node.content = content_or_failure([&] { return Recipe::literal(table(state)); });
  return node;
}

}  // namespace ckptree::torch
