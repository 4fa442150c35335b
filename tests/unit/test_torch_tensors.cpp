#include "formats/torch/tensor_info.hpp"
#include "pickled_checkpoint.hpp"
#include "torch_pickle.hpp"

using namespace ckptree;
using namespace ckptree_test;
using torch::describe;
using torch::TensorInfo;

namespace {

/// Described, with the graph its texts are in.
struct Described {
  pickle::Graph graph;
  TensorInfo info;
  explicit Described(const std::string& object)
      : graph(pickle::decode(py::pickle(object), "data.pkl")), info(describe(graph, graph.root())) {}
};

std::string problem_of(const std::string& object) { return Described(object).info.problem; }

std::string utils(const std::string& name, const std::vector<std::string>& arguments) {
  return py::call(py::global("torch._utils", name), arguments);
}

const std::string kPlain = py::tensor(py::storage("HalfStorage", "7", 24, "cuda:1"), 2, {3, 4}, {8, 1});

/// A checkpoint with one tensor `t`, and storages by their keys.
Archive archive_of(const std::string& object, const std::map<std::string, std::string>& storages,
                   const std::string& byteorder = "little") {
  Archive a;
  a.torch("m/data.pkl", py::pickle(object)).torch("m/.format_version", "1").torch("m/byteorder", byteorder);
  for (const auto& [key, bytes] : storages) a.torch("m/data/" + key, bytes);
  return a.torch("m/version", "3\n");
}
Archive tensor_archive(const std::string& tensor, const std::string& storage, const std::string& byteorder = "little") {
  return archive_of(py::dict({{"t", tensor}}), {{"0", storage}}, byteorder);
}

std::string bytes_of_counts(std::size_t n, int size) {
  std::string bytes;
  for (std::size_t i = 0; i < n; ++i) bytes += le(i, size);
  return bytes;
}

std::string failure_of(const Archive& archive, const std::string& path = "values/t.npy") {
  Mounted m(archive);
  try {
    m.read(path);
  } catch (const Error& e) {
    CHECK(e.code() == Errc::corrupt);
    return e.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("a view is described as the pickle has it", "[torch_tensors]") {
  const Described d(kPlain);
  CHECK(d.info.problem.empty());
  CHECK(d.info.dtype->name == "float16");
  CHECK(d.info.shape == Shape{3, 4});
  CHECK(d.info.stride == Shape{8, 1});
  CHECK(d.info.offset == 2);
  CHECK(d.info.storage->key == "7");
  CHECK(d.info.storage->bytes() == 48);
  CHECK(d.info.device == "cuda:1");
  CHECK(d.info.nbytes() == 24u);
  CHECK_FALSE(d.info.requires_grad);
}

TEST_CASE("the function that torch had first gives a tensor too", "[torch_tensors]") {
  const Described d(
      utils("_rebuild_tensor", {py::storage("LongStorage", "0", 4), py::integer(1), py::counts({3}), py::counts({1})}));
  CHECK(d.info.problem.empty());
  CHECK(d.info.dtype->name == "int64");
  CHECK(d.info.offset == 1);
}

TEST_CASE("a type beside a storage of bytes counts its own elements", "[torch_tensors]") {
  const Described d(py::tensor_v3("uint16", "3", 12, {2, 3}, {3, 1}));
  CHECK(d.info.dtype->name == "uint16");
  CHECK(d.info.storage->bytes() == 12);
  CHECK(d.info.nbytes() == 12u);
  CHECK(problem_of(py::tensor_v3("uint7", "3", 12, {2}, {1})) == "its dtype: torch.uint7 is not known");
}

TEST_CASE("a storage class is known by its name, in whatever module", "[torch_tensors]") {
  const auto of = [](const std::string& module, const std::string& name) {
    return py::tensor(
        py::tuple({py::str("storage"), py::global(module, name), py::str("0"), py::str("cpu"), py::integer(4)}) + "Q",
        0, {4}, {1});
  };
  CHECK(Described(of("anything.at_all", "BFloat16Storage")).info.dtype->name == "bfloat16");
  CHECK(Described(of("torch", "UntypedStorage")).info.dtype->name == "uint8");
  CHECK(problem_of(of("torch", "MyStorage")) == "its storage class: torch.MyStorage is none of torch's");
  CHECK(problem_of(of("my", "UntypedStorage")) == "its storage class: my.UntypedStorage is none of torch's");
}

TEST_CASE("parameters and subclasses are the tensor in them", "[torch_tensors]") {
  const std::string parameter = utils("_rebuild_parameter", {kPlain, py::boolean(true), py::kHooks});
  CHECK(Described(parameter).info.requires_grad);
  CHECK(Described(parameter).info.shape == Shape{3, 4});
  const std::string with_state = utils("_rebuild_parameter_with_state",
                                       {kPlain, py::boolean(false), py::kHooks, py::dict({{"x", py::integer(1)}})});
  CHECK(Described(with_state).info.problem.empty());
  const auto subclass = [&](const std::string& module, const std::string& name) {
    const std::string arguments = py::tuple({py::storage("HalfStorage", "7", 24), py::integer(0), py::counts({2}),
                                             py::counts({1}), py::boolean(true), py::kHooks});
    return py::call(
        py::global("torch._tensor", "_rebuild_from_type_v2"),
        {py::global("torch._utils", "_rebuild_tensor_v2"), py::global(module, name), arguments, py::dict({})});
  };
  CHECK(Described(subclass("my", "Masked")).info.type == "my.Masked");
  CHECK(Described(subclass("my", "Masked")).info.requires_grad);
  CHECK(Described(subclass("torch", "Tensor")).info.type.empty());
  std::string wrapped = kPlain;
  for (int i = 0; i < 9; ++i) wrapped = utils("_rebuild_parameter", {wrapped, py::boolean(true), py::kHooks});
  CHECK(problem_of(wrapped) == "it is wrapped more than 8 times");
}

TEST_CASE("what a tensor is besides its storage is told", "[torch_tensors]") {
  const auto flagged = [](const std::string& flag) {
    return utils("_rebuild_tensor_v2",
                 {py::storage("ComplexFloatStorage", "0", 2), py::integer(0), py::counts({2}), py::counts({1}),
                  py::boolean(false), py::kHooks, py::dict({{flag, py::boolean(true)}})});
  };
  CHECK(Described(flagged("conj")).info.conj);
  CHECK(Described(flagged("neg")).info.neg);
  CHECK_FALSE(Described(flagged("other")).info.conj);
  const Described meta(utils("_rebuild_meta_tensor_no_storage",
                             {py::global("torch", "bfloat16"), py::counts({5}), py::counts({1}), py::boolean(true)}));
  CHECK(meta.info.is_meta());
  CHECK(meta.info.device == "meta");
  CHECK(meta.info.nbytes() == 10u);
  CHECK(meta.info.requires_grad);
  const Described other(utils("_rebuild_wrapper_subclass", {}));
  CHECK(other.info.unknown == "torch._utils._rebuild_wrapper_subclass");
}

TEST_CASE("special layouts are told with their parts", "[torch_tensors]") {
  const std::string indices = py::tensor(py::storage("LongStorage", "0", 4), 0, {2, 2}, {2, 1});
  const std::string values = py::floats("1", 2);
  const auto layout = [](const std::string& name) {
    return py::call(py::global("torch.serialization", "_get_layout"), {py::str("torch." + name)});
  };
  const std::string size = py::call(py::global("torch", "Size"), {py::counts({30, 40})});
  const Described coo(
      utils("_rebuild_sparse_tensor", {layout("sparse_coo"), py::tuple({indices, values, size, py::boolean(true)})}));
  CHECK(coo.info.problem.empty());
  CHECK(coo.info.layout == "sparse_coo");
  CHECK(coo.info.shape == Shape{30, 40});
  CHECK(coo.info.coalesced);
  CHECK(coo.info.nbytes() == 40u);
  CHECK(coo.info.parts.at(1).tensor.storage->key == "1");
  CHECK(problem_of(utils("_rebuild_sparse_tensor", {layout("sparse_new"), py::tuple({indices})})) ==
        "its layout sparse_new with 1 values is not known");

  const auto quantised = [](const std::string& quantizer) {
    return utils("_rebuild_qtensor", {py::storage("QUInt8Storage", "0", 6), py::integer(0), py::counts({2, 3}),
                                      py::counts({3, 1}), quantizer, py::boolean(false), py::kHooks});
  };
  const std::string half("G\x3f\xe0\0\0\0\0\0\0", 9);
  const Described per_tensor(quantised(py::tuple({py::global("torch", "per_tensor_affine"), half, py::integer(10)})));
  CHECK(per_tensor.info.quantizer == "per_tensor_affine");
  CHECK(per_tensor.info.scale == 0.5);
  CHECK(per_tensor.info.zero_point == 10);
  CHECK(problem_of(quantised(py::tuple({py::global("torch", "per_star"), half}))) ==
        "its quantizer: per_star with 1 values is not known");
  const Described nested(utils("_rebuild_nested_tensor", {values, indices, indices, values}));
  CHECK(nested.info.layout == "nested");
  CHECK(nested.info.dtype->name == "float32");
  const std::string inner = utils("_rebuild_nested_tensor", {});
  CHECK(problem_of(utils("_rebuild_nested_tensor", {inner, values, values, values})) ==
        "its buffer: made by torch._utils._rebuild_nested_tensor");
}

TEST_CASE("a tensor that cannot be is told why", "[torch_tensors]") {
  const std::string s = py::storage("FloatStorage", "0", 4);
  CHECK(problem_of(py::tensor(s, 0, {2, 2}, {1})) == "its shape has 2 dimensions, its stride 1");
  CHECK(problem_of(py::tensor(s, 0, {-1}, {1})) == "its shape: is -1, expected 0 or more");
  CHECK(problem_of(py::tensor(s, -4, {1}, {1})) == "its offset: is -4, expected 0 or more");
  CHECK(problem_of(py::tensor(s, 0, py::Counts(65, 1), py::Counts(65, 1))) ==
        "its shape: has 65 dimensions, at most 64 are possible");
  CHECK(problem_of(py::tensor(py::str("x"), 0, {1}, {1})) == "its storage: expected a persistent id, got a str");
  CHECK(problem_of(py::tensor(py::str("x") + "Q", 0, {1}, {1})) ==
        "its storage: expected ('storage', class, key, location, numel)");
  CHECK(problem_of(py::tensor(py::storage("FloatStorage", "0", INT64_MAX), 0, {1}, {1})) ==
        "its storage size: 9223372036854775807 elements are more than any file has");
  CHECK(problem_of(utils("_rebuild_tensor_v2", {s})) == "_rebuild_tensor_v2: has 1 arguments, expected more than 1");
  CHECK(problem_of(utils("_rebuild_parameter", {kPlain, py::integer(1)})) ==
        "requires_grad: expected a bool, got an int");
  CHECK(problem_of(py::integer(3)) == "a tensor: expected a call, got an int");
}

TEST_CASE("an array is its storage behind a header, uncopied", "[torch_tensors]") {
  const std::string data = bytes_of_counts(24, 2);
  Mounted m(tensor_archive(py::tensor(py::storage("ShortStorage", "0", 24), 4, {2, 5}, {5, 1}), data));
  CHECK(m.read("values/t.npy") == npy_file("<i2", {2, 5}, data.substr(8, 20)));
  const Recipe content = m.find("values/t.npy")->content;
  REQUIRE(content.pieces.size() == 2);
  const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&content.pieces[1].from);
  REQUIRE(extent);
  CHECK(extent->second == m.archive()->data_offset(*m.archive()->find("m/data/0")) + 8);
  CHECK(m.find("values/t.npy")->saving == Node::Saving::none);
}

TEST_CASE("columns first is Fortran order, uncopied as well", "[torch_tensors]") {
  const std::string data = bytes_of_counts(24, 4);
  Mounted m(tensor_archive(py::tensor(py::storage("IntStorage", "0", 24), 0, {4, 1, 6}, {1, 99, 4}), data));
  CHECK(m.read("values/t.npy") == npy_file("<i4", {4, 1, 6}, data, true));
  CHECK(m.find("values/t.npy")->content.pieces.size() == 2);
}

TEST_CASE("elements that lie otherwise are gathered", "[torch_tensors]") {
  const std::string data = bytes_of_counts(24, 4);
  const auto gathered = [&](std::int64_t offset, py::Counts shape, py::Counts stride) {
    Mounted m(tensor_archive(py::tensor(py::storage("FloatStorage", "0", 24), offset, shape, stride), data));
    const std::string file = m.read("values/t.npy");
    CHECK(file.size() == m.find("values/t.npy")->content.size());
    std::vector<int> found;
    for (std::size_t at = 128; at < file.size(); at += 4) found.push_back(static_cast<unsigned char>(file[at]));
    return found;
  };
  CHECK(gathered(1, {2, 3}, {12, 4}) == std::vector<int>{1, 5, 9, 13, 17, 21});
  CHECK(gathered(5, {2, 2, 2}, {0, 1, 0}) == std::vector<int>{5, 5, 6, 6, 5, 5, 6, 6});
  CHECK(gathered(0, {2, 2, 3}, {1, 12, 4}) == std::vector<int>{0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21});
  CHECK(gathered(3, {4, 3}, {2, 1}) == std::vector<int>{3, 4, 5, 5, 6, 7, 7, 8, 9, 9, 10, 11});
}

TEST_CASE("types that NumPy does not have are raw bytes", "[torch_tensors]") {
  const std::string data = bytes_of_counts(12, 1);
  const auto file = [&](const std::string& tensor, const std::string& order = "little") {
    return Mounted(tensor_archive(tensor, data, order)).read("values/t.npy");
  };
  const std::string bfloat16 = py::tensor(py::storage("BFloat16Storage", "0", 6), 0, {6}, {1});
  CHECK(file(bfloat16) == npy_file("|V2", {6}, data));
  std::string swapped;
  for (std::size_t i = 0; i < data.size(); ++i) swapped += data[i ^ 1];
  CHECK(file(bfloat16, "big") == npy_file("|V2", {6}, swapped));
  CHECK(file(py::tensor_v3("float8_e5m2", "0", 12, {3, 4}, {4, 1})) == npy_file("|V1", {3, 4}, data));
  CHECK(file(py::tensor_v3("uint32", "0", 12, {3}, {1})) == npy_file("<u4", {3}, data));
  CHECK(file(py::tensor_v3("uint32", "0", 12, {3}, {1}), "big") == npy_file(">u4", {3}, data));
  CHECK(file(py::tensor_v3("complex32", "0", 12, {3}, {1})) == npy_file("<f2", {3, 2}, data));
  const std::string c = data.substr(0, 4) + data.substr(8, 4);
  CHECK(file(py::tensor_v3("complex32", "0", 12, {1, 2}, {1, 2})) == npy_file("<f2", {1, 2, 2}, c));
  CHECK(file(py::tensor(py::storage("BoolStorage", "0", 12), 0, {12}, {1}), "big") == npy_file("|b1", {12}, data));
}

TEST_CASE("bytes that are swapped can be read from anywhere", "[torch_tensors]") {
  const std::string data = bytes_of_counts(100'000, 2);
  Mounted m(tensor_archive(py::tensor(py::storage("BFloat16Storage", "0", 100'000), 0, {100'000}, {1}), data, "big"));
  const Recipe content = m.find("values/t.npy")->content;
  const std::string whole = m.read("values/t.npy");
  for (const std::uint64_t at : {127u, 128u, 129u, 65'663u, 65'664u, 200'126u}) {
    std::string part(131'073, '\0');
    part.resize(content.read(at, Buffer(part.data(), part.size())));
    CHECK(part == whole.substr(at, 131'073));
  }
}

TEST_CASE("empty tensors and scalars are arrays too", "[torch_tensors]") {
  Mounted m(archive_of(py::dict({{"empty", py::tensor(py::storage("FloatStorage", "0", 0), 0, {0, 3}, {3, 1})},
                                 {"scalar", py::tensor(py::storage("LongStorage", "1", 2), 1, {}, {})},
                                 {"far", py::tensor(py::storage("FloatStorage", "0", 0), 77, {2, 0}, {1, 1})}}),
                       {{"0", ""}, {"1", bytes_of_counts(2, 8)}}));
  CHECK(m.read("values/empty.npy") == npy_file("<f4", {0, 3}, ""));
  CHECK(m.read("values/far.npy") == npy_file("<f4", {2, 0}, ""));
  CHECK(m.read("values/scalar.npy") == npy_file("<i8", {}, le(1, 8)));
}

TEST_CASE("a storage that somebody deflated is inflated", "[torch_tensors]") {
  Archive a;
  a.torch("m/data.pkl",
          py::pickle(py::dict({{"t", py::tensor(py::storage("IntStorage", "0", 1000), 100, {900}, {1})}})))
      .torch("m/version", "3\n");
  const std::string data = bytes_of_counts(1000, 4);
  a.python("m/data/0", data, true);
  CHECK(Mounted(a).read("values/t.npy") == npy_file("<i4", {900}, data.substr(400)));
}

TEST_CASE("values that are nowhere have no array", "[torch_tensors]") {
  const std::string meta = utils("_rebuild_meta_tensor_no_storage", {py::global("torch", "float32"), py::counts({5}),
                                                                     py::counts({1}), py::boolean(false)});
  Mounted m(archive_of(py::dict({{"meta", meta}, {"t", py::floats("0", 2)}, {"odd", utils("_rebuild_other", {})}}),
                       {{"0", "12345678"}}));
  CHECK(m.names("tensors") == Names{"meta", "t", "odd"});
  CHECK(m.names("values") == Names{"t.npy"});
  CHECK_FALSE(m.find("values/meta.npy"));
  CHECK(m.read("tensors/odd") == "{\"name\": \"odd\", \"unknown\": \"made by torch._utils._rebuild_other\"}\n");
  CHECK_THAT(m.read("tensors.tsv"), says("\nodd\t?\t?\t?\t?\t?\t?\t?\t?\t?\n"));
  ViewOptions options;
  options.no_data = true;
  CHECK_FALSE(Mounted(archive_of(py::dict({}), {}), options).find("values"));
}

TEST_CASE("a tensor that its storage does not hold is an error on its array alone", "[torch_tensors]") {
  const auto broken = [](const std::string& tensor, const std::string& storage = "0123456789abcdef") {
    return failure_of(tensor_archive(tensor, storage));
  };
  const std::string s = py::storage("FloatStorage", "0", 4);
  CHECK(broken(py::tensor(s, 1, {4}, {1})) ==
        "values/t.npy: shape 4 of float32 with stride 1 at offset 1 needs 5 elements, storage '0' has 4");
  CHECK(broken(py::tensor(s, 0, {2, 2}, {3, 1})) ==
        "values/t.npy: shape 2x2 of float32 with stride 3x1 at offset 0 needs 5 elements, storage '0' has 4");
  CHECK(broken(py::tensor(s, 0, {std::int64_t(1) << 62, 4}, {4, 1})) ==
        "values/t.npy: shape 4611686018427387904x4 of float32 needs more bytes than 63 bits can count");
  CHECK(
      broken(py::tensor(s, 0, {3, 3}, {INT64_MAX, INT64_MAX})) ==
      "values/t.npy: shape 3x3 of float32 with stride 9223372036854775807x9223372036854775807 at offset 0 ends behind "
      "63 bits");
  CHECK(broken(py::tensor(s, INT64_MAX, {}, {})) ==
        "values/t.npy: shape scalar of float32 with stride scalar at offset 9223372036854775807 needs "
        "9223372036854775808 elements, storage '0' has 4");
  CHECK(broken(py::floats("0", 5)) ==
        "values/t.npy: its storage of 5 elements of float32 needs 20 bytes, member 'm/data/0' has 16");
  CHECK(broken(py::floats("9", 4)) == "values/t.npy: its storage 'm/data/9' is not in the archive");
  CHECK(broken(py::tensor(s, 0, {2, 2}, {1})) == "values/t.npy: its shape has 2 dimensions, its stride 1");
  CHECK(failure_of(tensor_archive(py::floats("0", 4), "0123456789abcdef", "middle")) ==
        "/d/m.pt: m/byteorder: expected 'little' or 'big', got 'middle'");
  CHECK(failure_of(tensor_archive(py::tensor(s, 0, {2, 2}, {1}), ""), "tensors/t") ==
        "tensors/t: its shape has 2 dimensions, its stride 1");
}

TEST_CASE("others stay whole beside a broken tensor", "[torch_tensors]") {
  Mounted m(archive_of(py::dict({{"broken", py::floats("9", 4)}, {"t", py::floats("0", 2)}}), {{"0", "12345678"}}));
  CHECK(m.names("values") == Names{"broken.npy", "t.npy"});
  CHECK(m.read("values/t.npy") == npy_file("<f4", {2}, "12345678"));
  Mounted damaged(with_pickle("\x80\x02}(X"));
  CHECK(damaged.find("tensors")->kind == Node::Kind::directory);
  CHECK(code_of([&] { damaged.names("tensors"); }) == Errc::corrupt);
  CHECK(code_of([&] { damaged.read("tensors.tsv"); }) == Errc::corrupt);
  CHECK(code_of([&] { damaged.find("values/t.npy"); }) == Errc::corrupt);
}

TEST_CASE("those who share a storage are named, so many at most", "[torch_tensors]") {
  std::vector<std::pair<std::string, std::string>> entries{{"alone", py::floats("1", 1)}};
  for (int i = 0; i < 18; ++i) entries.emplace_back("v" + std::to_string(i), py::floats("0", 2));
  Mounted m(archive_of(py::dict(entries), {{"0", "12345678"}, {"1", "1234"}}));
  CHECK_THAT(m.read("tensors/alone"), says("\"shared_with\": [], "));
  const std::string said = m.read("tensors/v1");
  CHECK_THAT(said, says("\"shared_with\": [\"v0\", \"v2\", \"v3\""));
  CHECK_THAT(said, says("\"v16\"], \"layout\": \"strided\", \"shared_with_more\": true"));
  CHECK_THAT(m.read("tensors.tsv"), says("v15,...\n"));
}

TEST_CASE("a description has what jq and grep look for", "[torch_tensors]") {
  Mounted m(tensor_archive(kPlain, ""));
  CHECK(
      m.read("tensors/t") ==
      "{\"name\": \"t\", \"shape\": [3, 4], \"dtype\": \"float16\", \"stride\": [8, 1], \"offset\": 2, \"storage\": "
      "\"7\", "
      "\"device\": \"cuda:1\", \"requires_grad\": false, \"nbytes\": 24, \"shared_with\": [], \"layout\": \"strided\", "
      "\"storage_nbytes\": 48}\n");
  CHECK(m.read("tensors.tsv") ==
        "key\tdtype\tshape\tnbytes\tstorage\toffset\tstride\tdevice\trequires_grad\tshared_with\n"
        "t\tfloat16\t3x4\t24\t7\t2\t8x1\tcuda:1\tfalse\t\n");
}

TEST_CASE("names that no file can have are encoded, in both directories", "[torch_tensors]") {
  const std::string longest(300, 'x'), just(253, 'y');
  std::vector<std::pair<std::string, std::string>> entries;
  for (const std::string& key :
       {std::string("a/b"), std::string(""), std::string("x.npy"), std::string(".x"), longest, just})
    entries.emplace_back(key, py::floats("0", 2));
  Mounted m(archive_of(py::dict(entries), {{"0", "12345678"}}));
  for (const char* folder : {"tensors", "values"}) {
    const Names names = m.names(folder);
    REQUIRE(names.size() == entries.size());
    for (const std::string& name : names) {
      CHECK(name.size() <= 255);
      const auto node = m.find(std::string(folder) + "/" + name);
      REQUIRE(node);
      CHECK(node->content.size() > 0);
    }
  }
  CHECK(m.find("tensors/a%2Fb"));
  CHECK(m.find("tensors/%"));
  CHECK(m.find("values/%.npy"));
  CHECK(m.find("values/x.npy.npy"));
  CHECK_FALSE(m.find("tensors/a%2fb"));
  CHECK(m.find("tensors/" + m.names("tensors")[4])->key == longest);
  CHECK(m.find("values/" + m.names("values")[5])->key == just);
}
