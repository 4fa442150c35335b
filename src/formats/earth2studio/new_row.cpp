// From the files below next/ to a row: documents and fields in both encodings.

#include <algorithm>
#include <limits>

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"
#include "formats/document/value_text.hpp"
#include "formats/earth2studio/fields.hpp"
#include "formats/earth2studio/next.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/row.hpp"
#include "formats/earth2studio/typed.hpp"

namespace ckptree::earth2studio {
namespace {

constexpr Bytes kArray = ".npy";
constexpr std::uint64_t kMaxText = 64u << 20;

bool is_array_name(const std::string& name) {
  return name.size() > kArray.size() && Bytes(name).substr(name.size() - kArray.size()) == kArray;
}

std::string line_of(const Recipe& content, const std::string& place) {
  std::string text = content.text(kMaxText, place);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

/// A type that torch has too; text, dates and structures are NumPy's alone.
bool is_of_torch(const std::string& descr) {
  return descr[0] != '>' && std::string("biufc").find(descr[1]) != std::string::npos;
}

/// The fields of one state, from its files.
class Fields {
 public:
  /// @param last, state  where the arrays of the last row's state are; null: there is none
  Fields(const Next& next, std::string prefix, const StoreRow* last, const StoredState* state, Written& out)
      : next_(next), prefix_(std::move(prefix)), last_(last), state_(state), out_(out) {}

  /// @param like  the payload of the last row's state at this place; null: there is none
  /// @param path  of an array here, below the state's directory
  Json container(const TreePath& directory, const Json* like, const std::string& path) const {
    const std::vector<std::string> names = names_in(directory);
    const Json* kind = like ? like->find("kind") : nullptr;
    const std::string was = kind ? kind->text : "";
    const bool is_list = was == "list" || was == "tuple" || (was != "dict" && was != "dataclass" && are_indices(names));
    Json made = Json::object();
    if (is_list) {
      Json items = Json::list();
      const Json* old = was == "list" || was == "tuple" ? like->find("items") : nullptr;
      for (std::size_t i = 0; i < names.size(); ++i) {
        const auto found = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
          return name == std::to_string(i) || name == std::to_string(i) + std::string(kArray);
        });
        if (found == names.end())
          throw Error(Errc::rejected, place(directory) + ": expected the items of a list, 0 to " +
                                          std::to_string(names.size() - 1) + "; " + std::to_string(i) + " is missing");
        const Json* old_item = old && i < old->items.size() ? &old->items[i] : nullptr;
        items.items.push_back(value(directory, *found, old_item, path + "/" + std::to_string(i)));
      }
      made.set("kind", Json::string(was == "tuple" ? "tuple" : "list"));
      made.set("items", std::move(items));
      return made;
    }
    const bool dataclass = was == "dataclass";
    made.set("kind", Json::string(dataclass ? "dataclass" : "dict"));
    const Json* old = like ? like->find(dataclass ? "fields" : "items") : nullptr;
    made.set(dataclass ? "fields" : "items", members(directory, names, old, path, !dataclass));
    if (dataclass)
      for (const char* key : {"state_id", "schema_hash"})
        if (const Json* kept = like->find(key)) made.set(key, *kept);
    return made;
  }

  Json top(const TreePath& directory, const Json* like) const {
    std::vector<std::string> names = names_in(directory);
    names.erase(std::remove_if(names.begin(), names.end(),
                               [](const std::string& n) { return n == "state_id" || n == "schema_hash"; }),
                names.end());
    return members(directory, names, like, "", false);
  }

 private:
  static std::string place(const TreePath& path) { return "next/states/" + to_string(path); }

  static bool are_indices(const std::vector<std::string>& names) {
    return !names.empty() && std::all_of(names.begin(), names.end(), [](const std::string& name) {
      return index_of(is_array_name(name) ? name.substr(0, name.size() - kArray.size()) : name).has_value();
    });
  }

  std::vector<std::string> names_in(const TreePath& directory) const {
    std::vector<std::string> names;
    for (const auto& [path, content] : next_.states)
      if (path.size() == directory.size() + 1 && std::equal(directory.begin(), directory.end(), path.begin()))
        names.push_back(path.back());
    return names;
  }

  Json members(const TreePath& directory, const std::vector<std::string>& names, const Json* old,
               const std::string& path, bool hashes) const {
    Json made = Json::object();
    for (const std::string& name : names) {
      const std::string key = key_of(is_array_name(name) ? name.substr(0, name.size() - kArray.size()) : name);
      if (made.find(key)) throw Error(Errc::rejected, place(directory) + ": two files for the key '" + key + "'");
      const std::string below = (path.empty() ? "" : path + "/") + (hashes ? hashed(key) : key);
      made.set(key, value(directory, name, old ? old->find(key) : nullptr, below));
    }
    return made;
  }

  Json value(const TreePath& directory, const std::string& name, const Json* like, const std::string& path) const {
    TreePath file = directory;
    file.push_back(name);
    if (file.size() > kMaxNesting / 4) throw Error(Errc::rejected, place(file) + ": too deep");
    const auto& content = next_.states.at(file);
    if (!content) return container(file, like, path);
    return is_array_name(name) ? array(*content, like, path, place(file)) : scalar(*content, like, place(file));
  }

  Json array(const Recipe& content, const Json* like, const std::string& path, const std::string& at) const {
    out_.files[prefix_ + path + std::string(kArray)] = content;
    const std::string structured = structured_header(content);
    if (!structured.empty()) return like_last(structured, like, path, at);
    const npy::Header header = npy::parse_header(content, at);
    const Json* kind = like ? like->find("kind") : nullptr;
    const bool known = kind && (kind->text == "tensor" || kind->text == "ndarray");
    Json made = Json::object(), shape = Json::list();
    for (const std::uint64_t extent : header.shape)
      shape.items.push_back(Json::number(static_cast<std::int64_t>(extent)));
    made.set("kind", known ? *kind : Json::string(is_of_torch(header.descr) ? "tensor" : "ndarray"));
    made.set("path", Json::string(path + std::string(kArray)));
    made.set("dtype", Json::string(npy::dtype_name(header.descr)));
    made.set("shape", std::move(shape));
    return made;
  }

  /// Only NumPy can spell the dtype of structures: it is that of the last row's array, if the headers are the same.
  Json like_last(const std::string& header, const Json* like, const std::string& path, const std::string& at) const {
    if (like && last_ && state_ && look_of(*like, at) == Look::array) {
      const std::string directory = state_->directory.substr(last_->commit().size() + 1);
      const Ptr<File> old = last_->open(directory + "/" + array_path(*like, at));
      if (structured_header(whole_file(old)) == header) {
        Json made = *like;
        made.set("path", Json::string(path + std::string(kArray)));
        return made;
      }
    }
    throw Error(Errc::rejected, at + ": of structures only the dtype and shape of the last row's array can be written");
  }

  static Json scalar(const Recipe& content, const Json* like, const std::string& at) {
    const std::string text = content.text(kMaxText, at);
    if (like && look_of(*like, at) != Look::directory && look_of(*like, at) != Look::array) {
      try {
        return edited_payload(*like, text, at);
      } catch (const Error&) {
        // Of another type than the last row's: it speaks for itself.
      }
    }
    const Json value = parse(new_value(text.empty() ? "\n" : Bytes(text), at).json, at);
    check_decodes(value, at);
    Both both = merge(nullptr, nullptr, value, "", at);
    if (!both.arrays.empty()) throw Error(Errc::rejected, at + ": an array needs a file of its own, " + at + ".npy");
    return std::move(both.payload);
  }

  const Next& next_;
  const std::string prefix_;
  const StoreRow* const last_;
  const StoredState* const state_;
  Written& out_;
};

/// The last row's payload of a metadata value: tells a tuple from a list, a tensor from an array.
const Json* payload_of(const std::shared_ptr<const Json>& manifest, const std::string& key) {
  const Json* metadata = manifest ? manifest->find("metadata") : nullptr;
  return metadata ? metadata->find(key) : nullptr;
}

std::shared_ptr<const Json> manifest_of(const StoreRow* row) {
  try {
    return row ? row->manifest() : nullptr;
  } catch (const Error&) {
    return nullptr;  // a damaged row tells nothing
  }
}

std::string required(const Next& next, const TreePath& state, const char* name) {
  TreePath path = state;
  path.emplace_back(name);
  const auto found = next.states.find(path);
  const std::string at = "next/states/" + to_string(path);
  const std::string text = found == next.states.end() || !found->second ? "" : line_of(*found->second, at);
  if (text.empty())
    throw Error(Errc::rejected, at + ": expected the " + name + " of the state's dataclass; without it nothing binds");
  return text;
}

/// The last row's state of this class; null when it has none, or another schema.
std::shared_ptr<const StoredState> last_state(const StoreRow* last, const std::string& id, const std::string& hash) {
  if (!last) return nullptr;
  try {
    auto state = last->state(id);
    return state->schema_hash == hash ? state : nullptr;
  } catch (const Error&) {
    return nullptr;
  }
}

void add_states(const Next& next, const StoreRow* last, Written& out) {
  Json states = Json::object(), ids = Json::list();
  for (const auto& [path, content] : next.states) {
    if (path.size() != 1) continue;
    if (content) throw Error(Errc::rejected, "next/states/" + path[0] + ": expected a directory");
    const std::string id = required(next, path, "state_id"), hash = required(next, path, "schema_hash");
    const std::string directory = "states/" + hashed(id);
    if (states.find(id)) throw Error(Errc::rejected, "next/states/" + path[0] + ": a second state " + id);
    const auto like = last_state(last, id, hash);
    Json tree = Json::object(), known = Json::object();
    tree.set("state_id", Json::string(id));
    tree.set("schema_hash", Json::string(hash));
    tree.set("fields", Fields(next, directory + "/", last, like.get(), out).top(path, like ? &like->fields : nullptr));
    out.files[directory + "/metadata.json"] = Recipe::literal(dumps(tree) + "\n");
    known.set("path", Json::string(directory));
    known.set("schema_hash", Json::string(hash));
    states.set(id, std::move(known));
    ids.items.push_back(Json::string(id));
  }
  out.manifest.set("states", std::move(states));
  out.entry.set("state_ids", std::move(ids));
}

}  // namespace

std::int64_t next_write_count(std::int64_t last) {
  if (last == std::numeric_limits<std::int64_t>::max())
    throw Error(Errc::rejected, "write_count: the row before has " + std::to_string(last) + ", and can have no next");
  return last + 1;
}

Written written(const Next& next, const StoreRow* last, std::int64_t write_count) {
  Written out;
  out.entry = Json::object();
  out.manifest = Json::object();
  const std::string place = "next/metadata.json";
  const Json values = next.metadata ? parse(next.metadata->text(), place) : Json::object();
  const auto last_manifest = manifest_of(last);
  const Json last_values = last ? last->entry().metadata() : Json::object();
  Json payloads = Json::object(), shown = Json::object(), keys = Json::list();
  for (const auto& [key, given] : values.members) {
    const std::string at = place + ": " + key;
    check_stays_typed(last_values.find(key), given, at);
    check_decodes(given, at);
    // As upstream's write does with arrays of one element.
    const bool single = is_array_label(given) && given.find("values")->items.size() == 1;
    Both both = merge(payload_of(last_manifest, key), nullptr, single ? given.find("values")->items[0] : given,
                      hashed(key), at);
    for (auto& [path, bytes] : both.arrays) out.files["metadata/" + path] = Recipe::literal(std::move(bytes));
    payloads.set(key, std::move(both.payload));
    shown.set(key, std::move(both.value));
    keys.items.push_back(Json::string(key));
  }
  const Json labels = next.labels ? parse(next.labels->text(), "next/labels.json") : Json::object();
  check_numbers(labels, "next/labels.json");
  for (const auto& [key, value] : labels.members) check_decodes(value, "next/labels.json: " + key);
  for (Json* tree : {&out.entry, &out.manifest}) {
    tree->set("labels", labels);
    tree->set("write_count", Json::number(write_count));
  }
  out.entry.set("metadata", std::move(shown));
  out.entry.set("metadata_keys", std::move(keys));
  out.manifest.set("metadata", std::move(payloads));
  out.manifest.set("version", Json::number(1));
  add_states(next, last, out);
  return out;
}

}  // namespace ckptree::earth2studio
