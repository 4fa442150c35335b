#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "codec/pickle/pickle.hpp"

namespace ckptree::pickle {
namespace {

using Limbs = std::vector<std::uint32_t>;  // least significant first

constexpr std::uint32_t kBillion = 1'000'000'000;
constexpr std::size_t kBillionDigits = 9;
// log(10)/log(256) is 0.4152; one byte for the sign.
constexpr std::size_t kMaxBytes = kMaxDigits * 4153 / 10000 + 1;

[[noreturn]] void too_large(const std::string& size) {
  throw Error(Errc::too_large, "an integer of " + size + "; in decimal they are read and shown up to " +
                                   std::to_string(kMaxDigits) + " digits");
}

/// Divides in place and returns the remainder.
std::uint32_t divide(Limbs& limbs, std::uint32_t by) {
  std::uint64_t rest = 0;
  for (std::size_t i = limbs.size(); i-- > 0;) {
    rest = rest << 32 | limbs[i];
    limbs[i] = static_cast<std::uint32_t>(rest / by);
    rest %= by;
  }
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  return static_cast<std::uint32_t>(rest);
}

void multiply_add(Limbs& limbs, std::uint32_t by, std::uint32_t add) {
  std::uint64_t carry = add;
  for (std::uint32_t& limb : limbs) {
    carry += std::uint64_t(limb) * by;
    limb = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  if (carry) limbs.push_back(static_cast<std::uint32_t>(carry));
}

/// The other sign, in as many bytes.
void negate(std::string& bytes) {
  unsigned carry = 1;
  for (char& c : bytes) {
    carry += static_cast<unsigned char>(~c);
    c = static_cast<char>(carry);
    carry >>= 8;
  }
}

bool is_negative(Bytes bytes) { return !bytes.empty() && (bytes.back() & 0x80); }

/// Drops last bytes that only repeat the sign.
void shorten(std::string& bytes) {
  const auto repeats = [&](unsigned char sign) {
    return static_cast<unsigned char>(bytes.back()) == sign &&
           (bytes.size() == 1 ? sign == 0 : (bytes[bytes.size() - 2] & 0x80) == (sign & 0x80));
  };
  while (!bytes.empty() && (repeats(0) || repeats(0xFF))) bytes.pop_back();
}

}  // namespace

std::string decimal_of(Bytes twos_complement) {
  std::string bytes(twos_complement);
  shorten(bytes);
  if (bytes.size() > kMaxBytes) too_large(std::to_string(bytes.size()) + " bytes");
  const bool negative = is_negative(bytes);
  if (negative) negate(bytes);
  Limbs limbs((bytes.size() + 3) / 4);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    limbs[i / 4] |= std::uint32_t(static_cast<unsigned char>(bytes[i])) << (8 * (i % 4));
  std::string digits;  // last first
  while (!limbs.empty()) {
    std::uint32_t chunk = divide(limbs, kBillion);
    for (std::size_t i = 0; i < kBillionDigits; ++i, chunk /= 10) digits += static_cast<char>('0' + chunk % 10);
  }
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.size() > kMaxDigits) too_large(std::to_string(digits.size()) + " digits");
  if (digits.empty()) return "0";
  if (negative) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string twos_complement_of(Bytes decimal) {
  const bool negative = !decimal.empty() && decimal[0] == '-';
  const Bytes digits = decimal.substr(negative ? 1 : 0);
  if (digits.empty() || digits.find_first_not_of("0123456789") != Bytes::npos)
    throw Error(Errc::rejected, "expected an integer, got '" + std::string(decimal.substr(0, 40)) + "'");
  if (digits.size() > kMaxDigits) too_large(std::to_string(digits.size()) + " digits");
  Limbs limbs;
  for (std::size_t at = 0; at < digits.size();) {
    std::uint32_t chunk = 0, scale = 1;
    for (std::size_t i = 0; i < kBillionDigits && at < digits.size(); ++i, ++at, scale *= 10)
      chunk = chunk * 10 + static_cast<std::uint32_t>(digits[at] - '0');
    multiply_add(limbs, scale, chunk);
  }
  std::string bytes;
  for (const std::uint32_t limb : limbs)
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(limb >> shift & 0xFF);
  bytes += '\0';
  if (negative) negate(bytes);
  shorten(bytes);
  return bytes;
}

}  // namespace ckptree::pickle
