#pragma once

#include <string>

namespace ckptree {

/// Owner, group, mode, ACL and extended attributes of the open file `from` onto the open file `to`; what `to` has
/// beyond that (an ACL from its directory's default) goes.
/// @param name  of `from`, for the errors
/// @throws Error Errc::no_permission when owner or group cannot be kept; std::system_error when an ACL or a user.*
///         attribute cannot. Others (security.*, trusted.*, lustre.*) are kept where the kernel permits it.
void copy_attributes(int from, int to, const std::string& name);

}  // namespace ckptree
