#include "torch_checkpoint.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

Archive archive_of(const Names& names) {
  Archive a;
  for (const std::string& name : names) a.torch(name, "x");
  return a;
}

std::optional<Errc> code_of_opening(const std::string& bytes, const std::string& sentence, ViewOptions options = {}) {
  const auto source = memory_source(memory_file("m.pt", bytes));
  INFO(sentence);
  REQUIRE_THROWS_WITH(torch_format().open(source, options), says(sentence));
  return code_of([&] { torch_format().open(source, options); });
}

bool claims(const std::string& bytes) { return torch_format().claims(*memory_source(memory_file("m.pt", bytes))); }

}  // namespace

TEST_CASE("a file of torch.save is claimed and opened, with metadata and without", "[torch]") {
  CHECK(claims(checkpoint().bytes()));
  CHECK(claims(with_metadata().bytes()));
  CHECK(torch_format().kind() == std::string("torch"));
  Mounted m(with_metadata());
  CHECK(m.names("") == Names{"kind", "metadata.json", "metadata/", "metadata.path", "arrays/", "arrays.tsv", "tensors/",
                             "tensors.tsv", "values/", "object/", "imports/", "imports.tsv"});
  CHECK(m.read("kind") == "torch\n");
  CHECK(torch_format().layout(*Mounted(checkpoint())) == "zip, 9 members, zip64, 64-byte alignment");
  Mounted bare(checkpoint());
  CHECK(bare.names("") == Names{"kind", "arrays/", "arrays.tsv", "tensors/", "tensors.tsv", "values/", "object/",
                                "imports/", "imports.tsv"});
  CHECK(bare.names("arrays").empty());
  CHECK(bare.read("arrays.tsv") == "name\tdtype\tshape\tnbytes\tmember\n");
}

TEST_CASE("a zip is recognised by its data.pkl, wherever the first member is", "[torch]") {
  Mounted m(archive_of({"other/readme", "m/data.pkl", "m/version"}));
  CHECK(m.warns("2 top directories"));
}

TEST_CASE("what torch wrote in other ways is claimed, and refused with a sentence", "[torch]") {
  const std::string legacy("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15);
  CHECK(code_of_opening(legacy, "m.pt: is a legacy (non-zip) torch file; load and torch.save it again") ==
        Errc::unsupported);
  std::string tar(1024, '\0');
  tar.replace(0, 8, "sys_info").replace(257, 5, "ustar");
  CHECK(code_of_opening(tar, "m.pt: is a tar archive of a very old torch") == Errc::unsupported);
  const std::string script = archive_of({"m/data.pkl", "m/constants.pkl", "m/version"}).bytes();
  CHECK(code_of_opening(script, "m.pt: is TorchScript (it has m/constants.pkl)") == Errc::unsupported);
  const std::string package = archive_of({"m/.data/version", "m/.data/extern_modules", "m/model/model.pkl"}).bytes();
  CHECK(code_of_opening(package, "m.pt: is a torch.package (it has m/.data)") == Errc::unsupported);
  for (const std::string& bytes : {legacy, tar, script, package}) CHECK(claims(bytes));
}

TEST_CASE("what lacks a record that torch needs is damaged", "[torch]") {
  const std::string halfway = archive_of({"m/byteorder", "m/version", "m/.data/serialization_id"}).bytes();
  CHECK(code_of_opening(halfway, "m.pt: m/data.pkl is missing: a torch.save that failed halfway") == Errc::corrupt);
  const std::string versionless = archive_of({"m/data.pkl", "m/data/0"}).bytes();
  CHECK(code_of_opening(versionless, "m.pt: m/version is missing") == Errc::corrupt);
  const std::string twice = archive_of({"m/data.pkl", "m/data.pkl", "m/version"}).bytes();
  CHECK(code_of_opening(twice, "m.pt: has 2 members m/data.pkl, expected one") == Errc::corrupt);
  const std::string whole = checkpoint().bytes();
  const std::string truncated = whole.substr(0, whole.size() - 40);
  CHECK(code_of_opening(truncated, "m.pt: ") == Errc::corrupt);
  for (const std::string& bytes : {halfway, versionless, twice, truncated}) CHECK(claims(bytes));
}

TEST_CASE("what has nothing to do with torch is no checkpoint", "[torch]") {
  std::string tar(1024, '\0');
  tar.replace(0, 8, "notes.md").replace(257, 5, "ustar");
  for (const std::string& bytes : {std::string(), std::string("{}"), std::string("PK"), std::string(600, 'x'), tar}) {
    CHECK(code_of_opening(bytes, "m.pt: does not begin like a zip archive") == Errc::not_a_checkpoint);
    CHECK_FALSE(claims(bytes));
  }
  const std::string office = archive_of({"word/document.xml", "[Content_Types].xml"}).bytes();
  CHECK(code_of_opening(office, "m.pt: a zip archive without data.pkl") == Errc::not_a_checkpoint);
  const std::string top = archive_of({"data.pkl", "version"}).bytes();
  CHECK(code_of_opening(top, "m.pt: a zip archive without data.pkl") == Errc::not_a_checkpoint);
  for (const std::string& bytes : {office, top, office.substr(0, 60)}) CHECK_FALSE(claims(bytes));
}

TEST_CASE("options that are no names in an archive are refused", "[torch]") {
  ViewOptions options;
  options.metadata_folder = GENERATE("", "../up", "a//b", "a/", ".");
  CHECK(code_of_opening(checkpoint().bytes(), "-o folder=" + options.metadata_folder + ": expected a name", options) ==
        Errc::invalid);
  options = {};
  options.metadata_name = "a/b.json";
  CHECK(code_of_opening(checkpoint().bytes(), "-o name=a/b.json: expected the last part", options) == Errc::invalid);
}

TEST_CASE("the metadata is found by the last part of its name, anywhere in the archive", "[torch]") {
  const auto [member, old] = GENERATE(table<std::string, bool>({{"m/anemoi-metadata/anemoi.json", false},
                                                                {"m/anemoi.json", false},
                                                                {"m/a/b/c/anemoi.json", false},
                                                                {"m/x/ai-models.json", true}}));
  Mounted m(checkpoint().python(member, kMetadata, true));
  CHECK(m.read("metadata.path") == member + "\n");
  CHECK(m.read("metadata.json") == kMetadata);
  CHECK(m.warns("has its old name") == old);
}

TEST_CASE("ai-models.json is looked for only where there is no anemoi.json and no name was given", "[torch]") {
  Archive both = checkpoint();
  both.python("m/x/ai-models.json", "{\"version\": 1}").python("m/x/anemoi.json", "{\"version\": 2}");
  CHECK(Mounted(both).read("metadata.path") == "m/x/anemoi.json\n");
  Archive old = checkpoint();
  old.python("m/x/ai-models.json", "{}");
  ViewOptions named;
  named.metadata_name = "anemoi.json";
  CHECK_FALSE(Mounted(old, named).find("metadata.path"));
  CHECK_FALSE(Mounted(old, named).find("metadata.json"));
  named.metadata_name = "ai-models.json";
  CHECK(Mounted(old, named).read("metadata.json") == "{}");
  named.metadata_name = "other.json";
  CHECK_FALSE(Mounted(old, named).find("metadata"));
  CHECK_FALSE(Mounted(checkpoint().python("m/x/not-anemoi.json", "{}")).find("metadata.json"));
}

TEST_CASE("several metadata members are listed, and neither read nor edited", "[torch]") {
  const std::string second = GENERATE("m/other/anemoi.json", "m/anemoi-metadata/anemoi.json");
  Mounted m(with_metadata().python(second, "{}"));
  CHECK(m.read("metadata.path") == "m/anemoi-metadata/anemoi.json\n" + second + "\n");
  CHECK(m.names("") == Names{"kind", "metadata.json", "metadata.path", "arrays/", "arrays.tsv", "tensors/",
                             "tensors.tsv", "values/", "object/", "imports/", "imports.tsv"});
  for (const char* path : {"metadata.json", "arrays.tsv"}) {
    CHECK(code_of([&] { m.read(path); }) == Errc::ambiguous);
    REQUIRE_THROWS_WITH(m.read(path),
                        says("metadata.json: the archive has 2 members of that name; metadata.path lists them"));
  }
  CHECK(code_of([&] { m.names("arrays"); }) == Errc::ambiguous);
  CHECK(code_of([&] { m.write("metadata.json", kMetadata); }) == Errc::ambiguous);
  CHECK(code_of([&] { m.remove("metadata.json"); }) == Errc::ambiguous);
  CHECK(code_of([&] { m.write("arrays/x.npy", npy_file("<f4", {1}, "1234")); }) == Errc::ambiguous);
  CHECK(m.find("metadata.json")->saving == Node::Saving::none);
  CHECK(m.warns("2 metadata members"));
  CHECK(m.commit() == 0);
}

TEST_CASE("the document is also a directory, with the time of its member", "[torch]") {
  Mounted m(with_metadata());
  CHECK(m.names("metadata") == Names{"version", "config/", "supporting_arrays_paths/", "uuid"});
  CHECK(m.read("metadata/config/lr") == "0.001\n");
  for (const char* path : {"metadata.json", "metadata", "metadata/config/lr", "metadata.path", "arrays/lat.npy"})
    CHECK(m.find(path)->mtime.tv_sec == 1709210096);  // 2024-02-29 12:34:56
  CHECK(m.find("metadata.json")->saving == Node::Saving::whole);
  CHECK(m.find("metadata/config/lr")->saving == Node::Saving::value);
  CHECK(m.find("metadata/supporting_arrays_paths/lat/dtype")->saving == Node::Saving::none);
  CHECK(m->vacant({"metadata", "new"})->saving == Node::Saving::value);
  CHECK(code_of([&] { m->vacant({"metadata", "supporting_arrays_paths", "new"}); }) == Errc::immutable);
}

TEST_CASE("a view that is read-only has no permission to write and takes no edit", "[torch]") {
  ViewOptions options;
  options.read_only = true;
  Mounted m(with_metadata(), options);
  for (const char* path : {"metadata.json", "metadata", "metadata/uuid", "arrays", "arrays/lat.npy", "arrays/era"})
    CHECK(m.find(path)->saving == Node::Saving::none);
  for (const char* path : {"metadata/new", "arrays/new.npy"}) CHECK_FALSE(m->vacant(parse_path(path)));
  CHECK_FALSE(Mounted(checkpoint(), options)->vacant({"metadata.json"}));
  CHECK(code_of([&] { m.write("metadata.json", kMetadata); }) == Errc::read_only);
  CHECK(code_of([&] { m.write("metadata/uuid", "y"); }) == Errc::read_only);
  CHECK(code_of([&] { m.remove("arrays/lat.npy"); }) == Errc::read_only);
}

TEST_CASE("derived files cannot be edited", "[torch]") {
  Mounted m(with_metadata());
  for (const char* path : {"kind", "metadata.path", "arrays.tsv"}) {
    CHECK(m.find(path)->saving == Node::Saving::none);
    CHECK(code_of([&] { m.write(path, "x"); }) == Errc::immutable);
    CHECK(code_of([&] { m.remove(path); }) == Errc::immutable);
  }
  CHECK(code_of([&] { m.write("other", "x"); }) == Errc::immutable);
}

TEST_CASE("raw shows the members under their own names", "[torch]") {
  Archive a = with_metadata();
  a.python("m/code/deep.txt", "deflated", true);
  Mounted m(a);
  const auto names = [&](const TreePath& path) {
    Names all;
    m->list_raw(path, [&](const std::string& name, const Node& node) {
      all.push_back(name + (node.kind == Node::Kind::directory ? "/" : ""));
      return true;
    });
    return all;
  };
  CHECK(names({}) == Names{"m/"});
  CHECK(names({"m"}) == Names{".data/", ".format_version", ".storage_alignment", "anemoi-metadata/", "byteorder",
                              "code/", "data/", "data.pkl", "version"});
  CHECK(names({"m", "data"}) == Names{"0", "1", "2"});
  const auto text = [&](const TreePath& path) { return m->find_raw(path)->content.text(1 << 20, "raw"); };
  CHECK(text({"m", "version"}) == "3\n");
  CHECK(text({"m", "code", "deep.txt"}) == "deflated");
  CHECK(m->find_raw({"m", "data"})->kind == Node::Kind::directory);
  CHECK_FALSE(m->find_raw({"m", "dat"}));
  CHECK_FALSE(m->find_raw({"m", "version", "x"}));
  CHECK(code_of([&] { names({"m", "none"}); }) == Errc::not_found);
  CHECK(code_of([&] { names({"m", "version"}); }) == Errc::not_directory);
}

TEST_CASE("members whose names are no paths are left out of raw, with a warning", "[torch]") {
  Archive a = checkpoint();
  a.python("m/../../etc/passwd", "x").python("/m/abs", "x").python("m/./x", "x").python("m/version/below", "x");
  a.python("m/" + std::string(300, 'n'), "x").python("m/dir/", "").python(std::string("m/nul\0", 6), "x");
  Mounted m(a);
  CHECK(
      m.warns("member 'm%2F..%2F..%2Fetc%2Fpasswd' is not in .ckptree/raw: its name is no path: it has the part '..'"));
  CHECK(m.warns(
      "member 'm%2Fversion%2Fbelow' is not in .ckptree/raw: member 'm/version' stands where its directory would be"));
  CHECK(m.warns("it has a part of 300 bytes"));
  CHECK(m->find_raw({"m", "dir"})->kind == Node::Kind::directory);
  CHECK(m->find_raw({"m", "version"})->kind == Node::Kind::file);
  Names top;
  m->list_raw({}, [&](const std::string& name, const Node&) { return top.push_back(name), true; });
  CHECK(top == Names{"m"});
}
