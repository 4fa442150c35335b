#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>

/// The smallest archive that is a checkpoint, for the fuzzers.
namespace ckptree {

inline std::string le(std::uint64_t value, int bytes) {
  std::string out;
  for (; bytes > 0; --bytes, value >>= 8) out += static_cast<char>(value);
  return out;
}

/// With one member that may be an array.
inline std::string small_checkpoint(const std::string& pickle = std::string("\x80\x02}.")) {
  const std::pair<std::string, std::string> members[] = {{"m/data.pkl", pickle},
                                                         {"m/data/0", "storage!"},
                                                         {"m/version", "3\n"},
                                                         {"m/anemoi-metadata/a.numpy", "0123456789ab"}};
  std::string body, directory;
  for (const auto& [name, data] : members) {
    const std::string fields = le(20, 2) + le(0, 8);
    const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size()));
    const std::string sizes = le(crc, 4) + le(data.size(), 4) + le(data.size(), 4) + le(name.size(), 2) + le(0, 2);
    directory += "PK\1\2" + le(20, 2) + fields + sizes + le(0, 10) + le(body.size(), 4) + name;
    body += "PK\3\4" + fields + sizes + name + data;
  }
  return body + directory + "PK\5\6" + le(0, 4) + le(4, 2) + le(4, 2) + le(directory.size(), 4) + le(body.size(), 4) +
         le(0, 2);
}

}  // namespace ckptree
