#include <algorithm>
#include <random>

#include "pickled_checkpoint.hpp"
#include "torch_pickle.hpp"

using namespace ckptree;
using namespace ckptree_test;

namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

const std::string kNoise(1000, 'n');

/// A state dict of one-dimensional tensors, each with a storage of its own, in a file as torch 2.7 writes it.
Archive state_dict(const Names& names, const Names& modules = {}) {
  Entries entries, metadata;
  for (std::size_t i = 0; i < names.size(); ++i) entries.emplace_back(names[i], py::floats(std::to_string(i), 250));
  for (const std::string& module : modules) metadata.emplace_back(module, py::dict({{"version", py::integer(1)}}));
  std::string object = py::ordered_dict(entries);
  if (!modules.empty()) object += py::dict({{"_metadata", py::ordered_dict(metadata)}}) + "b";
  Archive a;
  a.torch("m/data.pkl", py::pickle(object)).torch("m/.format_version", "1").torch("m/byteorder", "little");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string key = std::to_string(i);
    a.torch("m/data/" + key, (key + kNoise).substr(0, 1000));
  }
  return a.torch("m/version", "3\n");
}

Names keys_of(const Mounted& m) {
  const auto pickled = dynamic_cast<const torch::TorchModel&>(*m).state().pickled;
  Names keys;
  pickle::Entries entries(pickled->graph(), pickled->graph().root());
  for (pickle::Entry e; entries.next(e);) keys.emplace_back(pickled->graph().text(e.key));
  return keys;
}

Names modules_of(const Mounted& m) {
  const auto pickled = dynamic_cast<const torch::TorchModel&>(*m).state().pickled;
  const pickle::Graph& graph = pickled->graph();
  Names keys;
  pickle::Entries entries(graph, pickle::find(graph, graph.state(graph.root()), "_metadata")->value);
  for (pickle::Entry e; entries.next(e);) keys.emplace_back(graph.text(e.key));
  return keys;
}

std::string failure_of(const std::function<void()>& body, Errc code) {
  try {
    body();
  } catch (const Error& e) {
    CHECK(e.code() == code);
    return e.what();
  }
  return "none";
}

Names storages_of(Mounted& m) {
  Names names;
  const auto d = m.archive();
  for (const zip::Member& member : d->members())
    if (member.name.compare(0, 7, "m/data/") == 0) names.push_back(member.name.substr(7));
  return names;
}

/// Storages with their bytes, each in its place at a multiple of 64.
void check_storages(Mounted& m) {
  const auto d = m.archive();
  for (const std::string& key : storages_of(m)) {
    const zip::Member& member = *d->find("m/data/" + key);
    CHECK(d->data_offset(member) % 64 == 0);
    CHECK(m.member(member.name) == (key + kNoise).substr(0, 1000));
  }
}

}  // namespace

TEST_CASE("a tensor's new name stands where the old one stood", "[torch_tensor_names]") {
  Mounted m(state_dict({"a.x", "a.y", "b"}), edit_all());
  m.rename("tensors/a.y", "tensors/new%2Fname");
  CHECK(m.names("tensors") == Names{"a.x", "new%2Fname", "b"});
  CHECK(m.names("values") == Names{"a.x.npy", "new%2Fname.npy", "b.npy"});
  CHECK_THAT(m.read("tensors/new%2Fname"), says("{\"name\": \"new/name\", "));
  CHECK_FALSE(m.find("tensors/a.y"));
  CHECK_FALSE(m.find("values/a.y.npy"));
  CHECK(m.names("object") == Names{"a.x", "new%2Fname", "b"});
  CHECK(m.find("object/new%2Fname")->target == "../tensors/new%2Fname");
  m.commit();
  CHECK(m.names("tensors") == Names{"a.x", "new%2Fname", "b"});
  CHECK(keys_of(m) == Names{"a.x", "new/name", "b"});
  check_storages(m);
  CHECK(m.has_member("m/.format_version"));
}

TEST_CASE("a name that is there is not taken over, two can be swapped", "[torch_tensor_names]") {
  Mounted m(state_dict({"a", "b", "c"}), edit_all());
  CHECK(failure_of([&] { m.rename("tensors/a", "tensors/b"); }, Errc::exists) == "tensors/b: exists already");
  m.rename("tensors/a", "tensors/a");
  const std::string a = m.read("values/a.npy"), b = m.read("values/b.npy");
  m.edit(Op::Kind::exchange, "tensors/a", "tensors/b");
  CHECK(m.names("tensors") == Names{"b", "a", "c"});
  CHECK(m.read("values/a.npy") == b);
  CHECK(m.read("values/b.npy") == a);
  m.rename("tensors/b", "tensors/d");
  m.rename("tensors/c", "tensors/b");
  CHECK(m.names("tensors") == Names{"d", "a", "b"});
  m.commit();
  CHECK(m.names("tensors") == Names{"d", "a", "b"});
  CHECK(m.read("values/a.npy") == b);
}

TEST_CASE("there and back is no change", "[torch_tensor_names]") {
  Mounted m(with_pickle(kLightningPickle), edit_all());
  m.rename("tensors/enc.weight", "tensors/c");
  m.rename("tensors/c", "tensors/enc.weight");
  CHECK(m.commit() == 0);
}

TEST_CASE("a storage goes with the last tensor of it", "[torch_tensor_names]") {
  Archive a;
  a.torch("m/data.pkl", py::pickle(py::dict({{"one", py::floats("0", 2)},
                                             {"tied", py::floats("0", 2)},
                                             {"other", py::floats("1", 2)},
                                             {"storage", py::storage("FloatStorage", "2", 2)},
                                             {"third", py::floats("2", 2)}})));
  a.torch("m/.format_version", "1")
      .torch("m/data/0", "00000000")
      .torch("m/data/1", "11111111")
      .torch("m/data/2", "22222222");
  Mounted m(a.torch("m/data/unknown", "x").torch("m/version", "3\n"), edit_all());
  m.remove("tensors/one");
  CHECK(m.names("tensors") == Names{"tied", "other", "third"});
  CHECK_THAT(m.read("tensors/tied"), says("\"shared_with\": []"));
  m.commit();
  CHECK(storages_of(m) == Names{"0", "1", "2", "unknown"});
  m.remove("tensors/tied");
  m.remove("tensors/third");
  m.commit();
  CHECK(storages_of(m) == Names{"1", "2", "unknown"});
  CHECK(m.member("m/data/2") == "22222222");
  CHECK(failure_of([&] { m.remove("tensors/other"); }, Errc::last_one) ==
        "tensors/other: the last tensor cannot be removed");
}

TEST_CASE("a storage stays as long as anything names it, also what torch does not know", "[torch_tensor_names]") {
  const std::string unknown =
      py::tuple({py::str("storage"), py::global("m", "Storage"), py::str("0"), py::str("cpu"), py::integer(2)}) + "Q";
  Archive a;
  a.torch("m/data.pkl",
          py::pickle(py::dict({{"one", py::floats("0", 2)}, {"x", unknown}, {"two", py::floats("1", 2)}})))
      .torch("m/data/0", "00000000")
      .torch("m/data/1", "11111111");
  Mounted m(a.torch("m/version", "3\n"), edit_all());
  m.remove("tensors/one");
  m.commit();
  CHECK(storages_of(m) == Names{"0", "1"});
}

TEST_CASE("a tensor does not get the key of something else", "[torch_tensor_names]") {
  Archive a;
  a.torch("m/data.pkl", py::pickle(py::dict({{"w", py::floats("0", 2)}, {"epoch", py::integer(3)}})));
  Mounted m(a.torch("m/data/0", "00000000").torch("m/version", "3\n"), edit_all());
  CHECK(failure_of([&] { m.rename("tensors/w", "tensors/epoch"); }, Errc::exists) ==
        "tensors/epoch: is a key of the same dict already, of something that is no tensor");
  m.remove("object/epoch");
  m.rename("tensors/w", "tensors/epoch");
  CHECK(keys_of(m) == Names{"epoch"});
}

TEST_CASE("torch is told to look for storages once it cannot compute where they are", "[torch_tensor_names]") {
  const auto is_kept = [](const Names& gone) {
    Mounted m(state_dict({"a", "b", "c", "d"}), edit_all());
    for (const std::string& name : gone) m.remove("tensors/" + name);
    m.commit();
    check_storages(m);
    CHECK(storages_of(m).size() == 4 - gone.size());
    return m.has_member("m/.format_version");
  };
  CHECK(is_kept({"d"}));
  CHECK(is_kept({"d", "c", "b"}));
  CHECK_FALSE(is_kept({"a"}));
  CHECK_FALSE(is_kept({"c"}));
  CHECK_FALSE(is_kept({"b", "d"}));
}

TEST_CASE("storages stay where they are when names become longer", "[torch_tensor_names]") {
  Mounted m(state_dict({"a", "b", "c"}), edit_all());
  const auto places = [&] {
    std::vector<std::uint64_t> all;
    const auto d = m.archive();
    for (const std::string& key : storages_of(m)) all.push_back(d->data_offset(*d->find("m/data/" + key)));
    return all;
  };
  const auto before = places();
  for (const char* name : {"a", "b", "c"})
    m.rename(std::string("tensors/") + name, "tensors/" + std::string(200, name[0]));
  m.commit();
  CHECK(places() == before);
  check_storages(m);
  CHECK(m.names("tensors") == Names{std::string(200, 'a'), std::string(200, 'b'), std::string(200, 'c')});
}

TEST_CASE("only names of the state dict can be changed, under edit=all, in tensors/", "[torch_tensor_names]") {
  const std::string object =
      py::dict({{"state_dict", py::ordered_dict({{"w", py::floats("0", 2)}, {"v", py::floats("1", 2)}})},
                {"best", py::dict({{"w", py::floats("2", 2)}})}});
  Archive a;
  a.torch("m/data.pkl", py::pickle(object)).torch("m/version", "3\n");
  Mounted m(a, edit_all());
  CHECK(m.names("tensors") == Names{"w", "v", "best.w"});
  CHECK(m.find("tensors")->saving == Node::Saving::value);
  CHECK(m.find("tensors/w")->saving == Node::Saving::value);
  CHECK(m.find("tensors/best.w")->saving == Node::Saving::none);
  const std::string elsewhere =
      "tensors/best.w: is no key of a state dict; what is elsewhere in the object is edited below object/";
  CHECK(failure_of([&] { m.rename("tensors/best.w", "tensors/x"); }, Errc::immutable) == elsewhere);
  CHECK(failure_of([&] { m.remove("tensors/best.w"); }, Errc::immutable) == elsewhere);
  CHECK(failure_of([&] { m.edit(Op::Kind::exchange, "tensors/w", "tensors/best.w"); }, Errc::immutable) == elsewhere);
  CHECK(failure_of([&] { m.rename("tensors/w", "tensors/best.w"); }, Errc::exists) == "tensors/best.w: exists already");
  CHECK(failure_of([&] { m.rename("tensors/no", "tensors/x"); }, Errc::not_found) == "tensors/no: no such tensor");
  CHECK(failure_of([&] { m.edit(Op::Kind::exchange, "tensors/w", "tensors/no"); }, Errc::not_found) ==
        "tensors/no: no such tensor");
  CHECK(failure_of([&] { m.rename("tensors/w", "object/x"); }, Errc::immutable) ==
        "tensors/w: a tensor can only be moved within tensors/");
  CHECK(failure_of([&] { m.rename("tensors/w", "tensors/.x"); }, Errc::rejected) ==
        "tensors/.x: not how the name of a tensor is spelled; that would be %2Ex");
  CHECK(failure_of([&] { m.write("tensors/w", "x"); }, Errc::immutable) ==
        "tensors/w: tells about a tensor; only its name can be changed, or it be removed");
  CHECK(failure_of([&] { m.edit(Op::Kind::remove_tree, "tensors"); }, Errc::immutable) ==
        "tensors: stays; its tensors are renamed and removed one by one");
  CHECK(m->vacant({"tensors", "fresh"}));
  CHECK_FALSE(m->vacant({"tensors", ".fresh"}));
  CHECK_FALSE(m->vacant({"tensors", "a", "b"}));

  Mounted plain(a);
  CHECK(plain.find("tensors")->saving == Node::Saving::none);
  CHECK(plain.find("tensors/w")->saving == Node::Saving::none);
  CHECK_FALSE(plain->vacant({"tensors", "fresh"}));
  CHECK(failure_of([&] { plain.rename("tensors/w", "tensors/x"); }, Errc::immutable) ==
        "tensors/w: is edited under -o edit=all only");
  ViewOptions options = edit_all();
  options.read_only = true;
  Mounted read_only(a, options);
  CHECK(failure_of([&] { read_only.remove("tensors/w"); }, Errc::read_only) == "tensors/w: the view is read-only");
}

TEST_CASE("a pickle that cannot be written back is shown and not edited", "[torch_tensor_names]") {
  Archive a;
  a.torch("m/data.pkl", py::pickle(py::dict({{"a", py::floats("0", 2)}, {"b", py::floats("1", 2)}})) + "more")
      .torch("m/version", "3\n");
  Mounted m(a, edit_all());
  CHECK(m.names("tensors") == Names{"a", "b"});
  CHECK(m.find("tensors/a")->saving == Node::Saving::none);
  CHECK_THAT(failure_of([&] { m.rename("tensors/a", "tensors/c"); }, Errc::immutable),
             says("tensors/a: cannot be edited: "));
}

TEST_CASE("the second of a name has it when the first has another", "[torch_tensor_names]") {
  const std::string object =
      py::dict({{"state_dict", py::ordered_dict({{"best.w", py::floats("0", 2)}, {"v", py::floats("1", 2)}})},
                {"best", py::dict({{"w", py::floats("2", 2)}})}});
  Archive a;
  a.torch("m/data.pkl", py::pickle(object)).torch("m/version", "3\n");
  Mounted m(a, edit_all());
  CHECK(m.names("tensors") == Names{"best.w", "v", "best.w:2"});
  m.rename("tensors/best.w", "tensors/x");
  CHECK(m.names("tensors") == Names{"x", "v", "best.w"});
  CHECK(m.find("object/best/w")->target == "../../tensors/best.w");
}

TEST_CASE("what modules say of their versions follows a prefix that moved as a whole", "[torch_tensor_names]") {
  const Names names{"enc.0.w", "enc.0.b", "enc.2.w", "enc.2.b", "dec.w"};
  const Names modules{"", "enc", "enc.0", "enc.1", "enc.2", "dec"};
  const auto after = [&](const std::vector<std::pair<std::string, std::string>>& moves) {
    Mounted m(state_dict(names, modules), edit_all());
    for (const auto& [from, to] : moves) m.rename("tensors/" + from, "tensors/" + to);
    return modules_of(m);
  };
  // Part of a module, and names within one, move nothing.
  CHECK(after({{"enc.0.w", "x.0.w"}}) == modules);
  CHECK(after({{"enc.0.w", "enc.0.weight"}, {"enc.0.b", "enc.0.bias"}}) == modules);
  CHECK(after({{"enc.0.w", "enc.9.w"}, {"enc.0.b", "enc.9.b"}}) == Names{"", "enc", "enc.9", "enc.1", "enc.2", "dec"});
  // The last one of a prefix takes along what is in it, modules without tensors too.
  const std::vector<std::pair<std::string, std::string>> all{
      {"enc.0.w", "x.y.0.w"}, {"enc.2.b", "x.y.2.b"}, {"enc.0.b", "x.y.0.b"}, {"enc.2.w", "x.y.2.w"}};
  CHECK(after(all) == Names{"", "x.y", "x.y.0", "x.y.1", "x.y.2", "dec"});
  // Into a new module around all, and out of one.
  CHECK(after({{"dec.w", "m.dec.w"},
               {"enc.0.w", "m.enc.0.w"},
               {"enc.0.b", "m.enc.0.b"},
               {"enc.2.w", "m.enc.2.w"},
               {"enc.2.b", "m.enc.2.b"}}) == Names{"m", "m.enc", "m.enc.0", "m.enc.1", "m.enc.2", "m.dec"});
  CHECK(after({{"enc.0.w", "0.w"}, {"enc.0.b", "0.b"}, {"enc.2.w", "2.w"}, {"enc.2.b", "2.b"}}) ==
        Names{"", "enc", "0", "1", "2", "dec"});
  CHECK(after({{"dec.w", "dec.inner.w"}}) == Names{"", "enc", "enc.0", "enc.1", "enc.2", "dec.inner"});
  CHECK(after({{"dec.w", "enc.1.w"}}) == modules);                       // there is one of that name
  CHECK(after({{"enc.0.w", "plain"}, {"enc.0.b", "bias"}}) == modules);  // the top has one
}

TEST_CASE("hundreds of edits end as each of them says", "[torch_tensor_names]") {
  std::mt19937 random(GENERATE(1, 2, 3));
  Names names;
  for (int i = 0; i < 400; ++i) names.push_back("layer." + std::to_string(i) + ".w");
  Mounted m(state_dict(names), edit_all());
  Names expected = names;
  const auto any = [&] { return random() % expected.size(); };
  for (int n = 0; n < 1200; ++n) {
    const std::size_t i = any(), j = any();
    switch (random() % 8) {
      case 0:
        if (expected.size() < 20) break;
        m.remove("tensors/" + expected[i]);
        expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(i));
        break;
      case 1:
        m.edit(Op::Kind::exchange, "tensors/" + expected[i], "tensors/" + expected[j]);
        std::swap(expected[i], expected[j]);
        break;
      case 2:  // a name that another one had
        if (std::find(expected.begin(), expected.end(), names[i]) != expected.end()) break;
        m.rename("tensors/" + expected[i], "tensors/" + names[i]);
        expected[i] = names[i];
        break;
      default: {
        const std::string fresh = "new." + std::to_string(n);
        m.rename("tensors/" + expected[i], "tensors/" + fresh);
        expected[i] = fresh;
      }
    }
    if (n % 100 != 99) continue;
    CHECK(m.names("tensors") == expected);
    CHECK(keys_of(m) == expected);
    for (const std::string& name : expected) REQUIRE(m.find("tensors/" + name));
    const std::size_t gone = any();
    if (std::find(expected.begin(), expected.end(), names[gone]) == expected.end())
      CHECK_FALSE(m.find("tensors/" + names[gone]));
  }
  m.commit();
  CHECK(m.names("tensors") == expected);
  CHECK(storages_of(m).size() == expected.size());
  check_storages(m);
}
