#include "ckptree/log.hpp"

#include <cstdio>
#include <mutex>

namespace ckptree {
namespace {

std::mutex& sink_mutex() {
  static std::mutex m;  // guards the sink; nothing else is taken while it is held but what the sink itself takes
  return m;
}

std::function<void(const std::string&)>& sink() {
  static std::function<void(const std::string&)> s = [](const std::string& sentence) {
    std::fprintf(stderr, "ckptree: %s\n", sentence.c_str());
  };
  return s;
}

}  // namespace

void set_log_sink(std::function<void(const std::string&)> s) {
  const std::lock_guard<std::mutex> guard(sink_mutex());
  sink() = std::move(s);
}

void log(const std::string& sentence) {
  const std::lock_guard<std::mutex> guard(sink_mutex());
  sink()(sentence);
}

}  // namespace ckptree
