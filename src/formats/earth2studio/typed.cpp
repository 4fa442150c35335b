#include "formats/earth2studio/typed.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "ckptree/error.hpp"
#include "codec/npy/npy.hpp"

namespace ckptree::earth2studio {
namespace {

// Python 3.11 and later refuse to read integers of more digits (sys.int_info.default_max_str_digits).
constexpr std::size_t kMaxDigits = 4300;
constexpr std::int64_t kMaxDays = 999'999'999;  // of a timedelta, and 86,400 seconds each

constexpr const char* kKinds[] = {"datetime",       "date",         "timedelta",   "np_datetime64",
                                  "np_timedelta64", "torch_device", "torch_dtype", "np_dtype"};
constexpr const char* kUnits[] = {"Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"};
constexpr const char* kTorchTypes[] = {
    "bfloat16",  "bool",          "cdouble",         "cfloat",      "chalf",           "complex128",
    "complex32", "complex64",     "double",          "float",       "float16",         "float32",
    "float64",   "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
    "half",      "int",           "int16",           "int32",       "int64",           "int8",
    "long",      "short",         "uint16",          "uint32",      "uint64",          "uint8"};
constexpr const char* kDevices[] = {"cpu", "cuda", "mps", "xpu", "meta", "hpu", "xla", "ipu", "mtia"};

template <std::size_t N>
bool is_one_of(const char* const (&all)[N], Bytes text) {
  return std::any_of(all, all + N, [&](const char* one) { return text == one; });
}

[[noreturn]] void refuse(const std::string& place, const std::string& expected, const Json& got) {
  std::string text = dumps_line(got);
  if (text.size() > 60) text = text.substr(0, 60) + "...";
  throw Error(Errc::rejected, place + ": expected " + expected + ", got " + text);
}

/// Takes `n` digits from the front of `text`; -1 when there are others.
int take_digits(Bytes& text, std::size_t n) {
  if (text.size() < n) return -1;
  int value = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(n);
  return value;
}

bool take(Bytes& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

bool is_in(int value, int low, int high) { return value >= low && value <= high; }

/// YYYY-MM-DD
bool take_date(Bytes& text) {
  const int year = take_digits(text, 4);
  if (year < 1 || !take(text, '-')) return false;
  const int month = take_digits(text, 2);
  if (!is_in(month, 1, 12) || !take(text, '-')) return false;
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return is_in(take_digits(text, 2), 1, kDays[month - 1] + (month == 2 && leap ? 1 : 0));
}

/// HH:MM[:SS[.mmm[mmm]]], as every Python's isoformat writes and fromisoformat reads it.
bool take_time(Bytes& text) {
  if (!is_in(take_digits(text, 2), 0, 23)) return false;
  if (!take(text, ':') || !is_in(take_digits(text, 2), 0, 59)) return false;
  if (!take(text, ':')) return true;
  if (!is_in(take_digits(text, 2), 0, 59)) return false;
  if (!take(text, '.')) return true;
  return take_digits(text, 3) >= 0 && (text.empty() || text[0] < '0' || text[0] > '9' || take_digits(text, 3) >= 0);
}

bool is_date(Bytes text) { return take_date(text) && text.empty(); }

bool is_datetime(Bytes text) {
  if (!take_date(text)) return false;
  if (text.empty()) return true;
  if (!take(text, 'T') && !take(text, ' ')) return false;
  if (!take_time(text)) return false;
  if (text.empty()) return true;
  return (take(text, '+') || take(text, '-')) && take_time(text) && text.empty();
}

/// What NumPy parses: a year of any size, less precise dates too, up to 18 digits of a second.
bool is_np_datetime(Bytes text) {
  if (text == "NaT") return true;
  take(text, '-');
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (!is_in(static_cast<int>(digits), 4, 9)) return false;
  Bytes rest = text.substr(digits);
  if (rest.empty()) return true;
  // The month and the day are checked in a leap year or not as the year is: through the last four digits of it.
  const Bytes year = text.substr(digits - 4, 4);
  std::string date = std::string(year == "0000" ? Bytes("2000") : year) + std::string(rest);
  Bytes left = date;
  if (date.size() == 7) return is_date(date + "-01");
  if (!take_date(left)) return false;
  if (left.empty()) return true;
  if (!take(left, 'T') && !take(left, ' ')) return false;
  if (!is_in(take_digits(left, 2), 0, 23)) return false;
  for (int i = 0; i < 2; ++i) {
    if (left.empty()) return true;
    if (!take(left, ':') || !is_in(take_digits(left, 2), 0, 59)) return false;
  }
  if (left.empty()) return true;
  return take(left, '.') && is_in(static_cast<int>(left.size()), 1, 18) &&
         left.find_first_not_of("0123456789") == Bytes::npos;
}

bool is_device(Bytes text) {
  const std::size_t colon = text.find(':');
  if (!is_one_of(kDevices, text.substr(0, colon))) return false;
  if (colon == Bytes::npos) return true;
  const Bytes index = text.substr(colon + 1);
  return is_in(static_cast<int>(index.size()), 1, 2) && index.find_first_not_of("0123456789") == Bytes::npos &&
         (index.size() == 1 || index[0] != '0');
}

bool is_dtype(const std::string& text) {
  try {
    npy::descr_of(text, "");
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool is_torch_dtype(Bytes text) {
  const std::size_t dot = text.rfind('.');
  return is_one_of(kTorchTypes, dot == Bytes::npos ? text : text.substr(dot + 1));
}

std::optional<std::int64_t> integer(const Json* value) {
  if (!value || !value->is_integer()) return std::nullopt;
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(value->text.data(), value->text.data() + value->text.size(), n);
  if (error != std::errc()) return std::nullopt;
  return n;
}

void check_text(const Json& value, const std::string& place, const std::string& expected, bool (*fits)(Bytes)) {
  const Json* text = value.find("value");
  if (!text || !text->is_string() || !fits(text->text)) refuse(place, expected, text ? *text : value);
}

void check_unit(const Json& value, const std::string& place) {
  const Json* unit = value.find("unit");
  if (!unit || !unit->is_string() || !is_one_of(kUnits, unit->text))
    refuse(place, "a unit of NumPy such as h, D or ns", unit ? *unit : value);
}

void check_array(const Json& value, const std::string& place) {
  const Json *dtype = value.find("dtype"), *shape = value.find("shape"), *values = value.find("values");
  if (!dtype || !dtype->is_string() || !is_dtype(dtype->text)) refuse(place, "a dtype", dtype ? *dtype : value);
  if (!shape || !shape->is_list()) refuse(place, "a shape", shape ? *shape : value);
  if (!values || !values->is_list()) refuse(place, "a list of values", values ? *values : value);
  std::vector<std::uint64_t> extents;
  for (const Json& extent : shape->items) {
    const auto n = integer(&extent);
    if (!n || *n < 0) refuse(place, "a shape", *shape);
    extents.push_back(static_cast<std::uint64_t>(*n));
  }
  const std::uint64_t items = npy::byte_size(extents, "|u1", place);
  if (items != values->items.size())
    throw Error(Errc::rejected, place + ": expected " + std::to_string(items) + " values, as the shape says, got " +
                                    std::to_string(values->items.size()));
}

}  // namespace

bool is_array_label(const Json& value) {
  const Json* kind = value.find("kind");
  return kind && kind->is_string() && kind->text == "ndarray_label";
}

bool is_typed(const Json& value) {
  const Json* kind = value.find("kind");
  return kind && kind->is_string() && is_one_of(kKinds, kind->text);
}

void check_typed(const Json& value, const std::string& place) {
  if (is_array_label(value)) return check_array(value, place);
  if (!is_typed(value)) return;
  const std::string& kind = value.find("kind")->text;
  if (kind == "datetime") check_text(value, place, "a date and time such as 2024-01-01T06:00:00", is_datetime);
  if (kind == "date") check_text(value, place, "a date such as 2024-01-01", is_date);
  if (kind == "torch_device") check_text(value, place, "a device such as cpu or cuda:0", is_device);
  if (kind == "torch_dtype") check_text(value, place, "a dtype such as torch.float32", is_torch_dtype);
  if (kind == "np_dtype")
    check_text(value, place, "a dtype such as float32", [](Bytes text) { return is_dtype(std::string(text)); });
  if (kind == "np_datetime64") {
    check_unit(value, place);
    const bool generic = value.find("unit")->text == "generic";
    check_text(value, place, generic ? "NaT, for it has no unit" : "a date and time such as 2024-01-01T06:00:00",
               generic ? [](Bytes text) { return text == "NaT"; } : is_np_datetime);
  }
  if (kind == "np_timedelta64") {
    check_unit(value, place);
    if (!integer(value.find("value")))
      refuse(place, "an integer of 64 bits", value.find("value") ? *value.find("value") : value);
  }
  if (kind == "timedelta")
    for (const auto& [name, limit] : {std::pair("days", kMaxDays), std::pair("seconds", kMaxDays * 86'400),
                                      std::pair("microseconds", kMaxDays * 1'000'000'000)}) {
      const auto n = integer(value.find(name));
      if (!n || *n > limit || *n < -limit) refuse(place, std::string("an integer of ") + name, value);
    }
}

void check_decodes(const Json& value, const std::string& place) {
  check_typed(value, place);
  for (std::size_t i = 0; i < value.items.size(); ++i) check_decodes(value.items[i], place + "/" + std::to_string(i));
  if (is_array_label(value)) check_decodes(*value.find("values"), place + "/values");
}

void check_stays_typed(const Json* old, const Json& value, const std::string& place) {
  if (!old) return;
  const auto decodes = [](const Json& v) { return is_typed(v) || is_array_label(v); };
  if (decodes(*old) && value.is_object() && !decodes(value)) {
    std::string kinds = "ndarray_label";
    for (const char* kind : kKinds) kinds += std::string(", ") + kind;
    const Json* kind = value.find("kind");
    refuse(place, "a kind that Earth2Studio decodes (" + kinds + ")", kind ? *kind : value);
  }
  if (decodes(*old) || decodes(value)) return;
  for (std::size_t i = 0; i < std::min(old->items.size(), value.items.size()); ++i)
    check_stays_typed(&old->items[i], value.items[i], place + "/" + std::to_string(i));
}

void check_numbers(const Json& value, const std::string& place) {
  if (value.is_integer() && value.text.size() > kMaxDigits)
    throw Error(Errc::rejected, place + ": expected an integer of at most " + std::to_string(kMaxDigits) +
                                    " digits, which is what Python reads, got " + std::to_string(value.text.size()));
  for (std::size_t i = 0; i < value.items.size(); ++i) check_numbers(value.items[i], place + "/" + std::to_string(i));
  for (const auto& [key, member] : value.members) check_numbers(member, place + "/" + key);
}

}  // namespace ckptree::earth2studio
