// The plans that the torch format makes, under the same power losses as the smallest format's.

#include <map>

#include "../unit/catch.hpp"
#include "../unit/zip_archive.hpp"
#include "commit/execute.hpp"
#include "enumerator.hpp"
#include "formats/torch/format.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

const std::string kTarget = "/d/m.pt";
const std::string kFolder = "m/anemoi-metadata/";
const std::string kMetadata =
    R"({"version": "1.0", "lr": 0.000625, "supporting_arrays_paths": {"lat": {"path": "m/anemoi-metadata/lat.numpy", )"
    R"("shape": [4], "dtype": "float64"}}})";

std::string with_metadata() {
  return checkpoint()
      .python(kFolder + "anemoi.json", kMetadata)
      .python(kFolder + "lat.numpy", std::string(32, 'l'))
      .bytes();
}

Op saved(const std::string& path, std::string text) {
  Op op;
  op.path = parse_path(path);
  op.content = Recipe::literal(std::move(text));
  return op;
}

Op removed(const std::string& path) {
  Op op;
  op.kind = Op::Kind::remove;
  op.path = parse_path(path);
  return op;
}

/// A float64 array of one dimension as np.save writes it.
std::string npy(std::size_t items) {
  std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (" + std::to_string(items) + ",), }";
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  return "\x93NUMPY" + std::string("\1\0", 2) + le(header.size(), 2) + header + std::string(items * 8, 'n');
}

/// What the tree shows of an archive, enough to tell one state from another; or why it cannot be opened.
std::string shown(const std::string& bytes) {
  try {
    ViewOptions options;
    options.edit_all = true;
    const auto model = torch_format().open(memory_source(memory_file(kTarget, bytes)), options);
    std::string text;
    for (const char* path : {"metadata.json", "arrays/lat.npy", "arrays/new.npy"}) {
      const auto node = model->find(parse_path(path));
      text += std::string(path) + (node ? ": " + node->content.text(1u << 20, path) : " is not there") + "\n";
    }
    return text;
  } catch (const Error& e) {
    return std::string("cannot be opened: ") + e.what();
  }
}

Verdict lose_power(const std::string& what, const std::string& before, const std::vector<Op>& edits) {
  ViewOptions options;
  options.edit_all = true;
  const Format& format = torch_format();
  const auto prepare = [&](MemoryDisk& disk) {
    disk.add(kTarget, {before, "rw-r-----"});
    const auto source = memory_source(disk.open(kTarget));
    const auto base = format.open(source, options);
    auto edited = base;
    for (const Op& op : edits) edited = edited->apply(op);
    return format.plan(*base, *source, format.seal(*base, *edited, {}), {false, kTarget, "/d/.m.pt.ckptree-commit-1"});
  };
  MemoryDisk calm;
  const Plan undisturbed = prepare(calm);
  execute(undisturbed, calm.fingerprint(kTarget), calm);
  const std::string after = calm.seen().at(kTarget).content;
  const std::string old_tree = shown(before), new_tree = shown(after);
  CHECK((old_tree != new_tree));
  CHECK((new_tree.find("cannot be opened") == std::string::npos));

  std::map<std::string, Found> known;  // opening is slow, and most states look alike
  MemoryDisk disk;
  const Plan plan = prepare(disk);
  const Verdict verdict = cut_the_power(
      disk, [&] { execute(plan, disk.fingerprint(kTarget), disk); },
      [&](const MemoryDisk::Image& image) {
        const auto found = image.find(kTarget);
        if (found == image.end() || found->second.attributes != "rw-r-----") return Found::neither;
        const auto [verdict_of, is_new] = known.try_emplace(found->second.content, Found::neither);
        if (is_new) {
          const std::string tree = shown(found->second.content);
          if (tree == old_tree) verdict_of->second = Found::old;
          if (tree == new_tree) verdict_of->second = Found::fresh;
        }
        return verdict_of->second;
      });
  print(what, verdict);
  INFO(what << ": " << verdict.first);
  CHECK(verdict.violations == 0);
  CHECK(verdict.old > 0);
  CHECK(verdict.fresh > 0);
  return verdict;
}

}  // namespace

TEST_CASE("power loss during any edit of a torch checkpoint leaves it old or new", "[crash][torch]") {
  std::string longer = kMetadata;
  longer.insert(1, "\"names\": \"" + std::string(3000, 'n') + "\", ");
  std::string other = kMetadata;
  other.replace(other.find("0.000625"), 8, "0.000312");
  std::size_t states = 0;
  const auto story = [&](const std::string& what, const std::string& before, const std::vector<Op>& edits) {
    states += lose_power(what, before, edits).states;
  };
  story("metadata of the same size", with_metadata(), {saved("metadata.json", other)});
  story("metadata that grew", with_metadata(), {saved("metadata.json", longer)});
  story("metadata that is new", checkpoint().bytes(), {saved("metadata.json", R"({"version": "1.0"})")});
  story("metadata removed", with_metadata(), {removed("metadata.json")});
  story("an array replaced", with_metadata(), {saved("arrays/lat.npy", npy(4))});
  story("an array that grew, and one that is new", with_metadata(),
        {saved("arrays/lat.npy", npy(200)), saved("arrays/new.npy", npy(3))});
  story("an array removed, and the metadata edited", with_metadata(),
        {saved("metadata.json", other), removed("arrays/lat.npy")});
  CHECK(states > 20000);
}

TEST_CASE("the enumerator finds what a torch plan without its sync would lose", "[crash][torch]") {
  MemoryDisk disk;
  disk.add(kTarget, {with_metadata(), "rw"});
  const auto source = memory_source(disk.open(kTarget));
  const auto base = torch_format().open(source, {});
  const auto edited = base->apply(saved("metadata.json", R"({"version": "2.0"})"));
  Plan plan =
      torch_format().plan(*base, *source, torch_format().seal(*base, *edited, {}), {false, kTarget, "/d/.m.pt.new"});
  for (auto step = plan.steps.begin(); step != plan.steps.end();)
    step = step->kind == Step::Kind::sync ? plan.steps.erase(step) : step + 1;
  const Verdict verdict = cut_the_power(
      disk, [&] { execute(plan, disk.fingerprint(kTarget), disk); },
      [&](const MemoryDisk::Image& image) {
        const std::string tree = shown(image.at(kTarget).content);
        return tree.find(R"("1.0")") != std::string::npos   ? Found::old
               : tree.find(R"("2.0")") != std::string::npos ? Found::fresh
                                                            : Found::neither;
      },
      200);
  CHECK(verdict.violations > 0);
}
