#pragma once

#include <exception>
#include <memory>
#include <mutex>

#include "ckptree/error.hpp"

namespace ckptree {

/// A value that is made when it is first asked for. Damage is remembered like a value; a failure of the system is not,
/// so that the next reader tries again. Safe to use from several threads.
template <class T>
class Lazy {
 public:
  /// @param make  gives a shared_ptr<const T>; the same each time
  template <class Make>
  std::shared_ptr<const T> get(const Make& make) const {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    if (!value_) {
      try {
        value_ = make();
      } catch (const Error& e) {
        if (e.code() != Errc::stale && e.code() != Errc::io) failure_ = std::current_exception();
        throw;
      }
    }
    return value_;
  }

  /// Null when it was not made yet.
  std::shared_ptr<const T> made() const {
    const std::lock_guard<std::mutex> guard(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;  // guards both, held while the value is made
  mutable std::shared_ptr<const T> value_;
  mutable std::exception_ptr failure_;
};

}  // namespace ckptree
