// A document and a few edits of it. The input is a JSON text and, after NUL bytes, edits: a letter for the kind, a
// path, and after a newline the text to write or the path to move to.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "ckptree/error.hpp"
#include "codec/json/json.hpp"
#include "formats/document/document.hpp"

using namespace ckptree;

namespace {

void expect(bool right) {
  if (!right) std::abort();
}

/// Every entry, its node and its content; what list shows, find finds.
std::string tree(const Document& doc, const TreePath& path, int& budget) {
  std::string all;
  doc.list(path, [&](const std::string& name, const Node& node) {
    if (--budget < 0) return false;
    TreePath below = path;
    below.push_back(name);
    const auto found = doc.find(below);
    expect(found && found->kind == node.kind && found->content.tag == node.content.tag && found->key == node.key);
    expect(!name.empty() && name.size() <= 255 && name.find('/') == std::string::npos);
    all += name + '=' + node.type + ':' + node.content.tag + ';';
    if (node.kind == Node::Kind::directory) all += '{' + tree(doc, below, budget) + '}';
    return true;
  });
  return all;
}

std::string tree(const Document& doc) {
  int budget = 300;
  return tree(doc, {}, budget);
}

Op edit_in(Bytes text) {
  constexpr Op::Kind kinds[] = {Op::Kind::write,       Op::Kind::make_dir, Op::Kind::remove,
                                Op::Kind::remove_tree, Op::Kind::rename,   Op::Kind::exchange};
  const std::size_t line = std::min(text.find('\n'), text.size());
  const Bytes second = text.substr(std::min(line + 1, text.size()));
  Op op;
  if (!text.empty()) op.kind = kinds[static_cast<unsigned char>(text[0]) % 6];
  op.path = parse_path("d/" + std::string(text.substr(std::min<std::size_t>(1, line), line ? line - 1 : 0)));
  if (op.kind == Op::Kind::write) op.content = Recipe::literal(std::string(second));
  else op.to = parse_path("d/" + std::string(second));
  return op;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes rest(reinterpret_cast<const char*>(data), size);
  const auto next = [&] {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    const Bytes part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
  };
  try {
    auto doc = std::make_shared<const Document>(std::string(next()), "d", std::timespec{}, true);
    for (int i = 0; i < 8; ++i) {
      tree(*doc);
      if (rest.empty()) break;
      try {
        const Op op = edit_in(next());
        const auto vacant = doc->vacant(TreePath(op.path.begin() + 1, op.path.end()));
        if (vacant) expect(vacant->kind == Node::Kind::file);
        doc = doc->apply(op, 1);
        try {
          json::validate(doc->text(), "edited");
        } catch (const Error&) {
          std::abort();  // an edit that was taken left a document that is none
        }
        // The parts that were kept from before the edit say what the text says.
        expect(tree(*doc) == tree(Document(doc->text(), "d", {}, true)));
        if (op.kind == Op::Kind::write) expect(doc->find(TreePath(op.path.begin() + 1, op.path.end())).has_value());
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
