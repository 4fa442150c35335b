"""Pickles of many objects, by the C pickler of this Python, and what it loads after our edits.

Run as `python3 test_pickle.py EDIT_PICKLE [unittest options]`.
"""

import collections
import datetime
import decimal
import enum
import fractions
import io
import math
import os
import pathlib
import pickle
import pickletools
import random
import struct
import subprocess
import sys
import unittest
import uuid

program = os.path.abspath(sys.argv.pop(1))
SEED = int(os.environ.get("CKPTREE_SEED", "20240607"))
TRIES = int(os.environ.get("CKPTREE_TRIES", "300"))
# What torch's weights_only unpickler takes of protocol 2.
SAFE = set("""PROTO GLOBAL EMPTY_DICT EMPTY_LIST EMPTY_TUPLE MARK TUPLE TUPLE1 TUPLE2 TUPLE3 REDUCE NEWOBJ BUILD SETITEM
SETITEMS APPEND APPENDS BINUNICODE BINPUT LONG_BINPUT BINGET LONG_BINGET BININT BININT1 BININT2 LONG1 BINFLOAT BINPERSID
NEWTRUE NEWFALSE NONE STOP""".split())


class Plain:
    def __init__(self, **values):
        self.__dict__.update(values)

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = object.__hash__

    class Inner:
        pass


class Slots:
    __slots__ = ("a", "b")


class Callback:
    """Reduces to a call, with all that a reduce may have."""

    def __init__(self, *arguments):
        self.arguments, self.items, self.entries = arguments, [], {}

    def __reduce__(self):
        return Callback, self.arguments, {"note": "state"}, iter(self.items), iter(self.entries.items())

    def append(self, item):
        self.items.append(item)

    def extend(self, items):
        self.items.extend(items)

    def __setitem__(self, key, value):
        self.entries[key] = value


class Keywords:
    def __new__(cls, *, x):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"x": 1}


class Items(list):
    pass


class Mapping(dict):
    pass


class Colour(enum.Enum):
    red = 1


Point = collections.namedtuple("Point", "x y")


class Program:
    """The C++ side: one process, any number of pickles."""

    def __init__(self):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, data, *commands):
        text = "\n".join("\t".join(command) for command in commands).encode("utf-8", "surrogatepass")
        for part in (data, text):
            self.process.stdin.write(struct.pack("<I", len(part)) + part)
        self.process.stdin.flush()
        status, size = struct.unpack("<cI", self.process.stdout.read(5))
        answer = self.process.stdout.read(size)
        return (answer, None) if status == b"k" else (None, answer.decode())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()


class Maker:
    """Objects at random, some of them in several places."""

    def __init__(self, seed, slots=True):
        self.random, self.slots = random.Random(seed), slots
        self.seen = []

    def text(self):
        kind = self.random.randrange(12)
        if kind == 0:
            return self.random.choice(["é", "中文", "\U0001f600", "\ud800", "a\nb", "\\", "", "x\0y", "'\""])
        if kind == 1:
            return "long " * self.random.choice([60, 14000])
        return "key%d" % self.random.randrange(40)

    def number(self):
        return self.random.choice([0, 1, 255, 256, 65535, 65536, -1, -128, -129, 2**31 - 1, 2**31, -2**31, -2**31 - 1,
                                   2**63, 2**64, -2**63, -2**64, 1 << self.random.randrange(3000),
                                   -(1 << self.random.randrange(2100)), self.random.randrange(-10**6, 10**6)])

    def atom(self):
        make = self.random.choice([
            self.text, self.text, self.number, lambda: None, lambda: True, lambda: False, self.random.random,
            lambda: self.random.choice([math.inf, -math.inf, 0.0, -0.0, 1e300]), lambda: self.text().encode("utf-8", "surrogatepass"),
            lambda: bytearray(b"bytes"), lambda: b"", lambda: Plain, lambda: Plain.Inner, lambda: len, lambda: Colour.red,
            lambda: complex(1, -2), lambda: range(3), lambda: datetime.datetime(2024, 6, 7, 1, 2, 3),
            lambda: decimal.Decimal("1.50"), lambda: fractions.Fraction(1, 3), lambda: uuid.UUID(int=7),
            lambda: pathlib.PurePosixPath("/a/b"), lambda: collections.OrderedDict, lambda: slice(1, 2)])
        return make()

    def many(self):
        return self.random.choice([0, 1, 1, 2, 3, 4, 5, 8] + [1100] * (self.random.random() < 0.05))

    def one(self, depth):
        if self.seen and self.random.random() < 0.2:
            return self.random.choice(self.seen)
        if depth == 0 or self.random.random() < 0.3:
            made = self.atom()
        else:
            made = getattr(self, "a_" + self.random.choice(
                "list tuple dict ordered set frozenset plain slots callback keywords items mapping point deque "
                "counter default loop".split()))(depth - 1)
        self.seen.append(made)
        return made

    def items(self, depth):
        n = self.many()
        return [self.atom() for _ in range(n)] if n > 100 else [self.one(depth) for _ in range(n)]

    def entries(self, depth):
        return {("k%d" % i if i % 3 else i): value for i, value in enumerate(self.items(depth))}

    def hashables(self):
        return [self.random.choice([self.text(), self.number(), None, (1, "t")]) for _ in range(self.many())]

    def a_list(self, depth): return self.items(depth)
    def a_tuple(self, depth): return tuple(self.items(depth))
    def a_dict(self, depth): return self.entries(depth)
    def a_ordered(self, depth): return collections.OrderedDict(self.entries(depth))
    def a_set(self, depth): return set(self.hashables())
    def a_frozenset(self, depth): return frozenset(self.hashables())
    def a_plain(self, depth): return Plain(a=self.one(depth), b=self.one(depth))
    def a_keywords(self, depth): return Keywords(x=1)
    def a_items(self, depth): return Items(self.items(depth))
    def a_mapping(self, depth): return Mapping(self.entries(depth))
    def a_point(self, depth): return Point(self.one(depth), self.one(depth))
    def a_deque(self, depth): return collections.deque(self.items(depth), 5000)
    def a_counter(self, depth): return collections.Counter(self.hashables())
    def a_default(self, depth): return collections.defaultdict(list, self.entries(depth))

    def a_slots(self, depth):  # which protocols 0 and 1 cannot pickle
        if not self.slots:
            return self.a_plain(depth)
        made = Slots()
        made.a = self.one(depth)
        return made

    def a_callback(self, depth):
        made = Callback(self.one(depth))
        made.items, made.entries = self.items(depth), self.entries(depth)
        return made

    def a_loop(self, depth):
        made = self.random.choice([[], {}, Plain()])
        if isinstance(made, list):
            made.extend([1, made, self.one(depth)])
        elif isinstance(made, dict):
            made.update(me=made, other=self.one(depth), again=[made])
        else:
            made.me = made
        return made


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = Program()

    @classmethod
    def tearDownClass(cls):
        assert cls.program.close() == 0

    def same(self, data, note):
        again, why = self.program(data)
        self.assertIsNone(why, note)
        self.assertEqual(again, data, note)


class RoundTrip(Case):
    def test_random_objects_come_back_byte_for_byte(self):
        for i in range(TRIES):
            made = Maker(SEED + i).one(4)
            for protocol in (2, 3, 4, 5):
                self.same(pickle.dumps(made, protocol), "CKPTREE_SEED=%d object %d protocol %d" % (SEED, i, protocol))

    def test_what_goes_to_a_file_in_pieces_comes_back_byte_for_byte(self):
        made = [["item %d" % i for i in range(30000)], b"x" * 200000, "y" * 70000, bytearray(65536), b"z" * 65535]
        for protocol in (2, 3, 4, 5):
            with self.subTest(protocol=protocol):
                out = io.BytesIO()
                pickle.Pickler(out, protocol).dump(made)
                self.same(out.getvalue(), protocol)
                self.same(pickle.dumps(made, protocol), protocol)

    def test_the_memo_grows_past_one_byte_and_past_64_thousand(self):
        for protocol in (2, 4):
            words = ["word %d" % i for i in range(70000)]
            self.same(pickle.dumps([words, words[::-1], dict.fromkeys(words)], protocol), protocol)

    def test_very_deep_objects_come_back(self):
        deep = b"\x80\x02" + b"]" * 100000 + b"a" * 99999 + b"."
        self.same(deep, "deep")
        self.same(b"\x80\x02)" + b"\x85" * 100000 + b".", "deep")

    def test_persistent_ids_come_back(self):
        class Pickler(pickle.Pickler):
            def persistent_id(self, obj):
                return ("storage", len, "0", "cpu", 12) if isinstance(obj, Plain) else None

        for protocol in (2, 3, 4, 5):
            out = io.BytesIO()
            Pickler(out, protocol).dump([Plain(), {"a": Plain()}])
            self.same(out.getvalue(), protocol)

    def test_a_memo_without_gaps_may_leave_objects_out(self):
        made = [1, ["a", "b"], {"a": ("a", "c")}]
        for protocol in (2, 3):
            self.same(pickletools.optimize(pickle.dumps(made, protocol)), protocol)

    def test_padding_behind_the_pickle_is_no_obstacle(self):
        data = pickle.dumps({"a": 1}, 2)
        self.assertEqual(self.program(data + bytes(100)), (data, None))
        self.assertIn("bytes behind the STOP that are not zero", self.program(data + b"\0\0.")[1])

    def test_protocol_0_is_shown_only(self):
        for i in range(TRIES):
            data = pickle.dumps(Maker(SEED + i, slots=False).one(3), 0)
            again, why = self.program(data)
            if again is None:
                self.assertRegex(why, "(PUT|GET|INT|LONG|FLOAT|UNICODE|DICT|LIST) is read, but not written", i)
            else:
                self.assertEqual(again, data)

    def test_protocol_1_comes_back_or_is_shown_only(self):
        for i in range(TRIES):
            data = pickle.dumps(Maker(SEED + i, slots=False).one(3), 1)
            again, why = self.program(data)
            if again is None:
                self.assertRegex(why, "(INT|LONG) is read, but not written|PERSID|POP", i)
            else:
                self.assertEqual(again, data)

    def test_a_tuple_in_itself_is_shown_only(self):
        for size in (1, 4):
            inner = []
            outer = (inner,) * size
            inner.append(outer)
            for protocol in (2, 4):
                self.assertRegex(self.program(pickle.dumps(outer, protocol))[1], "(POP|POP_MARK) is read, but not written")

    def test_other_memo_ids_are_shown_only(self):
        self.assertIn("not written as Python's pickle writes it", self.program(b"\x80\x02]q\x05.")[1])


if __name__ == "__main__":
    unittest.main()
