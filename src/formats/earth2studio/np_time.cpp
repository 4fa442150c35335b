#include "formats/earth2studio/np_time.hpp"

#include <charconv>
#include <cstdio>
#include <limits>

namespace ckptree::earth2studio {
namespace {

constexpr std::int64_t kNaT = std::numeric_limits<std::int64_t>::min();

struct Unit {
  const char* name;
  std::int64_t per_day;  // 0: less often than daily, or too many for 64 bits
  int fraction;          // digits of a second
};
constexpr Unit kUnits[] = {{"D", 1, 0},
                           {"h", 24, 0},
                           {"m", 1440, 0},
                           {"s", 86'400, 0},
                           {"ms", 86'400'000, 3},
                           {"us", 86'400'000'000, 6},
                           {"ns", 86'400'000'000'000, 9},
                           {"ps", 86'400'000'000'000'000, 12}};

/// The proleptic Gregorian date of a day since 1970. @see Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"
std::string date_of(std::int64_t day) {
  day += 719'468;
  const std::int64_t era = (day >= 0 ? day : day - 146'096) / 146'097;
  const std::int64_t of_era = day - era * 146'097;
  const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * of_year + 2) / 153;
  const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  char text[64];
  std::snprintf(text, sizeof text, "%04lld-%02lld-%02lld", static_cast<long long>(year), static_cast<long long>(month),
                static_cast<long long>(of_year - (153 * shifted + 2) / 5 + 1));
  return text;
}

std::int64_t floor_of(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::string year_text(std::int64_t year) {
  char text[32];
  std::snprintf(text, sizeof text, "%04lld", static_cast<long long>(year));
  return text;
}

/// A day in its year: days from 1970 to the first of January.
std::optional<std::int64_t> integer(Bytes text) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

std::int64_t day_of(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = floor_of(year, 400), year_of_era = year - era * 400;
  const std::int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719'468;
}

}  // namespace

std::string np_datetime_text(std::int64_t count, const std::string& unit) {
  if (count == kNaT) return "NaT";
  if (unit == "Y") return year_text(count > kNaT / 2 && count < -(kNaT / 2) ? count + 1970 : count);
  if (unit == "M") {
    char month[8];
    std::snprintf(month, sizeof month, "-%02d", static_cast<int>(count - floor_of(count, 12) * 12 + 1));
    return year_text(floor_of(count, 12) + 1970) + month;
  }
  if (unit == "W") return count > kNaT / 8 && count < -(kNaT / 8) ? date_of(count * 7) : std::to_string(count);
  for (const Unit& known : kUnits) {
    if (unit != known.name) continue;
    const std::int64_t day = floor_of(count, known.per_day);
    if (day > -(kNaT / 2) || day < kNaT / 2) return std::to_string(count);
    std::string text = date_of(day);
    if (known.per_day == 1) return text;
    const std::int64_t rest = count - day * known.per_day;
    const auto part = [&](std::int64_t in_day, std::int64_t in_part, int digits) {
      std::string number = std::to_string(rest / (known.per_day / in_day) % in_part);
      return std::string(static_cast<std::size_t>(digits) - number.size(), '0') + number;
    };
    text += "T" + part(24, 24, 2);
    if (known.per_day >= 1440) text += ":" + part(1440, 60, 2);
    if (known.per_day >= 86'400) text += ":" + part(86'400, 60, 2);
    if (known.fraction > 0) text += "." + part(known.per_day, known.per_day / 86'400, known.fraction);
    return text;
  }
  return std::to_string(count);
}

std::optional<std::int64_t> np_datetime_of(const std::string& text, const std::string& unit) {
  if (text == "NaT") return kNaT;
  const std::size_t dash = text.find('-', 1);
  const auto year = integer(Bytes(text).substr(0, dash));
  if (!year || *year > 9'999'999 || *year < -9'999'999) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t digits) -> std::int64_t {
    return at + digits <= text.size() ? integer(Bytes(text).substr(at, digits)).value_or(0) : 0;
  };
  const std::size_t at = dash == std::string::npos ? text.size() : dash;
  const std::int64_t month = at < text.size() ? number(at + 1, 2) : 1,
                     day = at + 3 < text.size() ? number(at + 4, 2) : 1;
  if (month < 1 || month > 12) return std::nullopt;
  std::int64_t count = 0;
  if (unit == "Y") count = *year - 1970;
  else if (unit == "M") count = (*year - 1970) * 12 + month - 1;
  else if (unit == "W") count = floor_of(day_of(*year, month, day), 7);
  else {
    const Unit* known = nullptr;
    for (const Unit& u : kUnits)
      if (unit == u.name) known = &u;
    if (!known) return std::nullopt;
    const std::int64_t days = day_of(*year, month, day);
    const std::int64_t most = INT64_MAX / known->per_day - 1;  // a day of room for the time
    if (days > most || days < -most) return std::nullopt;
    count = days * known->per_day;
    if (known->per_day >= 24) count += number(at + 7, 2) * (known->per_day / 24);
    if (known->per_day >= 1440) count += number(at + 10, 2) * (known->per_day / 1440);
    if (known->per_day >= 86'400) count += number(at + 13, 2) * (known->per_day / 86'400);
    if (known->fraction > 0) count += number(at + 16, static_cast<std::size_t>(known->fraction));
  }
  // Spelled in any other way, or no date at all: not taken.
  if (np_datetime_text(count, unit) != text) return std::nullopt;
  return count;
}

std::string timedelta_text(std::int64_t count, const std::string& unit) {
  if (count == kNaT) return "NaT";
  if (count == 0) return "0 hours";
  struct Size {
    const char *name, *word;
    std::int64_t nanoseconds;
  };
  static constexpr Size kSizes[] = {{"W", nullptr, 604'800'000'000'000}, {"D", nullptr, 86'400'000'000'000},
                                    {"h", "hours", 3'600'000'000'000},   {"m", "minutes", 60'000'000'000},
                                    {"s", "seconds", 1'000'000'000},     {"ms", "milliseconds", 1'000'000},
                                    {"us", "microseconds", 1000},        {"ns", "nanoseconds", 1}};
  const Size* own = nullptr;
  for (const Size& size : kSizes)
    if (unit == size.name) own = &size;
  if (!own) return std::to_string(count) + (unit == "generic" ? " generic time units" : " " + unit);
  for (const Size& size : kSizes) {
    if (!size.word) continue;
    if (own->nanoseconds >= size.nanoseconds) {
      const std::int64_t times = own->nanoseconds / size.nanoseconds;
      if (count <= std::numeric_limits<std::int64_t>::max() / times &&
          count >= -(std::numeric_limits<std::int64_t>::max() / times))
        return std::to_string(count * times) + " " + size.word;
    } else if (count % (size.nanoseconds / own->nanoseconds) == 0) {
      return std::to_string(count / (size.nanoseconds / own->nanoseconds)) + " " + size.word;
    }
  }
  return std::to_string(count) + " " + (own->word ? own->word : unit);
}

}  // namespace ckptree::earth2studio
