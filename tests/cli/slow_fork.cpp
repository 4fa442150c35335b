// Preloaded: a parent sleeps behind each fork but its first, for as many milliseconds as SLOW_FORK says. What comes
// between fork and what is behind it comes then.

#include <dlfcn.h>
#include <sys/types.h>

#include <chrono>
#include <cstdlib>
#include <thread>

extern "C" pid_t fork() {
  static int forks = 0;
  const auto real = reinterpret_cast<pid_t (*)()>(::dlsym(RTLD_NEXT, "fork"));
  const pid_t child = real();
  const char* slow = std::getenv("SLOW_FORK");
  if (child > 0 && forks++ > 0 && slow) std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(slow)));
  return child;
}
