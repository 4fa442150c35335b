#include "tree/status.hpp"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>

#include "ckptree/utf8.hpp"

namespace ckptree {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = utf8_length(Bytes(text).substr(i));
    if (length > 1) {
      out.append(text, i, length);
      i += length;
      continue;
    }
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c < 0x20 || length == 0) {  // a byte that is no UTF-8 is shown as the character of its number
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      out += escape;
    } else {
      out += text[i];
    }
    ++i;
  }
  return out + "\"";
}

std::uint64_t free_bytes(const std::string& path) {
  struct statvfs fs;
  return ::statvfs(path.c_str(), &fs) == 0 ? std::uint64_t{fs.f_bavail} * fs.f_frsize : 0;
}

}  // namespace

std::string to_json(const Status& status) {
  std::string out = "{\n";
  const auto text = [&](const char* name, const std::string& value) {
    out += std::string("  \"") + name + "\": " + quoted(value) + ",\n";
  };
  const auto number = [&](const char* name, std::uint64_t value) {
    out += std::string("  \"") + name + "\": " + std::to_string(value) + ",\n";
  };
  text("kind", status.kind);
  text("layout", status.layout);
  text("source", status.source);
  number("generation", status.generation);
  number("commits", status.commits);
  number("pending", status.pending);
  number("waiting", status.waiting);
  number("rejected", status.rejected);
  text("flush_interval", status.flush_interval);
  text("strategy", status.strategy);
  number("free", free_bytes(status.source));
  out += "  \"warnings\": [";
  for (std::size_t i = 0; i < status.warnings.size(); ++i) out += (i ? ", " : "") + quoted(status.warnings[i]);
  out += "],\n";
  text("progress", status.progress);
  number("pid", static_cast<std::uint64_t>(::getpid()));
  out.replace(out.size() - 2, 2, "\n}\n");
  return out;
}

}  // namespace ckptree
