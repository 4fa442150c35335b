#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "ckptree/error.hpp"
#include "codec/pickle/pickle.hpp"

using namespace ckptree;
using namespace ckptree::pickle;

namespace {

/// Looks at everything; how many entries and items there are.
std::size_t read_all(const Graph& graph) {
  std::size_t n = 0;
  for (Id id = 0; id < graph.size(); ++id) {
    graph.text(id);
    graph.integer(id);
    if (graph.kind(id) == Kind::integer) {
      try {
        const std::string digits = graph.decimal(id);
        if (decimal_of(twos_complement_of(digits)) != digits) std::abort();
      } catch (const Error& e) {
        if (e.code() != Errc::too_large) std::abort();
      }
    }
    if (graph.kind(id) == Kind::global) graph.known_as(id);
    for (std::size_t i = 0; i < graph.count(id); ++i)
      if (graph.child(id, i) >= graph.size()) std::abort();
    graph.state(id);
    Entries entries(graph, id);
    for (Entry e; entries.next(e); ++n)
      if (e.key >= graph.size() || e.value >= graph.size()) std::abort();
    Items items(graph, id);
    for (Item i; items.next(i); ++n)
      if (i.value >= graph.size()) std::abort();
  }
  return n;
}

/// Every third entry goes, every third gets another key, every third another value; and so on.
Graph edited(const Graph& graph) {
  Editor edit(graph);
  const Id shared = edit.list({edit.text("shared"), edit.integer(70000)});
  unsigned turn = 0;
  for (Id id = 0; id < graph.size(); ++id) {
    Entries entries(graph, id);
    for (Entry e; entries.next(e); ++turn) {
      if (turn % 3 == 0) edit.erase(e);
      if (turn % 3 == 1) edit.replace(e.key_slot(), edit.text("key"));
      if (turn % 3 == 2) edit.replace(e.value_slot(), shared);
    }
    Items items(graph, id);
    for (Item i; items.next(i); ++turn)
      if (turn % 2) edit.erase(i);
    if (graph.kind(id) == Kind::global && ++turn % 2) edit.rename_global(id, "module", "name");
    if (graph.kind(id) == Kind::dict) edit.insert(id, edit.text("new"), shared);
    if (graph.kind(id) == Kind::list) edit.append(id, edit.dict({{edit.real(0.5), shared}}));
    if (graph.kind(id) == Kind::newobj) edit.set_state(id, edit.tuple({shared, edit.boolean(true)}));
  }
  return std::move(edit).finish();
}

}  // namespace

/// A pickle: what is read can be looked at; what can be edited is written as it was, and after an edit can be edited.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Graph graph = decode(std::string(reinterpret_cast<const char*>(data), size), "fuzz.pkl");
    read_all(graph);
    if (why_not_editable(graph)) return 0;
    const Graph next = edited(graph);
    const std::size_t n = read_all(next);
    if (encode(graph) != graph.wire()) std::abort();
    std::string bytes;
    try {
      bytes = encode(next);
    } catch (const Error& e) {
      if (e.code() != Errc::rejected) std::abort();
      return 0;  // the list that all share became part of what it is made of
    }
    const Graph again = decode(bytes, "again.pkl");
    if (why_not_editable(again) || read_all(again) > n) std::abort();
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt) std::abort();
  }
  return 0;
}
