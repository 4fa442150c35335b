"""Compares a directory object/ with the object that torch.load gives: every value, every name, nothing else."""

import argparse
import collections
import copyreg
import json
import math
import os
import re
import types

import numpy as np
import torch

FLAT = (type(None), bool, int, float, str, np.bool_, np.number, np.str_)
SCRATCH = re.compile(r"\..*|.*~|.*\.sw.|sed.{6}|#.*#", re.S)
LITERAL = re.compile(r"None|True|False|-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|\(.*\)|<.*>|b'.*'|@class|@args|@state", re.S)


def is_flat(value):
    """Whether it is a list, tuple or set that is one file."""
    sequence = isinstance(value, (list, set, frozenset)) or type(value) in (tuple, torch.Size)
    return sequence and all(isinstance(x, FLAT) and not isinstance(x, complex) for x in value)


def escape(char):
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def literal(key):
    if isinstance(key, tuple):
        return "(" + ", ".join(map(literal, key)) + (",)" if len(key) == 1 else ")")
    if isinstance(key, float) and not math.isfinite(key):
        return f"<{key}>"
    return f"<{key}>" if isinstance(key, torch.dtype) else repr(key)


def name_of(key, value):
    """The name of an entry; of a name that has to be cut its beginning."""
    text = key if isinstance(key, str) else literal(key)
    name = "".join(escape(c) if c in "/%" or c < " " or c == "\x7f" or "\ud800" <= c < "\ue000" else c for c in text) or "%"
    if SCRATCH.fullmatch(name) or (isinstance(key, str) and LITERAL.fullmatch(text)):
        name = escape(name[0]) + name[1:]
    if isinstance(value, np.ndarray) and is_plain(value.dtype):
        return name + ".npy"
    return name[:-4] + "%2Enpy" if name.endswith(".npy") else name


def is_plain(dtype):
    return dtype.names is None and not dtype.hasobject


def python_name(value):
    if isinstance(value, torch.dtype):
        return str(value)
    return f"{value.__module__}.{value.__qualname__}"


class Comparison:
    """Counts what agreed; what does not is in `wrong`, one sentence each."""

    def __init__(self, top, value):
        self.counts, self.wrong = collections.Counter(), []
        self.homes, self.links, self.keep = {}, [], [value]
        self.open = [(str(top), value, True)]
        while self.open:
            self.compare(*self.open.pop())
        for path, target, value in self.links:
            if self.homes.get(id(value)) != target:
                self.wrong.append(f"{path}: leads to {target}, not to {self.homes.get(id(value))}")

    def compare(self, path, value, lasting):
        """`lasting`: it is the same object that stands in other places."""
        if isinstance(value, torch.Tensor):
            target = os.readlink(path)
            up = "../" * (path.count("/object/") and path.split("/object/", 1)[1].count("/") + 1)
            return self.check("tensors", path, target.startswith(up + "tensors/"), target)
        if os.path.islink(path):
            target = os.path.realpath(path)
            self.counts["links"] += 1
            self.links.append((path, target, value))
            return self.check("links", path, lasting and os.path.isdir(target), target)
        if os.path.isdir(path):
            if lasting:
                self.check("directories", path, id(value) not in self.homes, "shown twice")
                self.homes[id(value)] = path
            return self.compare_directory(path, value)
        with open(path, "rb") as f:
            data = f.read()
        if len(data) != os.stat(path).st_size:
            self.wrong.append(f"{path}: st_size is {os.stat(path).st_size}, it has {len(data)} bytes")
        if isinstance(value, np.ndarray):
            return self.compare_array(path, value)
        if isinstance(value, (bytes, bytearray)):
            return self.check("bytes", path, data == bytes(value), data)
        text = data.decode("utf-8")
        if is_flat(value):
            same = [self.same_scalar(json.dumps(a), b) for a, b in zip(json.loads(text), value)]
            return self.check("lists", path, len(same) == len(value) == len(json.loads(text)) and all(same), text)
        if isinstance(value, (torch.storage.UntypedStorage, torch.storage.TypedStorage)):
            return self.check("storages", path, text.startswith("('storage', <torch."), text)
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType, torch.dtype)) or not isinstance(
            value, (*FLAT, complex)
        ):
            return self.check("references", path, text == python_name(value) + "\n", text)
        if not isinstance(value, str) or any("\ud800" <= c < "\ue000" for c in value):
            return self.check("scalars", path, text.endswith("\n") and self.same_scalar(text, value), text)
        self.check("scalars", path, text == value + "\n", text)

    def compare_array(self, path, value):
        array = np.load(path, mmap_mode="r") if value.size else np.load(path)
        # NumPy makes the byte order native when it loads a pickle, of protocols below 5.
        shown, loaded = (a.astype(a.dtype.newbyteorder("=")) for a in (array, value))
        same = shown.dtype == loaded.dtype and shown.shape == loaded.shape and shown.tobytes() == loaded.tobytes()
        same = same and np.isfortran(array) == np.isfortran(value)
        self.check("arrays", path, same, array)

    def same_scalar(self, text, value):
        if isinstance(value, np.str_):
            return value == text.rstrip("\n").strip('"') or value == json.loads(text)
        if isinstance(value, (complex, np.complexfloating)):
            return type(value)(complex(text)) == value
        shown = json.loads(text)
        if isinstance(value, np.floating):
            return math.isnan(shown) if np.isnan(value) else type(value)(shown) == value
        if isinstance(value, np.generic):
            return shown == value.item()
        if type(shown) is not type(value):
            return False
        return shown == value and repr(shown) == repr(value) or shown != shown and value != value

    def compare_directory(self, path, value):
        expected = {}

        def entry(key, part, lasting=True, derived=False):
            self.keep.append(part)
            expected[key if derived else name_of(key, part)] = (part, lasting)

        texts = {}
        if isinstance(value, (argparse.Namespace, types.SimpleNamespace)):
            value = vars(value)
        if isinstance(value, (list, set, frozenset)) or type(value) is tuple:
            if not isinstance(value, (set, frozenset)):
                for i, part in enumerate(value):
                    entry(i, part)
            else:
                self.check("directories", path, sorted(map(int, os.listdir(path))) == list(range(len(value))), "items")
                return
        elif type(value) in (dict, collections.OrderedDict, collections.defaultdict, collections.Counter):
            for key, part in value.items():
                entry(key, part)
            if hasattr(value, "_metadata"):
                entry("_metadata", value._metadata)
        else:
            self.expect_object(value, entry, texts)
        found = sorted(os.listdir(path))
        names = sorted([*expected, *texts])
        long = [name for name in names if len(name.encode()) > 255]
        cut = [name for name in found if name not in names]
        if len(long) == len(cut) == 1 and long[0].startswith(cut[0][:200]):
            expected[cut[0]] = expected.pop(long[0])
            names = sorted([*expected, *texts])
        if not self.check("directories", path, found == names, f"{found}, expected {names}"):
            return
        for name, text in texts.items():
            with open(f"{path}/{name}") as f:
                self.check("derived", f"{path}/{name}", f.read() == text + "\n", text)
        for name, (part, lasting) in expected.items():
            self.open.append((f"{path}/{name}", part, lasting))

    def expect_object(self, value, entry, texts):
        """What pickle.Pickler would write of it."""
        function, args, state, items, entries = (*value.__reduce_ex__(2), None, None, None)[:5]
        plain = False
        if function is copyreg.__newobj__:
            function, args = args[0], args[1:]
            plain = isinstance(value, dict) and len(value) > 0 and not args and not state
        plain = plain or function.__name__ == "DotDict"
        if not plain:
            texts["@class"] = python_name(function)
            if args:
                entry("@args", args, lasting=False, derived=True)
        for i, part in enumerate(items or ()):
            entry(i, part)
        for key, part in entries or ():
            entry(key, part)
        if isinstance(state, dict):
            for key, part in state.items():
                entry(key, part)
        elif isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
            for part in state:
                for key, attribute in (part or {}).items():
                    entry(key, attribute)
        elif state is not None:
            entry("@state", state, lasting=False, derived=True)

    def check(self, what, path, good, shown):
        if good:
            self.counts[what] += 1
        else:
            self.wrong.append(f"{path}: {str(shown)[:200]}")
        return good
