#include "formats/orbax/layout.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "ckptree/error.hpp"

namespace ckptree::orbax {
namespace {

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

std::optional<Names> names_in(const Source& source, const std::string& directory) {
  try {
    return source.list(directory);
  } catch (const std::system_error&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool has_directory(const Source& source, const std::string& name) {
  try {
    source.list(name);
    return true;
  } catch (const std::system_error& e) {
    return e.code().value() == EACCES;  // of a file: ENOTDIR
  } catch (const Error&) {
    return false;
  }
}

bool has(const Names& sorted, const std::string& name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

bool is_temporary_name(const std::string& name) {
  return contains(name, ".orbax-checkpoint-tmp") || ends_with(name, ".partial_save") ||
         contains(name, ".partial_save.pending_");
}

bool is_in_temporary(const std::string& path) {
  return contains(path, ".orbax-checkpoint-tmp") || contains(path + "/", ".partial_save/") ||
         contains(path, ".partial_save.pending_");
}

std::optional<std::uint64_t> step_of(const std::string& name) {
  const std::size_t prefix = name.rfind('_');
  const std::string digits = prefix == std::string::npos ? name : name.substr(prefix + 1);
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
  if (error != std::errc() || end != digits.data() + digits.size() || prefix == 0) return std::nullopt;
  return n;
}

bool is_checkpoint(const Source& source) {
  if (!source.is_directory()) return false;
  const auto top = names_in(source, "");
  if (!top) return false;
  if (has(*top, kMarker) || has(*top, kCheckpointMetadata) || has(*top, kTreeMetadata)) return true;
  bool item = false;
  for (const std::string& name : *top) {
    const auto inner = names_in(source, name);
    if (!inner) continue;
    // A checkpoint in a directory makes it a collection of such, or a directory of steps.
    if (has(*inner, kCheckpointMetadata) || has(*inner, kMarker)) return false;
    item |= has(*inner, kTreeMetadata);
  }
  return item;
}

bool is_steps(const Source& source) {
  if (!source.is_directory()) return false;
  const auto top = names_in(source, "");
  if (!top || has(*top, kMarker) || has(*top, kCheckpointMetadata) || has(*top, kTreeMetadata)) return false;
  if (const auto metadata = names_in(source, "metadata"); metadata && has(*metadata, "_ROOT_METADATA")) return true;
  for (const std::string& name : *top) {
    const bool temporary = is_temporary_name(name);
    if (!temporary && !step_of(name)) continue;
    const auto inner = names_in(source, name);
    if (!inner) continue;
    if (temporary || has(*inner, kMarker) || has(*inner, kCheckpointMetadata)) return true;
  }
  return false;
}

bool may_be_steps(const Source& source) {
  if (is_steps(source)) return true;
  if (!source.is_directory() || is_checkpoint(source)) return false;
  for (const std::string& name : names_in(source, "").value_or(Names{})) {
    if (!step_of(name)) continue;
    for (const std::string& item : names_in(source, name).value_or(Names{})) {
      const auto files = names_in(source, name + "/" + item);
      if (item == kTreeMetadata || (files && has(*files, kTreeMetadata))) return true;
    }
  }
  return false;
}

}  // namespace ckptree::orbax
