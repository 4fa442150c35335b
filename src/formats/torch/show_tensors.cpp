// tensors/, tensors.tsv and values/: the tensors of the pickled object.

#include "ckptree/error.hpp"
#include "formats/torch/index.hpp"
#include "formats/torch/object_place.hpp"
#include "formats/torch/pickled.hpp"
#include "formats/torch/state.hpp"
#include "formats/torch/storages.hpp"
#include "formats/torch/tensor_data.hpp"
#include "formats/torch/tensor_text.hpp"
#include "formats/torch/tensors.hpp"

namespace ckptree::torch {
namespace {

// Others with the same storage that are named with each. Tied weights are two or three; a flattened model is thousands,
// and naming all with each would be millions.
constexpr std::size_t kMaxShared = 16;

Node directory_node(const State& state, bool editable) {
  Node node;
  node.kind = Node::Kind::directory;
  node.saving = editable ? Node::Saving::value : Node::Saving::none;
  node.mtime = state.pickled->mtime();
  return node;
}

/// tensors/ or values/. One that cannot be looked into, of a broken pickle, is shown.
Node top_node(const State& state, bool editable) {
  try {
    state.pickled->tensors();
    return directory_node(state, editable && !why_not_editable(state));
  } catch (const Error&) {
    return directory_node(state, false);
  }
}

TensorText text_of(const Tensors& tensors, Tensors::Index i, const TensorInfo& info) {
  TensorText text{tensors.name(i), {}, false};
  std::vector<Tensors::Index> others = tensors.sharing(i, info, kMaxShared + 1);
  text.more_shared = others.size() > kMaxShared;
  if (text.more_shared) others.resize(kMaxShared);
  for (const Tensors::Index other : others) text.shared_with.push_back(tensors.name(other));
  return text;
}

Node tensor_node(const State& state, const Tensors& tensors, Tensors::Index i, bool editable) {
  Node node;
  node.saving = editable && tensors.place(i).renameable ? Node::Saving::value : Node::Saving::none;
  node.mtime = state.pickled->mtime();
  const FileName file = file_name_of(tensors.name(i));
  if (file.cut) node.key = tensors.name(i);
  const TensorInfo info = tensors.info(i);
  if (!info.problem.empty()) {
    node.content = failing_content(Errc::corrupt, "tensors/" + file.text + ": " + info.problem);
    return node;
  }
  std::string json = json_of(info, text_of(tensors, i, info));
  node.content.tag = tag_of(json);
  const std::uint64_t size = json.size();
  node.content.pieces.push_back({std::move(json), size});
  return node;
}

/// Nothing when its values are no array.
std::optional<Node> array_node(const State& state, const Tensors& tensors, Tensors::Index i, const FileName& file) {
  const TensorInfo info = tensors.info(i);
  if (!has_array(info)) return std::nullopt;
  Node node;
  node.mtime = state.pickled->mtime();
  if (file.cut) node.key = tensors.name(i);
  const Archive& archive = *state.archive;
  node.content = content_or_failure(
      [&] { return array_of_tensor(archive, info, archive.is_big_endian(), "values/" + file.text); });
  const zip::Member* member = info.storage ? archive.zip().find(storage_member(archive, info.storage->key)) : nullptr;
  if (member) node.mtime = archive.zip().mtime(*member);
  return node;
}

std::string table(const Tensors& tensors) {
  std::string text = kTensorColumns;
  tensors.each([&](Tensors::Index i) {
    const TensorInfo info = tensors.info(i);
    text += row_of(info, text_of(tensors, i, info));
    return true;
  });
  return text;
}

}  // namespace

std::optional<Node> show_tensor(const State& state, const Match& match) {
  if (match.names.empty()) return top_node(state, true);
  if (match.names.size() > 1) return std::nullopt;
  const auto tensors = state.pickled->tensors();
  const auto i = tensors->find_file(match.names.front());
  if (!i) return std::nullopt;
  return tensor_node(state, *tensors, *i, !why_not_editable(state));
}

void list_tensors(const State& state, const Match&, const std::function<bool(const std::string&, const Node&)>& each) {
  const auto tensors = state.pickled->tensors();
  const bool editable = !why_not_editable(state);
  tensors->each([&](Tensors::Index i) {
    return each(file_name_of(tensors->name(i)).text, tensor_node(state, *tensors, i, editable));
  });
}

std::optional<Node> vacant_tensor(const State& state, const Match& match) {
  if (match.names.size() != 1) return std::nullopt;
  const std::string& name = match.names.front();
  try {
    if (is_scratch_name(name) || why_not_editable(state)) return std::nullopt;
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt && e.code() != Errc::too_large) throw;
    return std::nullopt;  // no name can be given in an object that is broken
  }
  Node node;
  node.saving = Node::Saving::value;
  return node;
}

std::optional<Node> show_tensors_table(const State& state, const Match&) {
  Node node;
  node.mtime = state.pickled->mtime();
  node.content = content_or_failure([&] { return state.pickled->tensors()->table(table); });
  return node;
}

std::optional<Node> show_tensor_values(const State& state, const Match& match) {
  if (state.options.no_data || match.names.size() > 1) return std::nullopt;
  if (match.names.empty()) return top_node(state, false);
  const auto tensors = state.pickled->tensors();
  const auto i = tensors->find_array(match.names.front());
  if (!i) return std::nullopt;
  return array_node(state, *tensors, *i, array_file_name(tensors->name(*i)));
}

void list_tensor_values(const State& state, const Match&,
                        const std::function<bool(const std::string&, const Node&)>& each) {
  const auto tensors = state.pickled->tensors();
  tensors->each([&](Tensors::Index i) {
    const FileName file = array_file_name(tensors->name(i));
    const auto node = array_node(state, *tensors, i, file);
    return !node || each(file.text, *node);
  });
}

}  // namespace ckptree::torch
