#include "formats/torch/tensor_text.hpp"

#include "codec/json/json.hpp"
#include "codec/python/repr.hpp"
#include "formats/document/table_text.hpp"

namespace ckptree::torch {
namespace {

/// A text of the pickle, which is UTF-8 but for lone surrogates.
std::string quoted(Bytes text) { return json::quote(text); }

std::string list_of(const std::vector<std::uint64_t>& numbers) {
  std::string text = "[";
  for (const std::uint64_t n : numbers) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text = "[";
  for (const std::string& name : names) text += (text.size() > 1 ? ", " : "") + quoted(name);
  return text + "]";
}

const char* boolean(bool value) { return value ? "true" : "false"; }

/// Entries of an object, in order.
class Object {
 public:
  Object& add(const char* key, const std::string& value) {
    text_ += std::string(text_.empty() ? "{" : ", ") + '"' + key + "\": " + value;
    return *this;
  }
  std::string text() const { return text_ + "}"; }

 private:
  std::string text_;
};

std::string number_or_null(const std::optional<std::uint64_t>& n) { return n ? std::to_string(*n) : "null"; }
std::string text_or_null(Bytes text) { return text.data() ? quoted(text) : "null"; }

void add_strided(Object& o, const TensorInfo& t) {
  const bool strided = t.layout == "strided";
  o.add("shape", t.layout == "nested" ? "null" : list_of(t.shape));
  o.add("dtype", quoted(t.dtype->name));
  o.add("stride", strided ? list_of(t.stride) : "null");
  o.add("offset", strided ? std::to_string(t.offset) : "null");
  o.add("storage", t.storage ? quoted(t.storage->key) : "null");
}

std::string part_json(const TensorInfo& t) {
  Object o;
  add_strided(o, t);
  return o.add("nbytes", number_or_null(t.nbytes())).text();
}

void add_parts(Object& o, const TensorInfo& t) {
  for (const TensorPart& part : t.parts) o.add(part.name, part_json(part.tensor));
}

/// What a layout or a type needs besides what all have.
void add_special(Object& o, const TensorInfo& t) {
  if (t.storage) o.add("storage_nbytes", std::to_string(t.storage->bytes()));
  if (!t.type.empty()) o.add("type", quoted(t.type));
  if (t.conj) o.add("conj", "true");
  if (t.neg) o.add("neg", "true");
  if (t.layout == "sparse_coo") o.add("is_coalesced", boolean(t.coalesced));
  if (t.quantizer.empty()) return add_parts(o, t);
  Object q;
  q.add("scheme", quoted(t.quantizer));
  if (t.parts.empty()) q.add("scale", python::json_number(t.scale)).add("zero_point", std::to_string(t.zero_point));
  else q.add("axis", std::to_string(t.axis));
  add_parts(q, t);
  o.add("quantizer", q.text());
}

}  // namespace

std::string json_of(const TensorInfo& t, const TensorText& text) {
  Object o;
  o.add("name", quoted(text.name));
  if (!t.unknown.empty()) {
    o.add("unknown", quoted("made by " + t.unknown));
    if (!t.type.empty()) o.add("type", quoted(t.type));
    return o.text() + "\n";
  }
  add_strided(o, t);
  o.add("device", text_or_null(t.device)).add("requires_grad", boolean(t.requires_grad));
  o.add("nbytes", number_or_null(t.nbytes())).add("shared_with", list_of(text.shared_with));
  o.add("layout", quoted(t.layout));
  if (text.more_shared) o.add("shared_with_more", "true");
  add_special(o, t);
  return o.text() + "\n";
}

std::string row_of(const TensorInfo& t, const TensorText& text) {
  std::string row = escaped(text.name);
  const auto add = [&](const std::string& field) { row += "\t" + field; };
  if (!t.problem.empty() || !t.unknown.empty()) {
    for (int i = 0; i < 9; ++i) add("?");
    return row + "\n";
  }
  const bool strided = t.layout == "strided";
  const auto nbytes = t.nbytes();
  add(std::string(t.dtype->name));
  add(t.layout == "nested" ? "?" : shape_text(t.shape));
  add(nbytes ? std::to_string(*nbytes) : "?");
  add(t.storage ? escaped(t.storage->key) : "");
  add(strided ? std::to_string(t.offset) : "");
  add(strided ? shape_text(t.stride) : "");
  add(escaped(t.device));
  add(boolean(t.requires_grad));
  std::string names;
  for (const std::string& name : text.shared_with) names += (names.empty() ? "" : ",") + escaped(name);
  add(text.more_shared ? names + ",..." : names);
  return row + "\n";
}

}  // namespace ckptree::torch
