"""Zips that lie. `CASES` maps what is wrong to the bytes of the file; each stays small on the disk."""

import io
import json
import pickle
import struct
import tarfile
import zlib

import sample
from sample import U16_MAX, U32_MAX

DOCUMENT = "archive/anemoi-metadata/anemoi.json"
GOOD = {"archive/data.pkl": pickle.dumps({}, 2), "archive/version": b"3\n", DOCUMENT: b'{"version": 1, "good": true}'}
STORED, DEFLATED, BZIP2 = 0, 8, 12


class Liar:
    """A zip written record by record; `**lies` replace what the central directory says."""

    def __init__(self, members=GOOD):
        self.body, self.directory, self.entries = b"", b"", 0
        for name, data in members.items():
            self.add(name, data)

    def add(self, name, data=b"", pack_by=STORED, header_name=None, name_size=None, extra=b"", extra_size=None, **lies):
        name = name if isinstance(name, bytes) else name.encode()
        packed = deflated(data) if pack_by == DEFLATED else data
        facts = dict(
            flags=0x800, version=20, method=pack_by, date=33, crc=zlib.crc32(data), packed=len(packed), size=len(data)
        )
        record = sample.directory_record(name, extra, **{**facts, "offset": len(self.body), **lies})
        for at, size in ((28, name_size), (30, extra_size)):
            if size is not None:
                record = record[:at] + struct.pack("<H", size) + record[at + 2 :]
        self.body += sample.local_header(header_name or name, b"", **facts) + packed
        self.directory += record
        self.entries += 1
        return self

    def end(self, **lies):
        return self.body + self.directory + sample.end(**{**self.facts(), **lies})

    def end64(self, **lies):
        at = len(self.body) + len(self.directory)
        last = sample.end(U16_MAX, U32_MAX, U32_MAX)
        return self.body + self.directory + sample.end64(**{**self.facts(), "at": at, **lies}) + last

    def facts(self):
        return {"entries": self.entries, "size": len(self.directory), "offset": len(self.body)}


def deflated(data):
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush()


def zip_with(name, data=b"", **lies):
    return Liar().add(name, data, **lies).end()


def zip_with_document(data, **lies):
    members = {name: good for name, good in GOOD.items() if name != DOCUMENT}
    return Liar(members).add(DOCUMENT, data, **lies).end()


def with_document(document):
    return zip_with_document(document if isinstance(document, bytes) else json.dumps(document).encode())


def with_index(index, bomb=b""):
    document = json.dumps({"version": 1, "supporting_arrays_paths": index}).encode()
    return Liar({**GOOD, DOCUMENT: document}).add("archive/bomb", bomb, pack_by=DEFLATED).end()


def same_name(count):
    liar = Liar()
    for _ in range(count):
        liar.add("archive/same", b"x")
    return liar


def nested(depth):
    index = {"path": "archive/version", "shape": [2], "dtype": "uint8"}
    for _ in range(depth):
        index = {"n": index}
    return index


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def entry(path="archive/version", shape=(2,), dtype="uint8"):
    return {"a": {"path": path, "shape": list(shape), "dtype": dtype}}


GOOD_ZIP = Liar().end()
DEEP = 100_000
LEGACY = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, []))

# Each is refused at mount, with one sentence that the regular expression finds.
REFUSED = {
    "an empty file": (b"", "."),
    "four bytes": (b"PK\3\4", "."),
    "random bytes": (bytes(range(256)) * 50, "zip"),
    "a legacy torch file": (LEGACY, "legacy|before 1.6|old"),
    "a tar file": (tar(), "."),
    "a zip without data.pkl": (Liar({"archive/version": b"3\n"}).end(), "data.pkl"),
    "TorchScript": (
        Liar({**GOOD, "archive/constants.pkl": b"x", "archive/code/__torch__.py": b""}).end(),
        "TorchScript",
    ),
    "another zip": (Liar({"word/document.xml": b"<x/>"}).end(), "."),
    "a zip that ends in its data": (GOOD_ZIP[:100], "truncated|end of central directory|damaged"),
    "a zip that ends in its directory": (GOOD_ZIP[:-40], "truncated|end of central directory|damaged"),
    "a directory that begins outside the file": (Liar().end(offset=0xFFFFFF0), "."),
    "a directory that is larger than the file": (Liar().end(size=0xFFFFFF0), "."),
    "65,534 entries claimed": (Liar().end(entries=0xFFFE), "."),
    "10 million entries claimed": (Liar().end64(entries=10_000_000), "."),
    "2^63 entries claimed": (Liar().end64(entries=1 << 63), "."),
    "a zip64 directory outside the file": (Liar().end64(offset=1 << 62), "."),
    "a zip64 directory whose end overflows": (Liar().end64(offset=(1 << 64) - 10, size=1 << 63), "."),
    "a zip64 end record outside the file": (Liar().end64(at=1 << 60), "."),
    "a record with a wrong signature": (zip_with("archive/x", signature=b"PK\1\1"), "."),
    "a name that runs past the directory": (zip_with("archive/x", name_size=60_000), "."),
    "an extra field that runs past the directory": (zip_with("archive/x", extra_size=60_000), "."),
    "a trailer longer than a comment can be": (GOOD_ZIP + bytes(70_000), "."),
}

# Each is refused with one sentence, or mounted with the fault confined to the member it concerns.
CONFINED = {
    "a name that climbs": zip_with("archive/../../../etc/passwd", b"x"),
    "a name that is only dots": Liar().add("archive/..", b"x").add("archive/.", b"x").end(),
    "an absolute name": zip_with("/etc/passwd", b"x"),
    "a name with NUL": zip_with("archive/a\0b", b"x"),
    "a name of 65,535 bytes": zip_with(b"archive/" + b"n" * 65_527, b"x"),
    "a name of 30,000 folders": zip_with(b"archive" + b"/d" * 30_000, b"x"),
    "a name that is not UTF-8": zip_with(b"archive/\xff\xfe", b"x"),
    "an empty name": zip_with("", b"x"),
    "a name that is a file and a folder": Liar().add("archive/version/below", b"x").add("archive/version//", b"").end(),
    "the same name a thousand times": same_name(1000).end(),
    "two records of one member": zip_with("archive/alias", GOOD["archive/data.pkl"], offset=0),
    "members that overlap": zip_with("archive/overlap", b"x" * 10, offset=10, size=200, packed=200),
    "a member that begins outside the file": zip_with("archive/outside", b"x", offset=0xFFFFFF0),
    "a member that begins in the directory": zip_with("archive/within", b"x", offset=len(Liar().body) + 60),
    "a member that is larger than the file": zip_with("archive/large", b"x", size=0xFFFFFF0, packed=0xFFFFFF0),
    "a stored member of two sizes": zip_with("archive/sizes", b"xyz", size=1 << 30),
    "a zip64 extra that says 2^64-1": zip_with(
        "archive/wide",
        b"x",
        size=0xFFFFFFFF,
        packed=0xFFFFFFFF,
        offset=0xFFFFFFFF,
        extra=struct.pack("<HHQQQ", 1, 24, *[(1 << 64) - 1] * 3),
    ),
    "a zip64 extra that is too short": zip_with("archive/wide", b"x", size=0xFFFFFFFF, extra=struct.pack("<HH", 1, 0)),
    "another name in the local header": zip_with("archive/one", b"x", header_name=b"archive/two"),
    "case collisions": Liar().add("archive/DATA.PKL", b"x").add("archive/Anemoi-Metadata/ANEMOI.JSON", b"{}").end(),
    "two data.pkl": zip_with("archive/data.pkl", b"x"),
    "an encrypted document": zip_with_document(b"x" * 40, flags=0x801),
    "a document packed by an unknown method": zip_with_document(b"x" * 40, pack_by=BZIP2),
    "a deflated document that is no deflate stream": zip_with_document(b"x" * 40, method=DEFLATED),
    "a deflate bomb as document": zip_with_document(b" " * (1 << 29), pack_by=DEFLATED),
    "a deflate bomb that claims to be small": zip_with_document(b" " * (1 << 28), pack_by=DEFLATED, size=20),
    "a deflate bomb as array": with_index(entry("archive/bomb", (1 << 29,)), bomb=bytes(1 << 29)),
    "a document of depth 100,000": with_document(b'{"version": 1, "deep": ' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "objects of depth 100,000": with_document(b'{"version": 1, "deep": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}"),
    "a document that never closes": with_document(b"[" * DEEP),
    "a document that is no object": with_document(b"[1, 2]"),
    "an empty document": with_document(b""),
    "a document with a BOM": with_document(b'\xef\xbb\xbf{"version": 1}'),
    "a document that is not UTF-8": with_document(b'{"version": "\xff"}'),
    "keys that are no file names": with_document(
        {"version": 1, "..": 1, ".": 2, "a/../b": 3, "\0": 4, "k" * 1_000_000: 5}
    ),
    "two keys that are cut to one name": with_document({"version": 1, "k" * 300 + "a": 1, "k" * 300 + "b": 2}),
    "one key a thousand times": with_document(b'{"version": 1' + b', "same": {"x": 1}' * 1000 + b"}"),
    "an index that is no object": with_index([1, 2]),
    "an index of depth 500": with_index(nested(500)),
    "an array at a path that climbs": with_index(entry("../../../../etc/passwd")),
    "an array without a member": with_index(entry("archive/absent")),
    "an array that is the pickle": with_index(entry("archive/data.pkl", (len(GOOD["archive/data.pkl"]),))),
    "an array of a negative shape": with_index(entry(shape=(-2,))),
    "an array whose size overflows": with_index(entry(shape=(1 << 33, 1 << 33))),
    "an array of half an element": with_index(entry(shape=(0.5,))),
    "an array of a million dimensions": with_index(entry(shape=[1] * 1_000_000)),
    "an array of a number that has 10,000 digits": with_document(
        b'{"version": 1, "supporting_arrays_paths": {"a": {"path": "archive/version", "dtype": "uint8", "shape": ['
        + b"9" * 10_000
        + b"]}}}"
    ),
    "an array of an unknown dtype": with_index(entry(dtype="<f99")),
    "an array of a dtype of 100,000 letters": with_index(entry(dtype="f" * 100_000)),
    "an array of a name that climbs": with_index({"../../x": entry()["a"], "/": entry()["a"], "": entry()["a"]}),
}
