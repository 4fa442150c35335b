// A text of any bytes: whatever validate accepts, the other functions must walk and edit without a fault.

#include <cstdint>
#include <cstdlib>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"

using namespace ckptree;

namespace {

void expect(bool right) {
  if (!right) std::abort();
}

bool valid(Bytes text) {
  try {
    json::validate(text, "fuzz");
    return true;
  } catch (const Error& error) {
    expect(error.code() == Errc::rejected || error.code() == Errc::incomplete);
    return false;
  }
}

void check_literal(Bytes literal) {
  const std::string text = json::unescape(literal);
  const std::string quoted = json::quote(text);
  expect(json::unescape(quoted) == text);
  expect(json::has_lone_surrogate(quoted) == json::has_lone_surrogate(literal));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes text(reinterpret_cast<const char*>(data), size);
  try {
    expect(json::unescape(json::quote(text)) == text);
  } catch (const Error&) {  // not UTF-8
  }
  const bool is_valid = valid(text);
  // simdjson refuses NaN: the same text beside it is judged by our own scanner.
  if (size < json::kMaxDepth) {
    const std::string beside = "[NaN,\n" + std::string(text) + "\n]";
    expect(is_valid == (valid(beside) && json::members(beside, json::root(beside)).size() == 2));
  }
  if (!is_valid) return 0;

  const json::Extent root = json::root(text);
  std::vector<json::Extent> open{root};
  for (int budget = 200; !open.empty() && budget > 0; --budget) {
    const json::Extent at = open.back();
    open.pop_back();
    const json::Type type = json::type_at(text, at);
    if (type == json::Type::string) check_literal(text.substr(at.begin, at.size()));
    if (type != json::Type::object && type != json::Type::array) continue;
    const std::vector<json::Member> all = json::members(text, at);
    for (const json::Member& m : all) {
      expect(m.value.begin >= at.begin && m.value.end <= at.end && m.value.size() > 0);
      expect(valid(text.substr(m.value.begin, m.value.size())));
      if (type == json::Type::object) check_literal(text.substr(m.key.begin, m.key.size()));
      open.push_back(m.value);
    }
    if (budget < 190) continue;
    const std::string longer = json::append(text, at, "\"key\"", "0");
    expect(valid(longer));
    expect(json::members(longer, {at.begin, at.end + longer.size() - size}).size() == all.size() + 1);
    for (std::size_t i = 0; i < all.size() && i < 4; ++i) {
      expect(valid(json::remove(text, at, i)));
      expect(valid(json::splice(text, all[i].value, "null")));
    }
  }
  return 0;
}
