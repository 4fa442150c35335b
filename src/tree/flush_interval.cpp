#include "ckptree/error.hpp"
#include "ckptree/session.hpp"

namespace ckptree {

FlushInterval FlushInterval::parse(const std::string& text) {
  if (text == "auto") return {};
  if (text == "none") return {Kind::none, 0};
  const bool digits = !text.empty() && text.size() <= 9 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stoull(text) == 0)
    throw Error(Errc::invalid,
                "flush_interval: expected auto, none or a number of saves from 1 on, got '" + text + "'");
  return {Kind::every, std::stoull(text)};
}

std::string FlushInterval::text() const {
  switch (kind) {
    case Kind::automatic: return "auto";
    case Kind::every: return std::to_string(saves);
    case Kind::none: return "none";
  }
  return "auto";
}

}  // namespace ckptree
