#include "formats/earth2studio/display.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "ckptree/error.hpp"
#include "codec/python/repr.hpp"
#include "formats/earth2studio/np_time.hpp"
#include "formats/earth2studio/payload.hpp"
#include "formats/earth2studio/typed.hpp"

namespace ckptree::earth2studio {
namespace {

const std::string& member(const Json& value, const char* key) { return value.find(key)->text; }
std::int64_t count(const Json& value) { return std::strtoll(member(value, "value").c_str(), nullptr, 10); }
std::int64_t integer(const Json& value, const char* key) {
  return std::strtoll(member(value, key).c_str(), nullptr, 10);
}

std::string number_text(const Json& value) {
  if (value.is_integer()) return value.text;
  return python::repr(std::strtod(value.text.c_str(), nullptr));
}

std::string spaced(std::string isoformat) {
  const std::size_t t = isoformat.find('T');
  if (t != std::string::npos) isoformat[t] = ' ';
  return isoformat.size() == 10 ? isoformat + " 00:00:00" : isoformat;
}

/// Python's str of a timedelta, which it keeps as days, and seconds and microseconds that are not negative.
std::string duration(const Json& value) {
  const auto floor_of = [](std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); };
  std::int64_t days = integer(value, "days"), seconds = integer(value, "seconds"), us = integer(value, "microseconds");
  seconds += floor_of(us, 1'000'000);
  us -= floor_of(us, 1'000'000) * 1'000'000;
  days += floor_of(seconds, 86'400);
  seconds -= floor_of(seconds, 86'400) * 86'400;
  char text[96];
  const int n = std::snprintf(text, sizeof text, "%d:%02d:%02d", static_cast<int>(seconds / 3600),
                              static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  std::string out(text, static_cast<std::size_t>(n));
  if (us > 0) {
    std::snprintf(text, sizeof text, ".%06d", static_cast<int>(us));
    out += text;
  }
  if (days == 0) return out;
  return std::to_string(days) + (days == 1 || days == -1 ? " day, " : " days, ") + out;
}

/// The numbers of "2024-01-01T06:00:00.5" as Python's repr lists them: without trailing seconds of 0.
std::string numbers_of(const std::string& isoformat) {
  std::string out;
  std::size_t at = 0;
  int n = 0;
  std::int64_t last[8] = {};
  while (at < isoformat.size() && n < 7) {
    const std::size_t end = std::min(isoformat.find_first_not_of("0123456789", at), isoformat.size());
    if (end == at) break;
    last[n++] = std::strtoll(isoformat.substr(at, end - at).c_str(), nullptr, 10);
    if (end < isoformat.size() && (isoformat[end] == '+' || (isoformat[end] == '-' && n > 3))) break;
    at = end + 1;
  }
  if (n > 3) {
    if (n == 7 && last[6] == 0) --n;
    if (n == 6 && last[5] == 0) --n;
  }
  for (int i = 0; i < n; ++i) out += (i ? ", " : "") + std::to_string(last[i]);
  return out;
}

std::string typed_text(const Json& value, bool in_list) {
  const std::string& kind = member(value, "kind");
  if (kind == "timedelta") {
    if (!in_list) return duration(value);
    std::string out;
    for (const char* part : {"days", "seconds", "microseconds"})
      if (integer(value, part) != 0) out += (out.empty() ? "" : ", ") + std::string(part) + "=" + member(value, part);
    return "datetime.timedelta(" + (out.empty() ? "0" : out) + ")";
  }
  const std::string& text = member(value, "value");
  if (kind == "datetime") {
    if (!in_list) return spaced(text);
    std::string numbers = numbers_of(text);
    if (text.size() == 10) numbers += ", 0, 0";
    const bool utc = text.size() > 6 && text.compare(text.size() - 6, 6, "+00:00") == 0;
    return "datetime.datetime(" + numbers + (utc ? ", tzinfo=datetime.timezone.utc" : "") + ")";
  }
  if (kind == "date") return in_list ? "datetime.date(" + numbers_of(text) + ")" : text;
  if (kind == "np_datetime64") {
    if (!in_list) return text;
    return "np.datetime64('" + text + (text == "NaT" ? "','" + member(value, "unit") + "')" : "')");
  }
  if (kind == "np_timedelta64") {
    if (!in_list) return timedelta_text(count(value), member(value, "unit"));
    const std::string n = timedelta_text(count(value), "generic") == "NaT" ? "'NaT'" : text;
    return "np.timedelta64(" + n + ",'" + member(value, "unit") + "')";
  }
  if (kind == "np_dtype") return in_list ? "dtype('" + text + "')" : text;
  if (kind == "torch_device" && in_list) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) return "device(type='" + text + "')";
    return "device(type='" + text.substr(0, colon) + "', index=" + text.substr(colon + 1) + ")";
  }
  if (kind == "torch_dtype") return "torch." + text.substr(text.rfind('.') + 1);
  return text;
}

/// Labels are plain JSON that nobody checks: some have a kind and not the rest. Those `print` cannot decode; here they
/// are shown as the objects they are.
bool is_decodable(const Json& value) {
  try {
    check_typed(value, "");
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Python's repr of a value in a list or dict. @param decodes  not below a dict
std::string repr(const Json& value, bool decodes) {
  switch (value.type) {
    case json::Type::null: return "None";
    case json::Type::boolean: return value.text == "true" ? "True" : "False";
    case json::Type::number: return number_text(value);
    case json::Type::string: return python::quoted(value.text);
    case json::Type::array: {
      std::string out = "[";
      for (const Json& item : value.items) out += (out.size() > 1 ? ", " : "") + repr(item, decodes);
      return out + "]";
    }
    case json::Type::object: break;
  }
  if (decodes && is_decodable(value)) {
    if (is_array_label(value)) return "array(" + displayed_array(value) + ")";
    if (is_typed(value)) return typed_text(value, true);
  }
  std::string out = "{";
  for (const auto& [key, entry] : value.members)
    out += (out.size() > 1 ? ", " : "") + python::quoted(key) + ": " + repr(entry, false);
  return out + "}";
}

}  // namespace

std::string displayed(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return value.text;
  if (is_decodable(value)) {
    if (is_array_label(value)) return displayed_array(value);
    if (is_typed(value)) return typed_text(value, false);
  }
  return repr(value, true);
}

}  // namespace ckptree::earth2studio
