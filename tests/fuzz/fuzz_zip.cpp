// An archive of any bytes: reading its members ends in content or in an Error. An edit that is accepted gives an
// archive that passes its own check, in which every member that was whole before and was not edited is the same.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "ckptree/error.hpp"
#include "codec/zip/rewrite.hpp"

using namespace ckptree;
using zip::Directory;

namespace {

constexpr std::uint64_t kRead = 64 << 10;  // of each member; a few bytes can claim to be terabytes
constexpr std::size_t kMembers = 64;

void expect(bool right) {
  if (!right) std::abort();
}

/// The beginning of a member, or nothing when it is damaged.
std::optional<std::string> beginning(const Directory& directory, const zip::Member& member) {
  try {
    const Recipe content = directory.content(member);
    expect(content.size() == member.size);
    std::string text(std::min(kRead, content.size()), '\0');
    expect(content.read(0, Buffer(text.data(), text.size())) == text.size());
    std::string again(text.size() / 2, '\0');
    content.read(0, Buffer(again.data(), again.size()));
    expect(text.compare(0, again.size(), again) == 0);
    expect(directory.end_offset(member) <= directory.directory_offset());
    return text;
  } catch (const Error& e) {
    expect(e.code() == Errc::corrupt || e.code() == Errc::unsupported);
    return std::nullopt;
  }
}

std::string assemble(const std::string& old, const zip::Rewrite& rewrite) {
  expect(rewrite.keep <= old.size());
  std::string fresh = old.substr(0, rewrite.keep);
  fresh.resize(rewrite.size, '?');
  std::uint64_t last = 0;
  for (const auto& piece : rewrite.pieces) {
    const std::uint64_t size = piece.content.size();
    expect(piece.at >= last && piece.at <= rewrite.size && size <= rewrite.size - piece.at);
    last = piece.at + size;
    expect(piece.content.read(0, Buffer(fresh.data() + piece.at, size)) == size);
  }
  return fresh;
}

bool is_storage(std::string_view name) { return name.find("/data/") != name.npos; }

void edit(const Directory& directory, const std::string& bytes, const ChangeSet& changes, bool storages) {
  const zip::Rules rules{64, storages ? is_storage : nullptr};
  std::optional<zip::Rewrite> rewrite;
  try {
    rewrite = zip::rewrite(directory, changes, rules);
  } catch (const Error& e) {
    expect(e.code() == Errc::corrupt || e.code() == Errc::exists || e.code() == Errc::invalid);
    return;
  }
  const auto file = memory_file("new", assemble(bytes, *rewrite));
  try {
    zip::check(file, directory, changes, *rewrite);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    std::abort();
  }

  const auto fresh = Directory::read(file);
  std::size_t n = 0;
  for (const zip::Member& m : directory.members()) {
    if (++n > kMembers) break;
    if (changes.count(m.name) > 0 || directory.find(m.name) != &m) continue;
    const auto before = beginning(directory, m);
    if (before) expect(beginning(*fresh, *fresh->find(m.name)) == before);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  std::shared_ptr<const Directory> directory;
  try {
    directory = Directory::read(memory_file("fuzz", bytes));
  } catch (const Error&) {
    return 0;
  }
  zip::describe(*directory);
  std::size_t n = 0;
  for (const zip::Member& m : directory->members()) {
    if (++n > kMembers) break;
    beginning(*directory, m);
    directory->mtime(m);
    expect(directory->find(m.name) != nullptr && directory->record(m).size() == m.record_size);
  }
  if (directory->members().empty()) return 0;

  // The size of the input decides which edits are tried, so that small changes of it reach all of them.
  const auto text = [](std::size_t length) {
    return Change{Recipe::literal(std::string(length, 'n')), {1700000000, 0}};
  };
  const auto& members = directory->members();
  const std::string &first = members.front().name, &some = members[size % members.size()].name;
  edit(*directory, bytes, {}, true);
  edit(*directory, bytes, {{first, text(size % 999)}, {"new", text(3)}}, size % 2 == 0);
  edit(*directory, bytes, {{some, std::nullopt}}, size % 3 == 0);
  edit(*directory, bytes, {{some, text(size % 77)}, {first, std::nullopt}}, true);
  edit(*directory, bytes, {{first, text(70'000)}, {some, text(2 * size)}}, false);
  return 0;
}
