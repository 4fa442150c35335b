#pragma once

#include <functional>
#include <string>

namespace ckptree {

/// Where sentences go that no caller waits for: standard error until a sink is set (the daemon sets syslog).
void set_log_sink(std::function<void(const std::string& sentence)> sink);
void log(const std::string& sentence);

}  // namespace ckptree
