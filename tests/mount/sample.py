"""Sample checkpoints without torch and without anemoi-utils, byte for byte as those two write them.

`TorchArchive` writes the zip of torch.save (2.7 and later), `save_metadata` appends what anemoi.utils.checkpoints does.
tests/interop compares both with the real libraries. `members` reads the place of every member, for "untouched bytes
are untouched". As a program: sample.py FILE writes the default sample.
"""

import collections
import io
import json
import os
import pickle
import struct
import sys
import types
import zipfile
import zlib

import numpy as np

ALIGNMENT = 64
FLAG_DESCRIPTOR, FLAG_UTF8 = 0x0008, 0x0800
U16_MAX, U32_MAX = 0xFFFF, 0xFFFFFFFF


# The records of a zip, little-endian. Those of torch have version, date and attributes 0.
LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # signature version flags method time date crc packed size name extra
DIRECTORY_RECORD = struct.Struct("<4s6H3I5H2I")  # ... made-by before version; comment disk attributes offset behind
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR64 = struct.Struct("<4sIQI")
END = struct.Struct("<4s4H2IH")


def local_header(name, extra, flags, version=0, method=0, date=0, crc=0, packed=0, size=0):
    head = LOCAL_HEADER.pack(b"PK\3\4", version, flags, method, 0, date, crc, packed, size, len(name), len(extra))
    return head + name + extra


def directory_record(name, extra, flags, crc, packed, size, offset, version=0, method=0, date=0, signature=b"PK\1\2"):
    what = (signature, version, version, flags, method, 0, date, crc, packed, size)
    return DIRECTORY_RECORD.pack(*what, len(name), len(extra), 0, 0, 0, 0, offset) + name + extra


def end64(entries, size, offset, at):
    """The zip64 end of a directory of `size` bytes, which stands at `at`, and its locator."""
    record = END64.pack(b"PK\6\6", END64.size - 12, 0x031E, 45, 0, 0, entries, entries, size, offset)
    return record + LOCATOR64.pack(b"PK\6\7", 0, at, 1)


def end(entries, size, offset):
    entries = min(entries, U16_MAX)
    return END.pack(b"PK\5\6", 0, 0, entries, entries, min(size, U32_MAX), min(offset, U32_MAX), 0)


class Hole:
    """A storage of `size` zero bytes that takes no room on the disk; its crc is 0, as after torch's skip_data()."""

    def __init__(self, size):
        self.size = size


class TorchArchive:
    """The zip torch.save writes: stored members, data descriptors, data aligned by an 'FB' extra field, zip64 end.

    local header | name | [zip64 extra] 'FB' extra | data | descriptor (only with data)
    """

    def __init__(self, path, root="archive", crc=True, alignment=ALIGNMENT):
        self.file = open(path, "wb")
        self.root, self.crc, self.alignment = root, crc, alignment
        self.directory = []

    def add(self, record, data):
        name = f"{self.root}/{record}".encode()
        hole = isinstance(data, Hole)
        size = data.size if hole else len(data)
        crc = zlib.crc32(data) if self.crc and not hole else 0
        flags = FLAG_UTF8 | (FLAG_DESCRIPTOR if size else 0)
        offset = self.file.tell()

        wide = [value for value in (size, size, offset) if value >= U32_MAX]
        zip64 = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        pad = -(offset + LOCAL_HEADER.size + len(name) + len(zip64) + 4) % self.alignment
        self.file.write(local_header(name, zip64 + struct.pack("<2sH", b"FB", pad) + b"Z" * pad, flags))
        if hole:
            self.file.seek(size, os.SEEK_CUR)
        else:
            self.file.write(data)
        if size:
            self.file.write(struct.pack("<4sI2Q" if wide else "<4s3I", b"PK\7\10", crc, size, size))
        short = [min(value, U32_MAX) for value in (size, size, offset)]
        self.directory.append(directory_record(name, zip64, flags, crc, *short))

    def close(self):
        start, entries, directory = self.file.tell(), len(self.directory), b"".join(self.directory)
        self.file.write(directory + end64(entries, len(directory), start, at=start + len(directory)))
        self.file.write(end(entries, len(directory), start))
        self.file.close()


# Elements of a storage, counted as its type does.
View = collections.namedtuple("View", "storage offset shape stride")


def torch_save(path, storages, root="archive", crc=True, records=(), tensors=None):
    """The file torch.save writes for a dict of tensors of float32.

    @param storages  the bytes of each, or a Hole
    @param records  further (name, bytes), written like those of torch
    @param tensors  name -> View; without them {"tensor0": ..., "tensor1": ...}, one dimension and one storage each
    """
    archive = TorchArchive(path, root, crc)
    archive.add("data.pkl", _state_dict_pickle(storages, tensors))
    archive.add(".format_version", b"1")
    archive.add(".storage_alignment", b"64")
    archive.add("byteorder", sys.byteorder.encode())
    for key, storage in enumerate(storages):
        archive.add(f"data/{key}", storage)
    archive.add("version", b"3\n")
    archive.add(".data/serialization_id", b"%040d" % 20240229)
    for name, data in records:
        archive.add(name, data)
    archive.close()


def _state_dict_pickle(storages, tensors=None):
    """The data.pkl of these tensors: the globals of torch by their names, each storage as a persistent id."""

    class Storage:
        def __init__(self, key, numel):
            self.key, self.numel = key, numel

    class Tensor:
        def __init__(self, view):
            self.view = view

        def __reduce__(self):
            return rebuild, (*self.view, False, collections.OrderedDict())

    def rebuild():
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Storage):
                return ("storage", float_storage, value.key, "cpu", value.numel)

    float_storage = type("FloatStorage", (), {"__module__": "torch"})
    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    stand_ins = {"torch": types.ModuleType("torch"), "torch._utils": types.ModuleType("torch._utils")}
    stand_ins["torch"].FloatStorage = float_storage
    stand_ins["torch._utils"]._rebuild_tensor_v2 = rebuild
    stored = []
    for key, data in enumerate(storages):
        size = data.size if isinstance(data, Hole) else len(data)
        stored.append(Storage(str(key), size // 4))
    if tensors is None:
        tensors = {f"tensor{i}": View(i, 0, (one.numel,), tuple([1])) for i, one in enumerate(stored)}
    value = {name: Tensor(view._replace(storage=stored[view.storage])) for name, view in tensors.items()}
    real = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        text = io.BytesIO()
        Pickler(text, protocol=2).dump(value)
        return text.getvalue()
    finally:
        for name, module in real.items():
            sys.modules.pop(name)
            if module:
                sys.modules[name] = module


def index_of(directory, arrays):
    """`supporting_arrays_paths`: {key: {path, shape, dtype}}, nested as the arrays are."""
    return {
        key: (
            index_of(f"{directory}/{key}", value)
            if isinstance(value, dict)
            else {"path": f"{directory}/{key}.numpy", "shape": list(value.shape), "dtype": str(value.dtype)}
        )
        for key, value in arrays.items()
    }


def save_metadata(path, metadata, arrays=None, name="anemoi.json", folder="anemoi-metadata", dumps=json.dumps):
    """What anemoi.utils.checkpoints.save_metadata does: append the document, then each array as raw C-order bytes.

    @param metadata  a dict; or bytes, which are stored as they are
    """
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        if not isinstance(metadata, bytes):
            metadata = dumps(
                {**metadata, "supporting_arrays_paths": index_of(f"{root}/{folder}", arrays or {})}
            ).encode()
        archive.writestr(f"{root}/{folder}/{name}", metadata)
        _append_arrays(archive, f"{root}/{folder}", arrays or {})


def _append_arrays(archive, directory, arrays):
    for key, value in arrays.items():
        if isinstance(value, dict):
            _append_arrays(archive, f"{directory}/{key}", value)
        else:
            archive.writestr(f"{directory}/{key}.numpy", value.tobytes())


# One of every kind of JSON value, and keys that cannot be file names as they are.
METADATA = {
    "version": "1.0.0",
    "uuid": "a1b2c3",
    "seed": 12345678901234567890123,
    "timestamp": "2024-02-29T00:00:00Z",
    "config": {
        "training": {"lr": 0.00015, "max_epochs": 100, "swa": False, "loss": None, "precision": "16-mixed"},
        "dataloader": {"dataset": "/old/path/era5.zarr", "batch_size": 8},
        "data": {"forcing": ["cos_latitude", "sin_latitude"], "normalizer": [{"name": "a"}, {"name": "b"}]},
        "hidden": {},
        "odd names": {"a/b": 1, "100%": 2, ".dot": 3, "": 4, "tab\there": 5, "backup~": 6},
    },
    "nan": float("nan"),
    "infinity": float("inf"),
}

ARRAYS = {
    "latitudes": np.linspace(90, -90, 181),
    "longitudes": np.arange(0, 360, 2, dtype="f4"),
    "cutout_mask": np.arange(24).reshape(4, 6) % 3 == 0,
    "lam": {"mask": np.eye(3, dtype="i2")},
}

STORAGES = [
    np.arange(4096, dtype="f4").tobytes(),
    np.ones(33, dtype="f4").tobytes(),
    b"",
    np.arange(7, dtype="f4").tobytes(),
]


def make(path, metadata=METADATA, arrays=ARRAYS, storages=STORAGES, root="archive", crc=True, dumps=json.dumps):
    """A whole checkpoint. `metadata=None`: one that anemoi has not touched."""
    torch_save(path, storages, root, crc)
    if metadata is not None:
        save_metadata(path, metadata, arrays, dumps=dumps)


Member = collections.namedtuple("Member", "name header_at data_at size record data")


def members(path, data=True):
    """Every member in the order of the central directory: where its header and its data are, its directory record's
    fields, its bytes (None with data=False)."""
    found = []
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset)
            header = file.read(30)
            name_size, extra_size = struct.unpack("<HH", header[26:30])
            data_at = info.header_offset + 30 + name_size + extra_size
            file.seek(data_at)
            record = (
                info.flag_bits,
                info.compress_type,
                info.CRC,
                info.date_time,
                info.extra,
                info.comment,
                info.external_attr,
                info.create_version,
            )
            found.append(
                Member(
                    info.filename,
                    info.header_offset,
                    data_at,
                    info.file_size,
                    record,
                    file.read(info.compress_size) if data else None,
                )
            )
    return found


if __name__ == "__main__":
    make(sys.argv[1])
