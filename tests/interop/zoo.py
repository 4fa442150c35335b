"""Python objects of every kind that checkpoints hold, for comparing object/ with what torch.load gives."""

import argparse
import collections
import datetime
import enum
import pathlib
import types

import numpy as np
import torch

from checkpoints import Net, lightning


class DotDict(dict):
    """As anemoi.utils.config has it: a dict whose keys are attributes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for key, value in self.items():
            if isinstance(value, dict):
                self[key] = DotDict(value)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Thing:
    class Inner:
        pass

    def __init__(self):
        self.number, self.list, self.nothing = 1, [1, {"x": 2}], None
        self.inner = Thing.Inner()


class WithSlots:
    __slots__ = ("p", "q")

    def __init__(self):
        self.p, self.q = 1, "z"


class WithState:
    def __getstate__(self):
        return ["no", "dict"]

    def __setstate__(self, state):
        self.state = state


class Attributes(dict):
    """A dict that has an attribute besides."""


class Colour(enum.Enum):
    RED = 1


class Row(collections.namedtuple("Row", "a b")):
    pass


def scalars():
    return {
        "epoch": 12, "zero": 0, "byte": 255, "word": 256, "long": 65536, "negative": -5, "int32": -(2**31),
        "large": 10**30, "larger": -(2**2000), "flag": True, "none": None,
        "lr": 1e-3, "whole": 100000.0, "1e16": 1e16, "1e15": 1e15, "small": 1e-5, "1e-4": 1e-4, "tiny": 5e-324,
        "huge": 1.7976931348623157e308, "minus zero": -0.0, "nan": float("nan"), "inf": float("inf"), "third": 1 / 3,
        "text": "modèle\nx\ty", "empty text": "", "text of text": "x" * 70000, "surrogate": "\ud800",
        "looks like": "12", "complex": 1.5 - 2j, "imaginary": 2j,
        "f8": np.float64(0.1), "f4": np.float32(0.1), "f2": np.float16(0.1), "i8": np.int64(-7), "u1": np.uint8(200),
        "b": np.bool_(True), "U": np.str_("hé"), "c8": np.complex64(1 + 2j), "big": np.array(2.5, ">f4")[()],
        "f4 nan": np.float32("nan"), "i2": np.int16(-2),
        "bytes": b"ab\xff\x00\n", "no bytes": b"", "bytearray": bytearray(b"zz\xe9"), "no bytearray": bytearray(),
        "class": collections.OrderedDict, "function": np.linalg.norm, "inner class": Thing.Inner,
        "dtype": torch.bfloat16, "type": np.float32, "builtin": range,
    }  # fmt: skip


def containers():
    return {
        "list": [1, 2.5, "a", None, True], "empty": [], "tuple": (0.9, 0.999), "no tuple": (), "set": {1, 2, 3},
        "frozenset": frozenset(["a"]), "no set": set(), "of numpy": [np.float64(0.5), np.int32(3)],
        "size": torch.Size([1, 2]), "nested": [1, [2, 3], {"q": (1, (2, 3))}], "long": list(range(3000)),
        "thousand": {str(i): i for i in range(1000)}, "dicts": [{} for _ in range(12)],
        "tuples": {(1, (5, 6)), (4, (7, 8))},
        "keys": {
            0: "zero", None: "n", True: "t", (1, 2): "tt", ("a'b",): "quoted", 1.5: "f", "0": "text zero", "None": "N",
            "a/b": "slash", "": "empty", ".hid": "dot", "@class": "at", "x.npy": "array?", b"ab\xff": "b", "50%": "percent",
            torch.float32: "dtype", "x" * 300: "too long", "nan": "text", float("inf"): "inf", (): "()", -3: "negative",
            "-3": "text", "1e5": "text", "(1, 2)": "text", "sed123456": "scratch", "a~": "scratch", "é": "accent",
        },
        "ordered": collections.OrderedDict([("a", 1), ("b", {"c": 2})]), "no ordered": collections.OrderedDict(),
        "defaultdict": collections.defaultdict(int, {"a": 1}), "counter": collections.Counter("aab"),
        "dot": DotDict(x=1, y={"z": "q"}), "no dot": DotDict(),
        "namespace": argparse.Namespace(lr=0.1, sub=argparse.Namespace(k=2)),
        "simple": types.SimpleNamespace(v=1, w="x"),
    }  # fmt: skip


def arrays():
    return {
        "f8": np.arange(6.0).reshape(2, 3), "fortran": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        "dates": np.array(["2020-01-01", "2021-02-03"], dtype="M8[D]"), "spans": np.arange(3, dtype="m8[25s]"),
        "text": np.array(["ab", "cdef"]), "bytes": np.array([b"ab", b"c"]), "bool": np.array([True, False]),
        "rank 0": np.array(3.5), "empty": np.empty((0, 3), "f4"), "f2": np.arange(3, dtype="f2"), "void": np.zeros(2, "V3"),
        "c16": np.arange(2) + 1j, "every byte": np.arange(256, dtype="u1"), "large": np.arange(100_000.0),
        "objects": np.array([{"a": 1}, None], dtype=object),
    }  # fmt: skip


def objects():
    attributes = Attributes(a=1, b=[{}])
    attributes.extra = "x"
    return {
        "thing": Thing(), "slots": WithSlots(), "state": WithState(), "attributes": attributes, "colour": Colour.RED,
        "row": Row(1, [2, {}]), "path": pathlib.PurePosixPath("/a/b"), "date": datetime.datetime(2020, 1, 2, 3, 4, 5),
        "deque": collections.deque([1, 2, {"a": 3}], maxlen=5), "device": torch.device("cpu"), "range": range(1, 9, 2),
        "slice": slice(1, 2), "net": Net(), "exception": ValueError("no"),
        "dtype": np.dtype("f4"), "fields": np.zeros(2, [("a", "f4"), ("b", "i8")]), "generator": np.random.default_rng(0),
    }  # fmt: skip


def shared():
    part = {"k": 1, "list": [{}]}
    loop = {"name": "loop"}
    loop["self"] = loop
    deep = [loop]
    loop["deep"] = deep
    items = [1, [2]]
    items.append(items)
    scalars_only = [1, 2]
    return {"one": part, "two": part, "three": [part], "loop": loop, "items": items, "a": scalars_only, "b": scalars_only}


def tensors():
    weight = torch.randn(3, 4)
    return {
        "weight": weight, "again": weight, "list": [weight, torch.ones(2)], "in": {"a.b": weight.t(), 0: weight[1]},
        "parameter": torch.nn.Parameter(torch.zeros(3)), "sparse": torch.eye(3).to_sparse(),
        "storage": torch.ones(3).untyped_storage(), "quantised": torch.quantize_per_tensor(weight, 0.1, 3, torch.qint8),
    }  # fmt: skip


def deep():
    value = inner = {}
    for _ in range(300):
        inner["d"] = {}
        inner = inner["d"]
    return value


ZOO = {
    "scalars": scalars, "containers": containers, "arrays": arrays, "objects": objects, "shared": shared,
    "tensors": tensors, "deep": deep, "lightning": lightning, "module": Net, "one scalar": lambda: 5,
    "one list": lambda: [1, 2], "tensor": lambda: torch.ones(3), "some tensors": lambda: [torch.ones(2), torch.zeros(1)],
}  # fmt: skip
