// What a checkpoint has been through, beside the scripts of a directory.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "cli/migration.hpp"
#include "cli/status.hpp"
#include "formats/torch/migration_scripts.hpp"
#include "formats/torch/migrations.hpp"

namespace ckptree::cli {

namespace {

using torch::Migration;

// Bytes of a file of registered/; its name and version are what somebody wrote into the checkpoint.
constexpr std::uint64_t kMaxRegistered = 1 << 20;

}  // namespace

Findings look_at(const Session& session, const std::string& source, const std::string& directory) {
  const Ptr<Model> model = session.working();
  Findings found;
  found.groups = torch::groups_of(torch::scripts_in(directory));
  std::optional<std::vector<Migration>> registered;
  try {
    if (const auto list = model->find({"object", "migrations"}); list) registered.emplace();
    model->find({"migrations"});
  } catch (const Error& e) {
    if (e.code() != Errc::not_found) throw;
    throw Stop(Status::failure, source + ": " + e.what());
  }
  if (registered)
    model->list({"migrations", "registered"}, [&](const std::string& name, const Node& node) {
      registered->push_back(torch::migration_of(node.content.text(kMaxRegistered, name), name));
      return true;
    });
  found.why_incompatible = torch::why_incompatible(found.groups, registered);
  found.registered = registered.value_or(std::vector<Migration>());
  found.group = registered ? torch::group_of(found.groups, found.registered) : std::nullopt;
  found.standings = torch::compare(found.groups, found.registered);
  return found;
}

}  // namespace ckptree::cli
