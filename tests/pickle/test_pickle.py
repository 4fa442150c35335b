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

    KINDS = ("list tuple dict ordered set frozenset plain slots callback keywords items mapping point deque counter "
             "default loop").split()

    def __init__(self, seed, only=KINDS):
        self.random, self.kinds = random.Random(seed), only
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
            lambda: self.random.choice([math.inf, -math.inf, 0.0, -0.0, 1e300]),
            lambda: self.text().encode("utf-8", "surrogatepass"), lambda: bytearray(b"bytes"), lambda: b"",
            lambda: Plain, lambda: Plain.Inner, lambda: len, lambda: Colour.red,
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
            made = getattr(self, "a_" + self.random.choice(self.kinds))(depth - 1)
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

    def a_slots(self, depth):
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


OLD_KINDS = [kind for kind in Maker.KINDS if kind not in ("slots", "keywords")]  # that protocols 0 and 1 can pickle


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
            data = pickle.dumps(Maker(SEED + i, only=OLD_KINDS).one(3), 0)
            again, why = self.program(data)
            if again is None:
                self.assertRegex(why, "(PUT|GET|INT|LONG|FLOAT|UNICODE|DICT|LIST) is read, but not written", i)
            else:
                self.assertEqual(again, data)

    def test_protocol_1_comes_back_or_is_shown_only(self):
        for i in range(TRIES):
            data = pickle.dumps(Maker(SEED + i, only=OLD_KINDS).one(3), 1)
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
                why = self.program(pickle.dumps(outer, protocol))[1]
                self.assertRegex(why, "(POP|POP_MARK) is read, but not written")

    def test_other_memo_ids_are_shown_only(self):
        self.assertIn("not written as Python's pickle writes it", self.program(b"\x80\x02]q\x05.")[1])


def slots_of(made, path=()):
    """Every (path, container, key) that a command can name; each container once."""
    seen, found, todo = set(), [], [((), made)]
    while todo:
        path, node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        inside = []
        if isinstance(node, dict):
            inside = [(key, value) for key, value in node.items() if isinstance(key, str) and key]
        elif type(node) in (list, Items, collections.deque):
            inside = list(enumerate(node))[:50]
        for key, value in inside:
            step = path + ("#%d" % key if isinstance(key, int) else key,)
            found.append(("/".join(step), node, key))
            todo.append((step, value))
    return found


class Edits(Case):
    """The same edit by us and by Python."""

    def edited(self, made, *commands, protocol=2):
        data = pickle.dumps(made, protocol)
        again, why = self.program(data, *commands)
        self.assertIsNone(why, commands)
        if protocol == 2:
            self.assertLessEqual(ops_of(again) - ops_of(data), SAFE)
        return pickle.loads(again)

    def test_random_edits_give_what_python_gives(self):
        n_edits = 0
        for i in range(TRIES):
            for protocol in (2, 3, 4, 5):
                maker = Maker(SEED + i, only="list dict ordered plain items mapping deque point default".split())
                made = {"a": maker.one(4), "b": maker.one(4), "c": maker.one(3)}
                data = pickle.dumps(made, protocol)
                expected, commands = pickle.loads(data), []
                for _ in range(8):
                    commands += self.random_edit(maker.random, expected)
                again, why = self.program(data, *commands)
                note = "CKPTREE_SEED=%d object %d protocol %d: %s" % (SEED, i, protocol, commands)
                self.assertIsNone(why, note)
                # Of what is equal and shared in the same places, Python writes the same pickle.
                expected = pickle.loads(pickle.dumps(expected, 2))
                self.assertEqual(pickle.dumps(pickle.loads(again), 2), pickle.dumps(expected, 2), note)
                n_edits += len(commands)
        self.assertGreater(n_edits, TRIES)

    def random_edit(self, random, made):
        """One edit, done to `made`, and the commands for it."""
        found = slots_of(made)
        if not found:
            return []
        path, node, key = random.choice(found)
        value, text = random.choice([(7, "i7"), (-129, "i-129"), (2**70, "i%d" % 2**70), (0.1, "f0.1"), (True, "b1"),
                                     (None, "n"), ("fresh é", "sfresh é"), ([1, "q", None], "lq"),
                                     ((1, "q", None, ()), "tq"), (Plain(x=-7), "o%s Plain" % Plain.__module__)])
        value = pickle.loads(pickle.dumps(value))  # no part of it shared with other edits
        fresh = "fresh%d" % random.randrange(10**9)
        kind = random.choice(["rename", "erase", "set", "append", "insert"])
        inside = node[key]
        if kind == "rename" and isinstance(node, dict):
            entries = [(fresh if k == key and type(k) is str else k, v) for k, v in node.items()]
            node.clear()
            node.update(entries)
            return [("rename", path, fresh)]
        if kind == "erase":
            del node[key]
            return [("erase", path)]
        if kind == "set":
            node[key] = value
            return [("set", path, text)]
        if kind == "append" and type(inside) in (list, Items, collections.deque):
            inside.append(value)
            return [("append", path, text)]
        if kind == "insert" and isinstance(inside, dict):
            inside[fresh] = value
            return [("insert", path, fresh, text)]
        return []

    def test_a_key_that_others_share_changes_only_there(self):
        key = "shared key"
        for protocol in (2, 4):
            made = {"first": {key: 1}, "second": {key: 2}, "list": [key]}
            self.assertEqual(self.edited(made, ("rename", "first/" + key, "new"), protocol=protocol),
                             {"first": {"new": 1}, "second": {key: 2}, "list": [key]})
            self.assertEqual(self.edited(made, ("rename", "second/" + key, "new"), protocol=protocol),
                             {"first": {key: 1}, "second": {"new": 2}, "list": [key]})

    def test_what_an_erased_entry_defined_is_defined_where_it_is_used_next(self):
        for protocol in (2, 4):
            shared = ["shared"]
            made = {"first": [shared, Plain, 2**100], "second": [shared], "third": (shared, Plain())}
            again = self.edited(made, ("erase", "first"), protocol=protocol)
            self.assertEqual(again, {"second": [shared], "third": (shared, Plain())})
            self.assertIs(again["second"][0], again["third"][0])

    def test_an_entry_comes_before_the_state_of_its_dict(self):
        made = collections.OrderedDict(a=1)
        made.note = "state"
        data, why = self.program(pickle.dumps(made, 2), ("insert", "", "b", "i2"), ("insert", "", "c", "i3"))
        self.assertIsNone(why)
        names = [op.name for op, _, _ in pickletools.genops(data)]
        self.assertEqual(names[-2:], ["BUILD", "STOP"])
        again = pickle.loads(data)
        self.assertEqual((list(again.items()), again.note), ([("a", 1), ("b", 2), ("c", 3)], "state"))

    def test_all_entries_can_go(self):
        made = {"d": dict.fromkeys(["k%d" % i for i in range(2000)]), "l": list(range(1001))}
        commands = [("erase", "d/k%d" % i) for i in range(2000)] + [("erase", "l/#0")] * 1001
        for protocol in (2, 4):
            self.assertEqual(self.edited(made, *commands, protocol=protocol), {"d": {}, "l": []})

    def test_a_class_gets_another_name_wherever_it_is_used(self):
        made = [Plain(a=1), Plain, Plain(b=2)]
        for protocol in (2, 4):
            again = self.edited(made, ("global", __name__, "Plain", __name__, "Renamed"), protocol=protocol)
            self.assertEqual([type(again[0]), again[1], again[2].b], [Renamed, Renamed, 2])
        again = self.edited(made, ("global", __name__, "Plain", __name__, "Plain.Inner"), protocol=4)
        self.assertEqual([type(again[0]), again[1], again[2].b], [Plain.Inner, Plain.Inner, 2])

    def test_an_argument_of_a_call_and_an_item_of_a_tuple_are_set(self):
        made = [range(3), (1, 2, 3, 4), frozenset([1])]
        for protocol in (2, 4):
            again = self.edited(made, ("set", "#0/.1/.1", "i9"), ("set", "#1/.3", "sx"), protocol=protocol)
            self.assertEqual(again, [range(0, 9), (1, 2, 3, "x"), {1}])

    def test_a_name_of_python_2_is_found_by_the_one_of_python_3(self):
        made = [range(3), {1}]
        data = pickle.dumps(made, 2)
        self.assertIn(b"__builtin__\nxrange", data)
        self.assertEqual(self.edited(made, ("global", "builtins", "range", "builtins", "slice")), [slice(0, 3, 1), {1}])

    def test_the_state_of_an_object_is_set(self):
        again = self.edited([Plain(), Plain(y=2)], ("state", "#0", "dz"), ("state", "#1", "dz"), ("set", "#1/@/z", "n"))
        self.assertEqual([a.__dict__ for a in again], [{"a": 1, "z": [], None: []}, {"a": 1, "z": None, None: []}])

    def test_integers_are_written_in_the_shortest_way(self):
        for bits in list(range(0, 70)) + [2039]:
            for number in (2**bits - 1, 2**bits, 2**bits + 1, -2**bits, -2**bits - 1, 1 - 2**bits):
                if -2**2039 <= number < 2**2039:
                    data, why = self.program(pickle.dumps([None], 2), ("set", "#0", "i%d" % number))
                    self.assertEqual((data, why), (pickle.dumps([number], 2), None))
        data, why = self.program(pickle.dumps([None], 2), ("set", "#0", "i%d" % 2**2039))
        self.assertEqual(why, "an integer of 256 bytes, at most 255 are written")


class Renamed(Plain):
    pass


def ops_of(data):
    return {op.name for op, _, _ in pickletools.genops(data)}


if __name__ == "__main__":
    unittest.main()
