// Edits of rows: documents and their values, fields of states, which rows there are and in what order.

#include <algorithm>

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"
#include "formats/earth2studio/edit.hpp"
#include "formats/earth2studio/fields.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/state.hpp"

namespace ckptree::earth2studio {
namespace {

using Shown = std::shared_ptr<const Document> (StoreRow::*)() const;
using With = std::shared_ptr<const StoreRow> (StoreRow::*)(std::shared_ptr<const Document>) const;

void refuse_if_read_only(const State& state, const Op& op) {
  if (state.options.read_only) throw Error(Errc::read_only, to_string(op.path) + ": the view is read-only");
}

void needs_all(const State& state, const Op& op, const char* what) {
  refuse_if_read_only(state, op);
  if (!state.options.edit_all) throw Error(Errc::immutable, to_string(op.path) + ": " + what + " needs -o edit=all");
}

std::shared_ptr<const StoreRow> existing_row(const State& state, const Match& match) {
  auto row = row_at(state, match);
  if (!row) throw Error(Errc::not_found, "rows/" + match.names.front() + ": no such row");
  return row;
}

/// The state with another row in place of the one at the first name of the match. What the row becomes in both
/// encodings is worked out here, so that what cannot be stored is refused by the edit.
State with_row_edited(const State& state, const Match& match, std::shared_ptr<const StoreRow> row) {
  rewritten(*row);
  if (state.options.edits_append) next_write_count(row->entry().write_count());
  auto rows = std::make_shared<Rows>(*state.rows);
  (*rows)[std::stoul(match.names.front())] = std::move(row);
  State next = state;
  next.rows = std::move(rows);
  return next;
}

State write_document(const State& state, const Match& match, const Op& op, With with) {
  refuse_if_read_only(state, op);
  const std::string& place = op.path.back();
  if (op.kind != Op::Kind::write)
    throw Error(Errc::immutable,
                to_string(op.path) + ": belongs to its row; it can be written, not removed or renamed");
  std::string text = op.content.text(kMaxManifest, place);
  json::validate(text, place);
  if (json::type_at(text, json::root(text)) != json::Type::object)
    throw Error(Errc::rejected, place + ": expected a JSON object");
  const auto row = existing_row(state, match);
  auto document = std::make_shared<const Document>(std::move(text), place, op.mtime.value_or(std::timespec{}), true);
  return with_row_edited(state, match, (*row.*with)(std::move(document)));
}

/// Where an integer was, an integer must be: Python tells 1 from 1.0.
void keep_integer(const Document& old, const Document& now, const TreePath& path, const std::string& place) {
  const auto before = old.find(path), after = now.find(path);
  if (!before || !after || before->type != "number" || after->type != "number") return;
  const auto is_integer = [](const Node& node) {
    return node.content.text(kMaxManifest, "a number").find_first_not_of("-0123456789\n") == std::string::npos;
  };
  if (is_integer(*before) && !is_integer(*after)) throw Error(Errc::rejected, place + ": expected an integer");
}

State write_value(const State& state, const Match& match, const Op& op, Shown shown, With with) {
  refuse_if_read_only(state, op);
  constexpr std::size_t kDepth = 3;  // rows/N/metadata
  const std::string place = to_string(op.path);
  if (op.path.size() <= kDepth) throw Error(Errc::immutable, place + ": is the document itself");
  const bool moves = op.kind == Op::Kind::rename || op.kind == Op::Kind::exchange;
  if (moves && (op.to.size() <= kDepth || !std::equal(op.to.begin(), op.to.begin() + kDepth, op.path.begin())))
    throw Error(Errc::immutable, place + ": a value can only be moved within its document");
  const auto row = existing_row(state, match);
  const auto old = (*row.*shown)();
  auto document = old->apply(op, kDepth);
  if (op.kind == Op::Kind::write)
    keep_integer(*old, *document, TreePath(op.path.begin() + kDepth, op.path.end()), place);
  return with_row_edited(state, match, (*row.*with)(std::move(document)));
}

void check_array(const StoreRow& row, const StoredState& state, const Json& payload, const Recipe& file,
                 const std::string& place) {
  const std::string structured = structured_header(file);
  if (!structured.empty()) {
    const std::string directory = state.directory.substr(row.commit().size() + 1);
    if (structured_header(whole_file(row.open(directory + "/" + array_path(payload, place)))) == structured) return;
    throw Error(Errc::rejected, place + ": expected the dtype and shape of the stored array");
  }
  const npy::Header header = npy::parse_header(file, place);
  Json shape = Json::list();
  for (const std::uint64_t extent : header.shape)
    shape.items.push_back(Json::number(static_cast<std::int64_t>(extent)));
  const std::string dtype = npy::dtype_name(header.descr);
  if (dtype != payload.find("dtype")->text || !same(shape, *payload.find("shape")))
    throw Error(Errc::rejected, place + ": expected " + payload.find("dtype")->text + " of shape " +
                                    dumps_line(*payload.find("shape")) + ", as the state's schema has it, got " +
                                    dtype + " of shape " + dumps_line(shape));
}

State moved_row(const State& state, std::size_t from) {
  auto rows = std::make_shared<Rows>(*state.rows);
  std::rotate(rows->begin() + static_cast<std::ptrdiff_t>(from), rows->begin() + static_cast<std::ptrdiff_t>(from) + 1,
              rows->end());
  State next = state;
  next.rows = std::move(rows);
  next.untouched = false;
  return next;
}

}  // namespace

State edit_metadata(const State& state, const Match& match, const Op& op) {
  return write_document(state, match, op, &StoreRow::with_metadata);
}
State edit_metadata_value(const State& state, const Match& match, const Op& op) {
  return write_value(state, match, op, &StoreRow::metadata, &StoreRow::with_metadata);
}
State edit_labels(const State& state, const Match& match, const Op& op) {
  return write_document(state, match, op, &StoreRow::with_labels);
}
State edit_label_value(const State& state, const Match& match, const Op& op) {
  return write_value(state, match, op, &StoreRow::labels, &StoreRow::with_labels);
}

std::optional<Node> vacant_metadata_value(const State& state, const Match& match) {
  const auto row = row_at(state, match);
  if (!row || !state.writable()) return std::nullopt;
  return row->metadata()->vacant(TreePath(match.names.begin() + 1, match.names.end()));
}
std::optional<Node> vacant_label_value(const State& state, const Match& match) {
  const auto row = row_at(state, match);
  if (!row || !state.writable()) return std::nullopt;
  return row->labels()->vacant(TreePath(match.names.begin() + 1, match.names.end()));
}

State edit_states(const State& state, const Match& match, const Op& op) {
  needs_all(state, op, "an edit of a state");
  const std::string place = to_string(op.path);
  const auto row = existing_row(state, match);
  const auto id = match.names.size() < 3 ? std::nullopt : state_id_of(*row, match.names[1]);
  if (op.kind != Op::Kind::write || !id)
    throw Error(Errc::immutable,
                place + ": the fields of a state are those of its dataclass; their values can be written");
  auto stored = std::make_shared<StoredState>(*row->state(*id));
  const TreePath path(match.names.begin() + 2, match.names.end());
  Json* found = find_payload(stored->fields, path, place);
  if (!found) throw Error(Errc::immutable, place + ": cannot be edited");
  Json& payload = *found;
  if (look_of(payload, place) == Look::array) {
    check_array(*row, *stored, payload, op.content, place);
    stored->arrays[array_path(payload, place)] = op.content;
  } else {
    payload = edited_payload(payload, op.content.text(kMaxManifest, place), place);
  }
  return with_row_edited(state, match, row->with_state(std::move(stored), *id));
}

State edit_commit(const State& state, const Match& match, const Op& op) {
  needs_all(state, op, "dropping a row");
  const std::string place = to_string(op.path);
  if (op.kind != Op::Kind::remove && op.kind != Op::Kind::remove_tree)
    throw Error(Errc::immutable, place + ": can only be removed");
  auto rows = std::make_shared<Rows>(*state.rows);
  const auto gone = std::remove_if(rows->begin(), rows->end(), [&](const auto& row) {
    return file_name_of(row->entry().commit_id()).text == match.names.front();
  });
  if (gone == rows->end()) throw Error(Errc::not_found, place + ": no row names it");
  rows->erase(gone, rows->end());
  if (rows->empty()) throw Error(Errc::last_one, place + ": the last row cannot be dropped");
  State next = state;
  next.rows = std::move(rows);
  next.untouched = false;
  return next;
}

State edit_latest(const State& state, const Match&, const Op& op) {
  needs_all(state, op, "making another row the last");
  if (op.kind != Op::Kind::write) throw Error(Errc::immutable, "latest: follows from the rows; link another one to it");
  const TreePath target = parse_path(op.content.text(4096, "latest"));
  if (target.size() == 2 && target[0] == "rows") {
    const auto node = show_row(state, Match{{target[1]}});
    const std::string number = node && node->kind == Node::Kind::link ? node->target : target[1];
    if (node) return moved_row(state, std::stoul(number));
  }
  throw Error(Errc::rejected, "latest: expected a row such as rows/2, got '" + to_string(target) + "'");
}

}  // namespace ckptree::earth2studio
