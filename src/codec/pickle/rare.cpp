#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "codec/pickle/decoder.hpp"
#include "codec/pickle/lines.hpp"
#include "codec/pickle/pickle.hpp"

/// Opcodes of which no checkpoint of today is made. They become the nodes that today's opcodes would have made, and
/// the graph can be shown, not edited.
namespace ckptree::pickle {

void Decoder::container(Op empty, Kind kind, Op fill) {
  const std::size_t at = pop_mark(), count = stack_.size() - at;
  const Slot first = take(at);
  leaf(empty, kind);
  if (count) add_step(top(), fill, first, count);
}

void Decoder::integer_line(Bytes text) {
  try {
    owned_text(Op::long1, Kind::integer, twos_complement_of(text));
  } catch (const Error& e) {
    fail(e.what());
  }
}

std::uint64_t Decoder::memo_line() {
  const Bytes text = line("memo id");
  std::uint64_t id = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || id > kMaxMemoId)
      fail("expected a memo id, got '" + std::string(text.substr(0, 40)) + "'");
    id = id * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return id;
}

void Decoder::rare_step() {
  switch (op_) {
    // Lines of protocol 0
    case Op::int_line: {
      const Bytes text = line("integer");
      refuse();
      if (text == "00" || text == "01") return leaf(text == "01" ? Op::newtrue : Op::newfalse, Kind::boolean);
      return integer_line(text);
    }
    case Op::long_line: {
      Bytes text = line("integer");
      refuse();
      if (!text.empty() && text.back() == 'L') text.remove_suffix(1);
      return integer_line(text);
    }
    case Op::float_line: {
      double value = 0;
      if (!read_float_line(line("float"), value)) fail("expected a float");
      refuse();
      std::uint64_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      return number(Op::binfloat, Kind::real, bits);
    }
    case Op::string: {
      std::string value;
      if (!read_string_line(line("string"), value)) fail("expected a string in quotes");
      refuse();
      const Kind kind = is_wtf8(value) ? Kind::text : Kind::bytes;
      return owned_text(Op::binstring, kind, std::move(value));
    }
    case Op::unicode: {
      std::string value;
      if (!read_unicode_line(line("text"), value)) fail("a broken escape");
      refuse();
      return owned_text(Op::binunicode, Kind::text, std::move(value));
    }
    case Op::put: refuse(); return put(memo_line());
    case Op::get: refuse(); return get(memo_line());
    case Op::list: refuse(); return container(Op::empty_list, Kind::list, Op::appends);
    case Op::dict: refuse(); return container(Op::empty_dict, Kind::dict, Op::setitems);
    case Op::persid: {
      stored(Op::binunicode, Kind::text, utf8(line("persistent id")));
      refuse();
      return made_of(last(1), Op::binpersid, Kind::persistent);
    }
    case Op::inst: {  // (arguments class
      made_of(pop_mark(), Op::tuple, Kind::tuple);
      const Id arguments = pop();
      names();
      refuse();
      push(arguments);
      return made_of(last(2), Op::reduce, Kind::reduce);
    }
    case Op::obj: {  // (class arguments
      const std::size_t cls = pop_mark();
      if (cls == stack_.size()) fail("needs a class, the stack is empty");
      made_of(cls + 1, Op::tuple, Kind::tuple);
      refuse();
      return made_of(cls, Op::reduce, Kind::reduce);
    }

    // Numbers that a registry in the reading program knows, bytes that came by another way
    case Op::ext1: refuse(); return number(Kind::extension, in_.le<std::uint8_t>("code"));
    case Op::ext2: refuse(); return number(Kind::extension, in_.le<std::uint16_t>("code"));
    case Op::ext4: refuse(); return number(Kind::extension, in_.le<std::uint32_t>("code"));
    case Op::next_buffer: refuse(); return leaf(op_, Kind::buffer);
    case Op::readonly_buffer:
      refuse();
      top();
      return;

    // How CPython takes back what it wrote of a tuple when it meets the tuple in itself
    case Op::pop:
      refuse();
      if (!marks_.empty() && marks_.back() == stack_.size()) marks_.pop_back();
      else pop();
      return;
    case Op::pop_mark:
      refuse();
      stack_.resize(pop_mark());
      return;
    case Op::dup: refuse(); return push(top());

    default: {
      constexpr char digits[] = "0123456789abcdef";
      const unsigned byte = static_cast<unsigned char>(op_);
      fail(std::string("0x") + digits[byte >> 4] + digits[byte & 15] + " is no opcode");
    }
  }
}

}  // namespace ckptree::pickle
