#include "formats/orbax/step_metadata.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <set>
#include <vector>

#include "ckptree/error.hpp"
#include "codec/json/scan.hpp"
#include "formats/orbax/view.hpp"
#include "formats/utc.hpp"

namespace ckptree::orbax {
namespace {

constexpr const char kCustom[] = "custom_metadata";

const std::vector<std::string>& known_keys(StepMetadata::Kind kind) {
  static const std::vector<std::string> checkpoint{
      "item_handlers", "metrics", "performance_metrics", "init_timestamp_nsecs", "commit_timestamp_nsecs", kCustom};
  static const std::vector<std::string> root{"internal_metadata", kCustom};
  return kind == StepMetadata::Kind::root ? root : checkpoint;
}

/// Only floats of these names are read; a float of another name is an error.
const std::set<std::string>& performance_names() {
  static const std::set<std::string> names{"step",
                                           "event_type",
                                           "directory",
                                           "reached_preemption",
                                           "preemption_received_at",
                                           "synchronous",
                                           "wait_for_prev_start_time",
                                           "wait_for_prev_duration_secs",
                                           "time_between_consecutive_saves_sec",
                                           "checkpointer_blocking_start_time",
                                           "checkpointer_blocking_duration_secs",
                                           "get_old_steps_start_time",
                                           "get_old_steps_duration_secs",
                                           "checkpoint_manager_blocking_start_time",
                                           "checkpoint_manager_blocking_duration_secs"};
  return names;
}

bool is_known(StepMetadata::Kind kind, const std::string& key) {
  const auto& known = known_keys(kind);
  return std::find(known.begin(), known.end(), key) != known.end();
}

/// Entries of the top object that Orbax does not know, by their place among its members.
std::vector<std::size_t> unknown_members(StepMetadata::Kind kind, Bytes text) {
  std::vector<std::size_t> unknown;
  std::size_t i = 0;
  View::of(text).each([&](const std::string& key, const View&) {
    if (!is_known(kind, key)) unknown.push_back(i);
    ++i;
  });
  return unknown;
}

/// The value of custom_metadata with the white space that was written with it: all between the colon, with the space
/// that json.dumps puts behind it, and the comma or brace. Of several the last. Nothing when there is none.
std::optional<json::Extent> custom_extent(Bytes text) {
  std::optional<json::Extent> found;
  json::Walk walk(text, json::root(text));
  json::Member m;
  while (walk.next(m)) {
    if (json::unescape(text.substr(m.key.begin, m.key.size())) != kCustom) continue;
    std::size_t begin = json::after_space(text, m.key.end) + 1;
    if (begin < m.value.begin && text[begin] == ' ') ++begin;
    found = json::Extent{begin, json::after_space(text, m.value.end)};
  }
  return found;
}

/// Why Orbax refuses it; empty when it does not.
std::string problem_of(StepMetadata::Kind kind, const View& top) {
  const auto wrong = [](const char* key, const char* expected) {
    return std::string(key) + ": expected " + expected + "; Orbax refuses the file";
  };
  if (const auto v = top.find(kCustom); v && !v->is_object() && !v->is_null()) return wrong(kCustom, "an object");
  if (kind == StepMetadata::Kind::checkpoint) {
    if (const auto v = top.find("item_handlers"); v && !v->is_object() && !v->is_string() && !v->is_null())
      return wrong("item_handlers", "an object or a string");
    for (const char* key : {"metrics", "performance_metrics"})
      if (const auto v = top.find(key); v && !v->is_object() && !v->is_falsy()) return wrong(key, "an object");
    for (const char* key : {"init_timestamp_nsecs", "commit_timestamp_nsecs"})
      if (const auto v = top.find(key); v && !v->is_integer() && !v->is_null() && v->type != json::Type::boolean)
        return wrong(key, "an integer");
    std::string odd;
    if (const auto v = top.find("performance_metrics"); v && v->is_object())
      v->each([&](const std::string& key, const View& number) {
        if (number.type == json::Type::number && !number.is_integer() && performance_names().count(key) == 0) odd = key;
      });
    if (!odd.empty()) return wrong("performance_metrics", ("no number called '" + odd + "'").c_str());
  } else if (const auto v = top.find("internal_metadata"); v && !v->is_object() && !v->is_null()) {
    return wrong("internal_metadata", "an object");
  }
  // Each is moved by an edit of its own. Orbax made them once for its own fields, of which there were six.
  constexpr std::size_t kMaxUnknown = 1000;
  if (unknown_members(kind, top.text).size() > kMaxUnknown)
    return "has more than " + std::to_string(kMaxUnknown) + " members that Orbax does not know";
  const auto custom = top.find(kCustom);
  if (custom && custom->is_object() && custom->size() > 0 && !unknown_members(kind, top.text).empty())
    return "members that Orbax does not know stand beside custom_metadata; Orbax refuses the file";
  return {};
}

}  // namespace

StepMetadata StepMetadata::read(Kind kind, std::optional<std::string> stored, const std::string& place) {
  StepMetadata m;
  m.kind = kind;
  m.text = std::move(stored);
  if (!m.text) return m;
  try {
    json::validate(*m.text, place);
  } catch (const Error& e) {
    const bool is_root = kind == Kind::root;
    m.problem =
        std::string(e.what()) + (is_root ? "; Orbax refuses the file" : "; Orbax takes the file for an empty one");
    return m;
  }
  const View top = View::of(*m.text);
  if (!top.is_object()) {
    m.problem = place + ": expected an object";
    return m;
  }
  m.problem = problem_of(kind, top);
  if (!m.problem.empty()) m.problem = place + ": " + m.problem;
  m.editable = m.problem.empty();
  if (const auto v = top.find(kCustom); v && v->is_object()) {
    const json::Extent at = *custom_extent(*m.text);
    m.custom = m.text->substr(at.begin, at.size());
  }
  if (kind == Kind::root) return m;
  const auto time = [&](const char* key) {
    const auto v = top.find(key);
    return v && v->is_integer() ? std::string(v->literal()) : std::string("null");
  };
  m.init = time("init_timestamp_nsecs");
  m.commit = time("commit_timestamp_nsecs");
  const auto handlers = top.find("item_handlers");
  m.is_direct = handlers && handlers->is_string();
  return m;
}

std::string StepMetadata::shown_custom(Bytes own) const {
  std::string all(own);
  if (!editable) return all;
  const View top = View::of(*text);
  json::Walk walk(*text, top.at);
  json::Member m;
  while (walk.next(m)) {
    const Bytes key = Bytes(*text).substr(m.key.begin, m.key.size());
    if (is_known(kind, json::unescape(key)) || View::of(own).find(json::unescape(key))) continue;
    all = json::append(all, json::root(all), key, Bytes(*text).substr(m.value.begin, m.value.size()));
  }
  return all;
}

std::string StepMetadata::with_custom(Bytes own) const {
  std::string fresh = *text;
  std::string value(own);
  const std::vector<std::size_t> unknown = unknown_members(kind, fresh);
  if (!unknown.empty() && View::of(own).size() > 0) {
    value = shown_custom(own);
    for (auto i = unknown.rbegin(); i != unknown.rend(); ++i) fresh = json::remove(fresh, json::root(fresh), *i);
  }
  if (const auto at = custom_extent(fresh)) return json::splice(fresh, *at, value);
  return json::append(fresh, json::root(fresh), json::quote(kCustom), value);
}

std::string StepMetadata::others() const {
  std::string all;
  for (const std::string& key : known_keys(kind)) {
    const auto value = key == kCustom ? std::nullopt : View::of(*text).find(key);
    all += key + " " + (value ? std::string(value->literal()) : "") + "\n";
  }
  return all;
}

std::string iso_time(const std::string& nanoseconds) {
  constexpr std::int64_t second = 1'000'000'000;
  std::int64_t ns = 0;
  const char* end = nanoseconds.data() + nanoseconds.size();
  if (const auto [at, error] = std::from_chars(nanoseconds.data(), end, ns); error != std::errc() || at != end)
    return "null";
  std::time_t whole = ns / second;
  std::int64_t rest = ns % second;
  if (rest < 0) {
    --whole;
    rest += second;
  }
  char fraction[32];
  std::snprintf(fraction, sizeof fraction, ".%09lldZ", static_cast<long long>(rest));
  return utc_text(whole) + fraction;
}

}  // namespace ckptree::orbax
