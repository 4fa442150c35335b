#pragma once

#include <string>

#include "formats/earth2studio/json_tree.hpp"

namespace ckptree::earth2studio {

/// Dates, durations, devices and dtypes are objects with a member `kind`, the same in both encodings.
/// Arrays (`ndarray_label`) exist in the catalog's encoding only.
bool is_typed(const Json& value);
bool is_array_label(const Json& value);

/// Earth2Studio opens no store with a typed value that does not parse, or a number Python cannot read.
/// @throws Error Errc::rejected "PLACE: expected ..., got ..."
void check_typed(const Json& value, const std::string& place);
/// All typed values that upstream decodes: it descends into lists, not into objects.
void check_decodes(const Json& value, const std::string& place);
/// Where a value that upstream decodes becomes an object, that must be one too: an object of a kind that upstream does
/// not know, or of none, is a dict to it, and says nothing. @param old  null: there was none
void check_stays_typed(const Json* old, const Json& value, const std::string& place);
/// Numbers anywhere in the value.
void check_numbers(const Json& value, const std::string& place);

}  // namespace ckptree::earth2studio
