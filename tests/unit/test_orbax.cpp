#include <cerrno>
#include <system_error>

#include "catch.hpp"
#include "ckptree/error.hpp"
#include "formats/orbax/layout.hpp"
#include "formats/orbax/step_metadata.hpp"
#include "orbax_checkpoint.hpp"

using namespace ckptree;
using namespace ckptree::orbax;
using namespace ckptree_test;

namespace {

StepMetadata step_metadata(const std::string& text) {
  return StepMetadata::read(StepMetadata::Kind::checkpoint, text, "_CHECKPOINT_METADATA");
}

}  // namespace

TEST_CASE("a checkpoint shows its tree, its times and its documents", "[orbax]") {
  OrbaxCheckpoint c;
  c.open();
  CHECK(c.names("") ==
        "kind path metadata.json init_timestamp_nsecs init_timestamp commit_timestamp_nsecs commit_timestamp "
        "custom_metadata.json custom_metadata checkpointables.tsv checkpointables pytree values");
  CHECK(c.read("init_timestamp_nsecs") == "1778718401651849216\n");
  CHECK(c.read("init_timestamp") == "2026-05-14T00:26:41.651849216Z\n");
  CHECK(c.read("commit_timestamp") == "null\n");
  CHECK(c.read("custom_metadata.json") == "{\"lr\": 0.10}");
  CHECK(c.read("custom_metadata/lr") == "0.10\n");
  CHECK(c.read("checkpointables.tsv") == "name\tkind\nbroken\terror\nconfig\tjson\nstate\ttree\n");
  CHECK(c.node("pytree")->target == "checkpointables/state/tree");
  CHECK(c.node("values")->target == "checkpointables/state/values");
  CHECK(c.read("checkpointables/config/data.json") == "{\"q\": 1}");
  CHECK(c.names("checkpointables/state") == "arrays.tsv tree values");
  CHECK(c.names("checkpointables/state/tree") == "a n s e gone");
  CHECK(c.names("checkpointables/state/tree/e").empty());
  CHECK(c.read("checkpointables/state/tree/n") ==
        "{\n  \"type\": \"ScalarMetadata\",\n  \"name\": \"n\",\n  \"directory\": \"state\",\n"
        "  \"value_type\": \"scalar\",\n  \"shape\": [],\n  \"dtype\": \"int32\",\n  \"value\": 7\n}\n");
  const std::string array = c.read("checkpointables/state/tree/a");
  CHECK(array.find("\"storage\": {\"chunk_shape\": [2], \"write_shape\": [2]}") != std::string::npos);
  CHECK(array.find("\"random_key_impl\": \"rbg\"") != std::string::npos);
  CHECK(array.find("\"device_str\": \"cpu:0\", \"serialized\": ") != std::string::npos);
  CHECK(c.read("checkpointables/state/tree/s").find("\"value\": \"text\"") != std::string::npos);
  const std::string npy = c.read("checkpointables/state/values/a.npy");
  CHECK(npy.substr(npy.size() - 8) == std::string("\1\0\0\0\2\0\0\0", 8));
  CHECK(c.read("metadata.json").find("\"state\": \"checkpointables/state\"") != std::string::npos);
}

TEST_CASE("a scalar is spelled as Python prints it", "[orbax]") {
  OrbaxCheckpoint c({}, false);
  c.fill(c.disk, "/floats");  // another place than that of other tests, whose chunks this process may remember
  std::string array = c.disk.seen().at("/floats/state/n/.zarray").content;
  array.replace(array.find("<i4"), 3, "<f4");
  c.disk.add("/floats/state/n/.zarray", {array, "rw"});
  c.disk.add("/floats/state/n/0", {std::string("\0\x50\xc3\x47", 4), "rw"});
  c.open("/floats");
  CHECK_THAT(c.read("checkpointables/state/tree/n"), says("\"value\": 100000.0\n"));
}

TEST_CASE("what is broken hides nothing else", "[orbax]") {
  OrbaxCheckpoint c;
  c.open();
  CHECK(c.read("checkpointables/broken/error").find("_METADATA:1:2") != std::string::npos);
  CHECK_THROWS_WITH(c.read("checkpointables/state/tree/gone"), says("state/gone/.zarray: is missing"));
  CHECK(c.read("checkpointables/state/arrays.tsv") ==
        "name\tdtype\tshape\tnbytes\tchunk_shape\twrite_shape\tsharding\ttype\n"
        "a\tint32\t2\t8\t2\t2\tSingleDeviceSharding\tArrayMetadata\n"
        "n\tint32\tscalar\t4\t\t\t\tScalarMetadata\ns\t\t\t\t\t\t\tStringMetadata\n"
        "gone\t\t\t\t\t\t\tArrayMetadata\n");
}

TEST_CASE("a file that may not be read hides nothing else", "[orbax]") {
  struct Refusing final : MemoryDisk {
    Ptr<File> open(const std::string& path) override {
      if (path == "/ck/state/gone/.zarray") throw std::system_error(EACCES, std::generic_category(), path);
      return MemoryDisk::open(path);
    }
  } disk;
  OrbaxCheckpoint::fill(disk, "/ck");
  disk.add("/ck/state/gone/.zarray", {OrbaxCheckpoint::zarray("[2]"), "--"});
  const Session session(make_store(orbax_format(), "/ck", disk, {{}, false}));
  const auto node = [&](const std::string& path) { return session.working()->find(parse_path(path)).value(); };
  CHECK(node("checkpointables/state/arrays.tsv").content.text(1u << 20, "").find("\na\tint32") != std::string::npos);
  CHECK(node("checkpointables/state/values/a.npy").content.size() > 8);
  for (const char* path : {"checkpointables/state/tree/gone", "checkpointables/state/values/gone.npy"}) {
    try {
      node(path).content.text(1u << 20, "");
      FAIL("it was read");
    } catch (const Error& e) {
      CHECK(e.code() == Errc::no_permission);
    }
  }
}

TEST_CASE("data that cannot be decoded is told in the tree, and has no file", "[orbax]") {
  OrbaxCheckpoint c;
  std::string bz2 = OrbaxCheckpoint::zarray("[2]");
  bz2.replace(bz2.find("null"), 4, "{\"id\": \"bz2\", \"level\": 1}");
  c.disk.add("/ck/state/gone/.zarray", {bz2, "rw"});
  c.open();
  CHECK(c.names("checkpointables/state/values") == "a.npy n.npy e");
  CHECK_FALSE(c.has("checkpointables/state/values/gone.npy"));
  const std::string leaf = c.read("checkpointables/state/tree/gone");
  CHECK(leaf.find("\"dtype\": \"int32\"") != std::string::npos);
  CHECK_THAT(leaf, says("\"unsupported\": \"") && says("bz2"));
  CHECK_THAT(c.read("checkpointables/state/arrays.tsv"), says("\ngone\tint32\t2\t8\t"));
}

TEST_CASE("a damaged file of the step is told at the top", "[orbax]") {
  OrbaxCheckpoint c;
  c.disk.add("/ck/_CHECKPOINT_METADATA", {"{\"custom_metadata\"", "rw"});
  c.open();
  CHECK(c.read("custom_metadata.json") == "{}");
  CHECK_THAT(c.read("error"), says("_CHECKPOINT_METADATA:1:19") && says("Orbax takes the file for an empty one"));
  CHECK_THAT(StepMetadata::read(StepMetadata::Kind::root, "{", "_ROOT_METADATA").problem,
             says("; Orbax refuses the file"));
}

TEST_CASE("custom_metadata is replaced in the file, and nothing beside it", "[orbax]") {
  OrbaxCheckpoint c;
  c.open();
  const auto before = c.disk.fingerprint("/ck").mtime_ns;
  const std::string stored = OrbaxCheckpoint::kStep, old = "{\"lr\": 0.10}";
  const auto with = [&](const std::string& fresh) {
    return stored.substr(0, stored.rfind(old)) + fresh + stored.substr(stored.rfind(old) + old.size());
  };
  c.edit("custom_metadata/lr", "2e-4\n");
  CHECK(c.file("/ck/_CHECKPOINT_METADATA") == with("{\"lr\": 2e-4}"));
  c.edit("custom_metadata.json", "{\n  \"a\": [NaN, 1.50]\n}\n");
  CHECK(c.file("/ck/_CHECKPOINT_METADATA") == with("{\n  \"a\": [NaN, 1.50]\n}\n"));
  CHECK(c.read("custom_metadata.json") == "{\n  \"a\": [NaN, 1.50]\n}\n");
  CHECK(c.disk.fingerprint("/ck").mtime_ns == before);
  CHECK_THROWS_WITH(c.edit("custom_metadata.json", "[1]"), says("custom_metadata.json: expected a JSON object"));
  CHECK_THROWS_WITH(c.edit("custom_metadata.json", "{\"a\": " + std::string(64, '[') + std::string(64, ']') + "}"),
                    says("custom_metadata.json: is nested over 64 levels deep"));
  CHECK_THROWS_WITH(c.edit("metadata.json", "{}"),
                    says("metadata.json: derived from the checkpoint, cannot be edited"));
  c.edit("custom_metadata.json", "{}");
  CHECK(c.file("/ck/_CHECKPOINT_METADATA") == with("{}"));
}

TEST_CASE("nothing is edited while a deletion is half done", "[orbax]") {
  OrbaxCheckpoint c;
  c.disk.add("/ck/_CHECKPOINT_DELETION", {R"({"checkpointable_name": "config"})", "rw"});
  c.open();
  CHECK(c.names("checkpointables") == "broken state");
  try {
    c.edit("custom_metadata.json", "{}");
    FAIL("an edit was taken");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::busy);
    CHECK_THAT(e.what(), says("_CHECKPOINT_DELETION: a deletion is half done"));
  }
}

TEST_CASE("the file of a step is read as Orbax reads it", "[orbax]") {
  CHECK(step_metadata("{}").editable);
  CHECK(step_metadata("{}").custom == "{}");
  CHECK(step_metadata(R"({"custom_metadata": null})").with_custom("{\"a\": 1}") == R"({"custom_metadata": {"a": 1}})");
  CHECK(step_metadata("{}").with_custom("{\"a\": 1}") == R"({"custom_metadata": {"a": 1}})");
  const auto unknown = step_metadata(R"({"x": 1, "metrics": {}, "y": [2]})");
  CHECK(unknown.shown_custom("{}") == R"({"x": 1, "y": [2]})");
  CHECK(unknown.with_custom(R"({"x": 3})") == R"({"metrics": {}, "custom_metadata": {"x": 3, "y": [2]}})");
  for (const char* broken : {"", "{", "[]", R"({"x": 1, "custom_metadata": {"a": 1}})", R"({"custom_metadata": []})",
                             R"({"init_timestamp_nsecs": 1.7e18})", R"({"item_handlers": []})", R"({"metrics": 1})",
                             R"({"performance_metrics": {"mine": 0.5}})", "\xEF\xBB\xBF{}"}) {
    CAPTURE(broken);
    CHECK_FALSE(step_metadata(broken).editable);
    CHECK_FALSE(step_metadata(broken).problem.empty());
  }
  std::string many = "{\"a\": 1";
  for (int i = 0; i < 1001; ++i) many += ", \"x" + std::to_string(i) + "\": 1";
  CHECK_THAT(step_metadata(many + "}").problem, says("has more than 1000 members that Orbax does not know"));
  CHECK(iso_time("-1") == "1969-12-31T23:59:59.999999999Z");
  CHECK(iso_time("99999999999999999999") == "null");
}

TEST_CASE("a checkpointable can be chosen, and what AUTO means is told", "[orbax]") {
  OrbaxCheckpoint c(ViewOptions{}, false);
  for (const char* name : {"aaa", "pytree"})
    c.disk.add(std::string("/ck/") + name + "/_METADATA",
               {OrbaxCheckpoint::tree(OrbaxCheckpoint::leaf("a", "None")), "rw"});
  c.disk.add("/ck/_CHECKPOINT_METADATA", {"{}", "rw"});
  c.open();
  CHECK(c.node("pytree")->target == "checkpointables/pytree/tree");
  CHECK(c.session->working()->warnings().size() == 1);
  ViewOptions options;
  options.checkpointable = "none";
  OrbaxCheckpoint none(options);
  CHECK_THROWS_WITH(none.open(),
                    says("-o checkpointable=none: no tree is the checkpoint's own; expected one of: broken, state"));
  options.checkpointable = "config";
  OrbaxCheckpoint config(options);
  CHECK_THROWS_WITH(
      config.open(),
      says("-o checkpointable=config: no checkpointable of this name has a tree; expected one of: broken, state"));
}

TEST_CASE("a direct checkpoint has its tree at the top, a list in order, and one leaf a name", "[orbax]") {
  OrbaxCheckpoint c(ViewOptions{}, false);
  std::string leaves;
  for (const int i : {0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9})
    leaves += (leaves.empty() ? "" : ", ") + OrbaxCheckpoint::leaf(std::to_string(i), "None", 1);
  c.disk.add("/ck/_METADATA", {OrbaxCheckpoint::tree(leaves), "rw"});
  c.open();
  CHECK(c.names("pytree") == "0 1 2 3 4 5 6 7 8 9 10");
  CHECK_FALSE(c.has("checkpointables"));
  CHECK_FALSE(c.has("error"));
  CHECK(c.read("custom_metadata.json") == "{}");
  CHECK_THROWS_WITH(c.edit("custom_metadata.json", "{\"a\": 1}"), says("the checkpoint has no file for it"));

  OrbaxCheckpoint one(ViewOptions{}, false);
  one.disk.add("/ck/_METADATA", {R"x({"tree_metadata": {"()": {"key_metadata": [], "value_metadata": {"value_type":
      "jax.Array"}}}, "use_ocdbt": false})x",
                                 "rw"});
  one.disk.add("/ck/.zarray", {OrbaxCheckpoint::zarray("[2]"), "rw"});
  one.open();
  CHECK(one.names("pytree") == "%");
  CHECK(one.names("values") == "%.npy");
  CHECK(one.read("pytree/%").find("\"directory\": \".\"") != std::string::npos);
}

TEST_CASE("damage of a tree is told with its place", "[orbax]") {
  const auto error_of = [](const std::string& metadata) {
    OrbaxCheckpoint c(ViewOptions{}, false);
    c.disk.add("/ck/_METADATA", {metadata, "rw"});
    c.open();
    return c.read("error");
  };
  CHECK(error_of("[]") == "_METADATA: has no tree_metadata\n");
  CHECK(error_of(R"({"tree_metadata": {}})") == "_METADATA: tree_metadata is empty\n");
  CHECK(error_of(R"({"tree_metadata": {"x": {}}})") == "_METADATA: leaf 0: has no list key_metadata\n");
  CHECK(error_of(OrbaxCheckpoint::tree(OrbaxCheckpoint::leaf("a", "None", 3))) ==
        "_METADATA: leaf 0: key_type: expected 1 or 2, got 3\n");
  CHECK(error_of(OrbaxCheckpoint::tree(OrbaxCheckpoint::leaf("1", "None", 1))) ==
        "_METADATA: a list has no entry 0; Orbax cannot rebuild the tree\n");
}

TEST_CASE("steps are listed by their folders, found by their numbers, and the last is latest", "[orbax]") {
  OrbaxCheckpoint c(ViewOptions{}, false);
  for (const char* name : {"ck_000001", "ck_000020", "ck_000100.orbax-checkpoint-tmp-7", "x.partial_save"})
    OrbaxCheckpoint::fill(c.disk, std::string("/run/") + name);
  c.disk.add("/run/metadata/_ROOT_METADATA", {R"({"internal_metadata": {}, "custom_metadata": {"a": 1}})", "rw"});
  c.disk.add("/run/notes/x", {"", "rw"});
  c.open("/run", true);
  CHECK(c.names("steps") == "ck_000001 ck_000020");
  CHECK(c.node("steps/20")->target == "ck_000020");
  CHECK_FALSE(c.has("steps/3"));
  CHECK(c.node("latest")->target == "steps/ck_000020");
  CHECK(c.names("incomplete") == "ck_000100.orbax-checkpoint-tmp-7 x.partial_save");
  CHECK(c.read("steps.tsv") == "step\tname\tcommit_timestamp\n1\tck_000001\tnull\n20\tck_000020\tnull\n");
  c.edit("custom_metadata/a", "2\n");
  CHECK(c.file("/run/metadata/_ROOT_METADATA") == R"({"internal_metadata": {}, "custom_metadata": {"a": 2}})");
  c.open("/run/ck_000100.orbax-checkpoint-tmp-7");
  CHECK_THROWS_WITH(c.edit("custom_metadata/lr", "2\n"), says("custom_metadata/lr: the checkpoint is not finished"));
  CHECK(step_of("ck_000100") == 100u);
  CHECK_FALSE(step_of("ck_1x"));
  CHECK_FALSE(step_of("_1"));
  CHECK_FALSE(step_of("best"));
}
