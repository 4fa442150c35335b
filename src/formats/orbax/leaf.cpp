// A leaf as JSON, and all of them as a table.

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "formats/document/table_text.hpp"
#include "formats/orbax/item.hpp"
#include "formats/orbax/view.hpp"

namespace ckptree::orbax {
namespace {

std::string list_text(const std::vector<std::uint64_t>& numbers) {
  std::string text = "[";
  for (const std::uint64_t n : numbers) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

/// What the metadata of Orbax calls it.
std::string type_of(const Leaf& leaf) {
  if (leaf.value_type == "None") return "None";
  if (leaf.value_type == "string") return "StringMetadata";
  if (!leaf.has_array()) return "Metadata";
  return leaf.value_type == "scalar" ? "ScalarMetadata" : "ArrayMetadata";
}

std::uint64_t bytes_of(const zarr::ZarrArray& array) {
  std::uint64_t n = array.item_size;
  for (const std::uint64_t extent : array.shape)
    if (__builtin_mul_overflow(n, extent, &n)) return 0;  // parse_zarr refuses such a shape
  return n;
}

/// A JSON list of numbers as a field of a table; empty of anything else.
std::string shape_field(const std::string& literal) {
  const View list = View::of(literal);
  if (!list.is_list()) return {};
  std::string text;
  list.each([&](const std::string&, const View& n) { text += (text.empty() ? "" : "x") + std::string(n.literal()); });
  return text.empty() ? "scalar" : text;
}

/// The kind of a sharding as a field of a table.
std::string sharding_field(const std::string& literal) {
  const auto type = View::of(literal).find("sharding_type");
  return type ? type->string() : "";
}

}  // namespace

std::string Item::leaf_json(std::size_t number) const {
  const auto pytree = tree();
  const Leaf& leaf = pytree->leaves.at(number);
  std::string text = "{\n  \"type\": " + json::quote(type_of(leaf)) + ",\n  \"name\": " + json::quote(leaf.name) +
                     ",\n  \"directory\": " + json::quote(shown_directory()) +
                     ",\n  \"value_type\": " + json::quote(leaf.value_type);
  const auto add = [&](const char* key, const std::string& literal) {
    text += std::string(",\n  \"") + key + "\": " + literal;
  };
  const bool is_scalar = leaf.value_type == "scalar";
  if (leaf.value_type == "string") add("value", string_literal(leaf));
  if (leaf.value_type == "None") add("value", "null");
  if (leaf.has_array()) {
    const auto known = array(number);
    add("shape", list_text(known->shape));
    add("dtype", json::quote(known->dtype));
    const std::string why = why_unsupported(number);
    if (!why.empty()) add("unsupported", json::quote(why));
    if (is_scalar) {
      add("value", why.empty() ? scalar_literal(known->dtype, npy(number)) : "null");
    } else {
      add("random_key_impl", key_kind(leaf));
      add("storage",
          "{\"chunk_shape\": " + list_text(known->chunk_shape) + ", \"write_shape\": " + leaf.write_shape + "}");
      add("sharding", sharding(leaf));
    }
  }
  return text + "\n}\n";
}

std::string Item::table() const {
  const auto make = [&] {
    const auto pytree = tree();
    std::string text = "name\tdtype\tshape\tnbytes\tchunk_shape\twrite_shape\tsharding\ttype\n";
    for (std::size_t i = 0; i < pytree->leaves.size(); ++i) {
      const Leaf& leaf = pytree->leaves[i];
      if (leaf.is_empty_container()) continue;
      text += escaped(leaf.name);
      std::string fields = "\t\t\t\t\t\t\t";
      if (leaf.has_array()) {
        try {
          const auto known = array(i);
          fields = "\t" + escaped(known->dtype) + "\t" + shape_text(known->shape) + "\t" +
                   std::to_string(bytes_of(*known)) + "\t";
          if (leaf.value_type != "scalar")
            fields += shape_text(known->chunk_shape) + "\t" + shape_field(leaf.write_shape) + "\t" +
                      escaped(sharding_field(sharding(leaf))) + "\t";
          else fields += "\t\t\t";
        } catch (const std::exception&) {  // Error, or of a file that cannot be opened
          // Its own file says what is wrong; the others are well.
          fields = "\t\t\t\t\t\t\t";
        }
      }
      text += fields + type_of(leaf) + "\n";
    }
    return std::make_shared<const std::string>(std::move(text));
  };
  return *table_.get(make);
}

}  // namespace ckptree::orbax
