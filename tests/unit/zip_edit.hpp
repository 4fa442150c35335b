#pragma once

#include "codec/zip/rewrite.hpp"
#include "zip_archive.hpp"

namespace ckptree_test {

constexpr std::time_t kNoon = 1709208000;  // 2024-02-29 12:00:00

inline bool is_storage(std::string_view name) { return name.find("/data/") != name.npos; }
inline const zip::Rules kRules{64, is_storage};

inline std::optional<Change> becomes(std::string text, std::time_t time = kNoon) {
  return Change{Recipe::literal(std::move(text)), {time, 0}};
}

/// The new file as the steps of a commit make it.
inline std::string assemble(const std::string& old, const zip::Rewrite& r) {
  std::string fresh = old.substr(0, r.keep);
  fresh.resize(r.size, '?');
  std::uint64_t last = 0;
  for (const auto& p : r.pieces) {
    REQUIRE(p.at >= last);
    last = p.at + p.content.size();
    REQUIRE(last <= r.size);
    fresh.replace(p.at, p.content.size(), p.content.text(1 << 30, "piece"));
  }
  return fresh;
}

/// Edits, checks, and gives the new bytes.
inline std::string edit(const std::string& old, const ChangeSet& changes, const zip::Rules& rules = kRules) {
  const auto d = open(old);
  const zip::Rewrite r = zip::rewrite(*d, changes, rules);
  const std::string fresh = assemble(old, r);
  zip::check(memory_file("m.pt.new", fresh), *d, changes, r);
  return fresh;
}

/// Name, place and size of every member, for comparing.
inline std::vector<std::string> places(const std::string& bytes) {
  const auto d = open(bytes);
  std::vector<std::string> out;
  for (const auto& m : d->members())
    out.push_back(m.name + " " + std::to_string(m.header) + " " + std::to_string(m.size));
  return out;
}

inline zip::Member member(const std::string& bytes, const std::string& name) { return *open(bytes)->find(name); }
inline std::string record(const std::string& bytes, const std::string& name) {
  const auto d = open(bytes);
  return std::string(d->record(*d->find(name)));
}
inline std::uint64_t data_of(const std::string& bytes, const std::string& name) {
  const auto d = open(bytes);
  return d->data_offset(*d->find(name));
}

}  // namespace ckptree_test
