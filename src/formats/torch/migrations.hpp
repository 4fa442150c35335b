#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codec/pickle/pickle.hpp"
#include "formats/torch/migration_rules.hpp"

/// The migrations that a training checkpoint of anemoi says it has been through.
namespace ckptree::torch {

/// One of them, and where it stands.
struct Registered {
  Migration what;
  pickle::Item item;
};

/// Nothing when the checkpoint has no list of them.
std::optional<std::vector<Registered>> registered_in(const pickle::Graph& graph);
/// Their names and versions alone.
std::vector<Migration> migrations_of(const std::vector<Registered>& registered);

/// Why a checkpoint has no migrations/, in a sentence; empty when it has: it was written by a training, which left
/// such a list, or Lightning's version.
std::string why_no_training(const pickle::Graph& graph);

/// {"name", "metadata": {"versions": {...}, "final": false}, "signature"}, with a final newline.
std::string json_of(const Migration& migration);
/// The same read. @throws Error Errc::rejected, Errc::incomplete "PLACE..." for what is no such text
Migration migration_of(const std::string& text, const std::string& place);

/// Appends a migration as anemoi registers it, to the list and to the history; missing containers are made.
/// @throws Error Errc::immutable when one of them is something else
void register_migration(pickle::Editor& edit, const Migration& migration, const std::string& place);
/// Another description in place of one.
void replace_migration(pickle::Editor& edit, const Registered& old, const Migration& migration);

}  // namespace ckptree::torch
