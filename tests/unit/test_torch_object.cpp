#include <algorithm>
#include <cstring>
#include <map>

#include "pickled_checkpoint.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

const std::string kTwo("\x80\x02", 2);

/// Opcodes with their operands: "\0" stays.
template <std::size_t N>
std::string code(const char (&text)[N]) {
  return kTwo + std::string(text, N - 1);
}

Names sorted(Names names) {
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("scalars are files of their value and a newline, with their type", "[object]") {
  Pickle p(kValuesPickle);
  const std::map<std::string, std::pair<std::string, std::string>> files = {
      {"int", {"12", "number"}},     {"float", {"0.5", "number"}},
      {"text", {"a b", "string"}},   {"none", {"null", "null"}},
      {"flag", {"true", "boolean"}}, {"big", {"1" + std::string(30, '0'), "number"}},
      {"nan", {"NaN", "number"}},    {"complex", {"(1+2j)", "number"}},
      {"np", {"0.1", "number"}},     {"list", {"[\n1,\n2.5,\n\"a\",\nnull\n]", "list"}},
      {"empty", {"[]", "list"}},     {"tuple", {"[\n0.9,\n0.999\n]", "list"}},
      {"set", {"[\n1\n]", "list"}},  {"frozen", {"[\n\"a\"\n]", "list"}},
  };
  for (const auto& [name, file] : files) {
    CHECK(p.read("object/" + name) == file.first + "\n");
    CHECK(p.find("object/" + name)->type == file.second);
  }
  CHECK(p.read("object/bytes") == "a\xff");
  CHECK(p.find("object")->kind == Node::Kind::directory);
  CHECK_FALSE(p.find("object/other"));
  CHECK_FALSE(p.find("object/int/x"));
  CHECK(p.find("object/int")->mtime.tv_sec == p.pickled().mtime().tv_sec);
}

TEST_CASE("floats are spelled as Python's repr spells them", "[object]") {
  const auto [value, text] = GENERATE(table<double, std::string>({{0.0, "0.0"},
                                                                  {-0.0, "-0.0"},
                                                                  {1e15, "1000000000000000.0"},
                                                                  {1e16, "1e+16"},
                                                                  {1.5e300, "1.5e+300"},
                                                                  {1e-4, "0.0001"},
                                                                  {1e-5, "1e-05"},
                                                                  {123456.75, "123456.75"},
                                                                  {-1.0 / 3, "-0.3333333333333333"},
                                                                  {5e-324, "5e-324"},
                                                                  {1e5, "100000.0"}}));
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  std::string pickle = kTwo + "G";
  for (int i = 56; i >= 0; i -= 8) pickle += static_cast<char>(bits >> i & 0xff);
  CHECK(Pickle(pickle + ".").read("object") == text + "\n");
}

TEST_CASE("a dict is a directory, and a key that is no string is its literal", "[object]") {
  Pickle p(kValuesPickle);
  CHECK(p.names("object/keys") == Names{"0", "%30", "None", "(1, 'a')", "a%2Fb", "x%2Enpy"});
  CHECK(p.read("object/keys/0") == "zero\n");
  CHECK(p.read("object/keys/%30") == "text\n");
  CHECK(p.read("object/keys/(1, 'a')") == "2\n");
  CHECK_FALSE(p.find("object/keys/x.npy"));
}

TEST_CASE("lists with containers are directories, listed from the last item to the first", "[object]") {
  Pickle p(kValuesPickle);
  CHECK(p.names("object/items") == Names{"2/", "1", "0"});
  CHECK(p.read("object/items/1") == "[\n2,\n3\n]\n");
  CHECK(p.read("object/items/2/q") == "4\n");
  CHECK(p.names("object/fixed") == Names{"1/", "0"});
}

TEST_CASE("sets and bytes of protocol 4 are shown as those of protocol 2", "[object]") {
  Pickle p(kProtocol4Pickle);
  CHECK(p.read("object/set") == "[\n1\n]\n");
  CHECK(p.read("object/frozen") == "[\n1\n]\n");
  CHECK(p.read("object/bytes") == "a\xff");
}

TEST_CASE("an object is a directory of its attributes beside its class, and nothing of it runs", "[object]") {
  Pickle p(kObjectsPickle);
  CHECK(p.names("object/thing") == Names{"number", "list/", "@class"});
  CHECK(p.read("object/thing/@class") == "__main__.Thing\n");
  CHECK(p.read("object/thing/list/1/x") == "2\n");
  CHECK(p.names("object/device") == Names{"@class", "@args"});
  CHECK(p.read("object/device/@class") == "torch.device\n");
  CHECK(p.read("object/device/@args") == "[\n\"cpu\"\n]\n");
  CHECK(p.names("object/slots") == Names{"p", "q", "@class"});
  CHECK(p.names("object/row") == Names{"@class", "@args/"});
  CHECK(p.names("object/row/@args") == Names{"1/", "0"});
  CHECK(p.names("object/deque") == Names{"1/", "0", "@class"});
  CHECK(p.read("object/dtype") == "torch.float32\n");
  CHECK(p.read("object/inner") == "__main__.Thing.Inner\n");
  CHECK(p.read("object/storage") == "('storage', <torch.storage.UntypedStorage>, '0', 'cpu', 24)\n");
}

TEST_CASE("dicts and namespaces of any class are flattened to their content", "[object]") {
  Pickle p(kObjectsPickle);
  CHECK(p.names("object/ns") == Names{"lr"});
  CHECK(p.names("object/dot") == Names{"x"});
  CHECK(p.names("object/default") == Names{"a"});
  CHECK(p.read("object/counter/a") == "2\n");
  CHECK(p.read("object/size") == "[\n1,\n2\n]\n");
}

TEST_CASE("what OmegaConf wraps is shown as if it did not", "[object]") {
  Pickle p(kOmegaPickle);
  CHECK(sorted(p.names("object/config")) == Names{"d/", "l", "lr", "m/"});
  CHECK(p.read("object/config/lr") == "0.1\n");
  CHECK(p.read("object/config/l") == "[\n1,\n2\n]\n");
  CHECK(p.read("object/config/d/e") == "null\n");
  CHECK(p.read("object/config/m/0/a") == "1\n");
}

TEST_CASE("a NumPy array is a .npy file of its bytes, in its order", "[object]") {
  Pickle p(kArraysPickle);
  CHECK(p.names("object") == Names{"f.npy", "big.npy", "dates.npy", "objects/", "x"});
  const std::string columns("\0\0\3\0\1\0\4\0\2\0\5\0", 12);
  CHECK(p.read("object/f.npy") == npy_file("<i2", {2, 3}, columns, true));
  CHECK(p.read("object/big.npy") == npy_file(">f4", {1}, std::string("\x3f\xc0\0\0", 4)));
  CHECK(p.read("object/dates.npy") == npy_file("<M8[D]", {1}, std::string("\x56\x47\0\0\0\0\0\0", 8)));
  CHECK(p.names("object/objects") == Names{"@class", "@args/", "@state/"});
  // An array whose data is not as long as its shape says hurts nobody else.
  std::string wrong = kArraysPickle;
  const std::size_t shape = wrong.find("K\x02K\x03\x86");
  REQUIRE(shape != std::string::npos);
  Pickle broken(wrong.replace(shape + 3, 1, "\x09"));
  CHECK(code_of([&] { broken.read("object/f.npy"); }) == Errc::corrupt);
  REQUIRE_THROWS_WITH(broken.read("object/f.npy"), says("object/f.npy: its shape needs 36 bytes, the pickle has 12"));
  CHECK(broken.read("object/x") == "1\n");
}

TEST_CASE("tensors are named by the keys of the state dict, others by their path", "[object]") {
  Pickle p(kLightningPickle);
  CHECK(p.tensors() == Names{"enc.weight", "enc.bias", "dec.weight", "weight", "optimizer_states.0.state.0.step",
                             "optimizer_states.0.state.0.exp_avg"});
  const auto survey = p.pickled().survey();
  CHECK(survey->tensors()[0].renameable);
  CHECK(survey->tensors()[3].renameable);
  CHECK_FALSE(survey->tensors()[4].renameable);
  CHECK(p.target("object/state_dict/enc.weight") == "../../tensors/enc.weight");
  CHECK(p.target("object/weight") == "../tensors/weight");
  CHECK(p.target("object/optimizer_states/0/state/0/step") == "../../../../../tensors/optimizer_states.0.state.0.step");
  CHECK(p.names("object/state_dict") == Names{"_metadata/", "enc.weight", "enc.bias", "dec.weight"});
  CHECK(p.read("object/state_dict/_metadata/enc/version") == "1\n");
}

TEST_CASE("tensors of a module are named as its state_dict() names them", "[object]") {
  Pickle p(kModulePickle);
  // What state_dict() leaves out comes last.
  CHECK(p.tensors() == Names{"scale", "a.weight", "a.kept", "b.again.weight", "b.again.kept", "a.lost"});
  CHECK(p.target("object/_modules/b/_modules/again") == "../../../../object/_modules/a");
}

TEST_CASE("a second tensor of a name gets a number that no other has", "[object]") {
  // {"a.b": T, "a": {"b": T}, "a.b:2": T} with T a call of torch._utils._rebuild_x
  const std::string tensor = "ctorch._utils\n_rebuild_x\n)R";
  const auto text = [](const std::string& s) {
    return "X" + std::string(1, static_cast<char>(s.size())) + std::string(3, '\0') + s;
  };
  const std::string inner = text("a") + "}" + text("b") + tensor + "s";
  Pickle p(kTwo + "}(" + text("a.b") + tensor + inner + text("a.b:2") + tensor + "u.");
  CHECK(p.tensors() == Names{"a.b", "a.b:2", "a.b:3"});
  CHECK(p.target("object/a/b") == "../../tensors/a.b:3");
}

TEST_CASE("an object is shown at one place and linked from the others", "[object]") {
  Pickle p(kLightningPickle);
  CHECK(p.find("object/one")->kind == Node::Kind::directory);
  CHECK(p.target("object/two/0") == "../../object/one");
  CHECK_FALSE(p.find("object/two/0/a"));
  CHECK(p.all().count("object/one/a") == 1);
}

TEST_CASE("what contains itself is shown without looping", "[object]") {
  CHECK(Pickle(code("]q\0h\0a.")).target("object/0") == "../object");
  // {"x": {"y": the first}}
  const auto all = Pickle(code("}q\0X\1\0\0\0x}X\1\0\0\0yh\0ss.")).all();
  CHECK(all == std::map<std::string, std::string>{{"object/x", "/"}, {"object/x/y", "-> ../../object"}});
  // An object whose state is itself, and one of OmegaConf that wraps itself.
  CHECK(Pickle(code("cm\nC\n)\x81q\0X\1\0\0\0kK\1sh\0b.")).names("object").size() == 3);
  CHECK(Pickle(code("comegaconf.nodes\nAnyNode\n)\x81q\0}X\4\0\0\0_valh\0sb.")).find("object"));
}

TEST_CASE("a pickle that doubles at every level costs no more than its bytes", "[object]") {
  std::string tuples = code("]q\0");
  for (int level = 0; level < 200; ++level)
    tuples += "h" + std::string(1, static_cast<char>(level)) + "\x86q" + std::string(1, static_cast<char>(level + 1));
  Pickle p(tuples + ".");
  CHECK(p.all().size() == 400);
  // A module that has each module below twice.
  std::string modules =
      code("cm\nM\nq\0)\x81}(X\x0b\0\0\0_parameters}X\1\0\0\0pctorch._utils\n_rebuild_x\n)RsX\x08\0\0\0_modules}ubq\1");
  const std::string head = code("h\0)\x81}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}(X\1\0\0\0a").substr(2);
  for (int level = 1; level < 40; ++level) {
    // The module so far is on the stack: it goes into the memo, and is put into the next.
    const std::string get = "h" + std::string(1, static_cast<char>(level));
    modules += head + get + "X" + std::string("\1\0\0\0", 4) + "b" + get + "uubq";
    modules += static_cast<char>(level + 1);
  }
  Pickle m(modules + ".");
  CHECK(code_of([&] { m.pickled().survey(); }) == Errc::too_large);
  CHECK(m.read("kind") == "torch\n");
}

TEST_CASE("a long text that is used again and again is in memory once", "[object]") {
  constexpr std::size_t kTimes = 20'000;  // of 100 KB: each copied would be 2 GB
  const std::string text = "X" + le(100'000, 4) + std::string(100'000, 'k') + "q" + std::string(1, '\0');
  const auto times = [](const std::string& code) {
    std::string all;
    for (std::size_t i = 1; i < kTimes; ++i) all += code;
    return all;
  };
  const std::string again("h\0", 2);
  const Pickle key("\x80\x02}(" + text + "N" + times(again + "N") + "u.");
  CHECK(key.names("object").size() == 1);
  const Pickle keys("\x80\x02](}" + text + "}s" + times("}" + again + "}s") + "e.");
  CHECK(keys.find("object/0/" + keys.names("object/0").front().substr(0, 255)));
  CHECK(keys.find("object/19999/" + keys.names("object/0").front().substr(0, 255)));
  const Pickle list("\x80\x02}X\1" + std::string(3, '\0') + "a](" + text + times(again) + "es.");
  CHECK(list.names("object") == Names{"a"});
  CHECK(code_of([&] { list.read("object/a"); }) == Errc::too_large);
  REQUIRE_THROWS_WITH(list.read("object/a"), says("a list of more than 268435456 bytes of text is not shown"));
}

TEST_CASE("what is very deep costs no more than its bytes, and is not shown below a depth", "[object]") {
  constexpr std::size_t kDepth = 100'000, kTensors = 20'000;
  const std::string tensor = "ctorch._utils\n_rebuild_x\n)R";
  std::string deep = "\x80\x02" + std::string(kDepth, ']') + "(";
  for (std::size_t i = 0; i < kTensors; ++i) deep += tensor;
  Pickle p(deep + "e" + std::string(kDepth - 1, 'a') + ".");
  CHECK(p.names("tensors").size() == kTensors);
  TreePath path{"object"};
  path.insert(path.end(), 10'000, "0");
  CHECK(p->find(path)->kind == Node::Kind::directory);
  path.push_back("0");
  CHECK(code_of([&] { p->find(path); }) == Errc::too_large);
}

TEST_CASE("of a key that comes twice the last counts", "[object]") {
  Pickle p(code("}(X\1\0\0\0aK\1X\1\0\0\0bK\2X\1\0\0\0aK\3u."));
  CHECK(p.names("object") == Names{"b", "a"});
  CHECK(p.read("object/a") == "3\n");
  p.remove("object/a");
  CHECK(p.names("object") == Names{"b"});
  CHECK(p.again().names("object") == Names{"b"});
}

TEST_CASE("an object that is no container is a file or a link", "[object]") {
  CHECK(Pickle(code("K\x05.")).read("object") == "5\n");
  CHECK(Pickle(code("]K\1a.")).read("object") == "[\n1\n]\n");
  CHECK(Pickle(code("ctorch._utils\n_rebuild_tensor_v2\n)R.")).target("object") == "tensors/%");
}

TEST_CASE("a broken pickle is an error of object/ alone", "[object]") {
  Pickle p(kValuesPickle.substr(0, 100));
  CHECK(p.find("object")->kind == Node::Kind::directory);
  CHECK(p.read("kind") == "torch\n");
  CHECK(code_of([&] { p.names("object"); }) == Errc::corrupt);
  CHECK(code_of([&] { p.find("object/int"); }) == Errc::corrupt);
  REQUIRE_THROWS_WITH(p.names("object"), says("m.pt: data.pkl at byte "));
  CHECK(code_of([&] { p.write("object/int", "1"); }) == Errc::corrupt);
  CHECK_FALSE(p->vacant({"object", "new"}));
}

TEST_CASE("a pickle that is encrypted hides nothing else", "[object]") {
  Archive a = with_pickle(kValuesPickle);
  a.entries.front().flags |= 1;
  const Mounted m(a);
  CHECK(m.names("").front() == "kind");
  CHECK(code_of([&] { m.names("object"); }) == Errc::unsupported);
}

TEST_CASE("bytes that are not those of the CRC are not decoded", "[object]") {
  std::string bytes = with_pickle(kValuesPickle).bytes();
  bytes[bytes.find("a b")] = 'x';
  Mounted m(bytes);
  REQUIRE_THROWS_WITH(m.names("object"), says("member 'm/data.pkl': the CRC-32 of its bytes is"));
}
