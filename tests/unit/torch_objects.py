"""Writes torch_objects.hpp: the data.pkl of small checkpoints. Needs torch, NumPy, OmegaConf.

python3 torch_objects.py >torch_objects.hpp
"""

import argparse
import collections
import io
import textwrap
import zipfile

import numpy as np
import torch
from omegaconf import OmegaConf


class DotDict(dict):
    pass


class Row(collections.namedtuple("Row", "a b")):
    pass


class Thing:
    class Inner:
        pass

    def __init__(self):
        self.number, self.list = 1, [1, {"x": 2}]


class WithSlots:
    __slots__ = ("p", "q")

    def __init__(self):
        self.p, self.q = 1, "z"


class Module:
    """What is pickled of a torch.nn.Module, without its thirteen dicts of hooks."""

    def __init__(self, parameters, buffers, without, modules):
        self._parameters, self._buffers, self._modules = parameters, buffers, modules
        self._non_persistent_buffers_set = without


def module():
    one = lambda: torch.ones(1)
    leaf = Module({"weight": one(), "bias": None}, {"kept": one(), "lost": one()}, {"lost"}, {})
    return Module({"scale": one()}, {}, set(), {"a": leaf, "b": Module({}, {}, set(), {"again": leaf})})


def lightning():
    weight, part = torch.ones(2, 3), {"a": 1}
    states = collections.OrderedDict([("enc.weight", weight), ("enc.bias", torch.zeros(2)), ("dec.weight", weight)])
    states._metadata = collections.OrderedDict([("", {"version": 1}), ("enc", {"version": 1})])
    groups = [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0, 1]}, {"lr": 0.2, "params": [2]}]
    state = {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(2, 3)}}
    return {
        "epoch": 3, "lr": 0.001, "state_dict": states, "optimizer_states": [{"state": state, "param_groups": groups}],
        "one": part, "two": [part], "weight": weight,
    }  # fmt: skip


def values():
    return {
        "int": 12, "float": 0.5, "text": "a b", "none": None, "flag": True, "big": 10**30, "nan": float("nan"),
        "list": [1, 2.5, "a", None], "empty": [], "tuple": (0.9, 0.999), "ints": [7, 11, 7], "set": {1},
        "frozen": frozenset(["a"]), "complex": 1 + 2j, "bytes": b"a\xff", "np": np.float32(0.1),
        "keys": {0: "zero", "0": "text", None: 1, (1, "a"): 2, "a/b": 3, "x.npy": 4}, "items": [1, [2, 3], {"q": 4}],
        "fixed": (1, [2, {}]), "dict": {"a": 1, "b": 2, "c": 3},
    }  # fmt: skip


def objects():
    return {
        "thing": Thing(), "ns": argparse.Namespace(lr=0.1), "dot": DotDict(x=1), "counter": collections.Counter("aab"),
        "default": collections.defaultdict(int, {"a": 1}), "size": torch.Size([1, 2]), "device": torch.device("cpu"),
        "dtype": torch.float32, "inner": Thing.Inner, "storage": torch.ones(6).untyped_storage(),
        "slots": WithSlots(), "row": Row(1, [{}]), "deque": collections.deque([1, {}]),
    }  # fmt: skip


def arrays():
    return {
        "f": np.asfortranarray(np.arange(6, dtype="<i2").reshape(2, 3)), "big": np.array([1.5], ">f4"),
        "dates": np.array(["2020-01-01"], "M8[D]"), "objects": np.array([{"a": 1}], dtype=object), "x": 1,
    }  # fmt: skip


def omega():
    return {"config": OmegaConf.create({"lr": 0.1, "l": [1, 2], "d": {"e": None}, "m": [{"a": 1}]})}


def protocol4():
    return {"set": {1}, "frozen": frozenset([1]), "bytes": b"a\xff", "text": "x"}


print(
    """#pragma once

#include <string>

/// data.pkl of small checkpoints as the real torch.save wrote them, by torch_objects.py.
namespace ckptree_test {

inline std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}
"""
)
for make in (lightning, values, objects, arrays, omega, module, protocol4):
    buffer = io.BytesIO()
    torch.save(make(), buffer, pickle_protocol=4 if make is protocol4 else 2)
    data = zipfile.ZipFile(buffer).read("archive/data.pkl").hex()
    lines = [f'    "{line}"' for line in textwrap.wrap(data, 112)]
    print(f"inline const std::string k{make.__name__.capitalize()}Pickle = from_hex(\n" + "\n".join(lines) + ");\n")
print("}  // namespace ckptree_test")
