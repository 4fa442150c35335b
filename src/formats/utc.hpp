#pragma once

#include <ctime>
#include <string>

namespace ckptree {

/// A moment in UTC, in whole seconds and without its zone: "2026-05-14T00:26:41".
inline std::string utc_text(std::time_t seconds) {
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[64];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc));
}

}  // namespace ckptree
