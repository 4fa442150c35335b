#include "formats/torch/migration_rules.hpp"

#include <algorithm>

namespace ckptree::torch {
namespace {

struct Place {
  std::size_t group;
  const Migration* script;
};

std::optional<Place> find(const Groups& groups, const std::string& name) {
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (const Migration& script : groups[g])
      if (script.name == name) return Place{g, &script};
  return std::nullopt;
}

Standing standing_of(const Migration& registered, const Migration& script) {
  const bool same_version = script.version == kNextVersion || script.version == registered.version;
  if (!same_version || script.final != registered.final) return Standing::changed;
  if (script.signature.empty()) return Standing::unverified;
  return script.signature == registered.signature ? Standing::registered : Standing::changed;
}

}  // namespace

Groups groups_of(const std::vector<Migration>& scripts) {
  Groups groups(1);
  for (const Migration& script : scripts) {
    if (script.final) groups.emplace_back();
    groups.back().push_back(script);
  }
  return groups;
}

std::optional<std::size_t> group_of(const Groups& groups, const std::vector<Migration>& registered) {
  if (registered.empty()) return 0;
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (!groups[g].empty() && groups[g].front().name == registered.front().name) return g;
  return std::nullopt;
}

std::string why_incompatible(const Groups& groups, const std::optional<std::vector<Migration>>& registered) {
  if (!registered) return "it has no list of migrations: it is too old";
  const auto group = group_of(groups, *registered);
  if (group && *group + 1 == groups.size()) return {};
  if (!group)
    return "its first migration, " + registered->front().name + ", begins no group: it is too old, or too new";
  return "it is too old: use a version of anemoi-models before " + first_incompatible_version(groups, *registered);
}

std::string first_incompatible_version(const Groups& groups, const std::vector<Migration>& registered) {
  const auto group = group_of(groups, registered);
  return group && *group + 1 < groups.size() ? groups[*group + 1].front().version : std::string();
}

const char* name_of(Standing standing) {
  switch (standing) {
    case Standing::registered: return "registered";
    case Standing::missing: return "missing";
    case Standing::extra: return "extra";
    case Standing::changed: return "changed";
    case Standing::unverified: return "unverified";
    case Standing::out_of_order: return "out-of-order";
  }
  return "";
}

Standings compare(const Groups& groups, const std::vector<Migration>& registered) {
  const std::vector<Migration>& last = groups.back();
  // As many of the registered ones count as stand before the last that is where its script is.
  std::size_t known = registered.size();
  while (known > 0 && (known > last.size() || last[known - 1].name != registered[known - 1].name)) --known;

  Standings result;
  for (std::size_t i = 0; i < registered.size(); ++i) {
    const auto place = find(groups, registered[i].name);
    const auto group = place ? std::optional(place->group) : std::nullopt;
    const bool in_order = i < last.size() && last[i].name == registered[i].name;
    Standing standing = Standing::extra;
    if (place) standing = in_order && i < known ? standing_of(registered[i], *place->script) : Standing::out_of_order;
    result.all.push_back({registered[i], group, standing});
    if (i >= known) result.extra.push_back(registered[i].name);
  }
  for (std::size_t i = 0; i < last.size(); ++i) {
    if (i < known && registered[i].name == last[i].name) continue;
    result.missing.push_back(last[i]);
    const bool elsewhere =
        std::any_of(registered.begin(), registered.end(), [&](const Migration& r) { return r.name == last[i].name; });
    if (!elsewhere) result.all.push_back({last[i], groups.size() - 1, Standing::missing});
  }
  return result;
}

}  // namespace ckptree::torch
