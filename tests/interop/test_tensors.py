"""tensors/ and values/ against the real torch: every type in every layout, value by value; and edits of names."""

import collections
import json
import os
import pathlib
import subprocess
import sys
import unittest
import warnings
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

import numpy as np
import torch

import harness
import test_interop
from checkpoints import KINDS, Kind, same, save

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8),
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.complex64, torch.complex128),
    *(torch.complex32, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz),
    *(torch.float8_e8m0fnu, torch.float4_e2m1fn_x2, torch.bits8, torch.bits16),
]
NUMPY = {
    torch.bfloat16: "|V2", torch.bits16: "|V2", torch.bits8: "|V1", torch.complex32: "<f2",
    torch.float4_e2m1fn_x2: "|u1", torch.bool: "|b1", torch.int8: "|i1", torch.uint8: "|u1",
    torch.float64: "<f8", torch.float32: "<f4", torch.float16: "<f2", torch.int64: "<i8", torch.int32: "<i4",
    torch.int16: "<i2", torch.uint16: "<u2", torch.uint32: "<u4", torch.uint64: "<u8",
    torch.complex64: "<c8", torch.complex128: "<c16", torch.quint8: "|u1", torch.qint8: "|i1", torch.qint32: "<i4",
    **{dtype: "|V1" for dtype in DTYPES if str(dtype).startswith("torch.float8")},
}  # fmt: skip
SAME_SIZE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def layouts(dtype):
    """Views of one storage with every bit pattern that a count gives, and some storages of their own."""
    count = torch.arange(2 * 3 * 4 * 5 * dtype.itemsize, dtype=torch.int64).to(torch.uint8)
    if dtype == torch.bool:
        count = count % 2
    base = count.view(dtype).reshape(2, 3, 4, 5)
    return {
        "all": base,
        "scalar": base[1, 2, 3, 4],
        "row": base[1, 1, 1],
        "column": base[0, 0, :, 2],
        "transposed": base[0, 0].t(),
        "last to first": base.permute(3, 2, 1, 0),
        "channels last": base.permute(0, 2, 3, 1),
        "steps": base[:, ::2, 1:, ::2],
        "expanded": base[:, :1, :1, 3:4].expand(2, 7, 1, 3),
        "windows": base.flatten().unfold(0, 4, 2),
        "ones": base[:1, :1, :, :1],
        "empty": base[:, :0],
        "no rows": base[:0].permute(3, 0, 1, 2),
        "own": base[0].clone(),
        "own scalar": base[0, 0, 0, 0].clone(),
        "own transposed": base[0, 0].clone().t(),
        "parameter": torch.nn.Parameter(base[1].clone(), requires_grad=dtype.is_floating_point and dtype.itemsize > 1),
        "buffer": torch.nn.Buffer(base[1, :, 2].clone()),
    }


def raw(tensor):
    """The bytes of a tensor in C order, without its flags."""
    tensor = tensor.detach()
    tensor = tensor.conj() if tensor.is_conj() else tensor
    tensor = torch._neg_view(tensor) if tensor.is_neg() else tensor
    if tensor.is_quantized:
        tensor = tensor.int_repr()
    if tensor.dtype == torch.complex128:
        tensor = torch.view_as_real(tensor)
    bits = tensor.view(SAME_SIZE[tensor.dtype.itemsize])
    return bits.contiguous().numpy().tobytes()


def tensors_in(value, path=""):
    """Tensors by their names in tensors/, of dicts and lists of them; a dict `state_dict` has none of its own."""
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, torch.nn.Module):
        yield from tensors_in(value.state_dict(keep_vars=True), path)
    elif isinstance(value, dict):
        for key, item in value.items():
            below = f"{path}.{key}" if path else "" if key == "state_dict" else str(key)
            yield from tensors_in(item, below)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from tensors_in(item, f"{path}.{i}" if path else str(i))


class TensorTest(test_interop.InteropTest):
    counts = collections.Counter()

    @classmethod
    def tearDownClass(cls):
        if cls.counts:
            print("agreed:", ", ".join(f"{count} {what}" for what, count in sorted(cls.counts.items())))

    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore")  # torch would like to have some of this no more

    def saved(self, value, file="model.pt"):
        path = self.folder / file
        torch.save(value, path)
        return path

    def compare(self, path, value, numpy=NUMPY):
        """Everything the tree says of the tensors of `value` is so."""
        expected = dict(tensors_in(value))
        with self.mounted(path) as mount:
            self.assertEqual(sorted(os.listdir(mount / "tensors")), sorted(expected))
            table = dict(line.split("\t", 1) for line in (mount / "tensors.tsv").read_text().splitlines()[1:])
            self.assertEqual(sorted(table), sorted(expected))
            arrays = set(os.listdir(mount / "values"))
            for name, tensor in expected.items():
                with self.subTest(name):
                    self.compare_one(mount, name, tensor, table[name].split("\t"), f"{name}.npy" in arrays, numpy)

    def compare_one(self, mount, name, tensor, row, has_array, numpy):
        said = json.loads((mount / "tensors" / name).read_text())
        self.assertEqual(said["name"], name)
        self.assertEqual(said["dtype"], str(tensor.dtype)[6:])
        self.assertEqual(said["device"], str(tensor.device))
        if tensor.layout == torch.strided and not tensor.is_nested:
            self.assertEqual(said["layout"], "strided")
            self.assertEqual(said["shape"], list(tensor.shape))
            self.assertEqual(said["stride"], list(tensor.stride()))
            self.assertEqual(said["offset"], tensor.storage_offset())
            self.assertEqual(said["nbytes"], tensor.nbytes)
            self.assertEqual(said["requires_grad"], tensor.requires_grad)
            self.assertEqual(said.get("conj", False), tensor.is_conj())
            self.assertEqual(said.get("neg", False), tensor.is_neg())
            if not tensor.is_meta:
                self.assertEqual(said["storage_nbytes"], tensor.untyped_storage().nbytes())
            texts = ["x".join(map(str, numbers)) or "scalar" for numbers in (tensor.shape, tensor.stride())]
            self.assertEqual(row[:3], [said["dtype"], texts[0], str(tensor.nbytes)])
            requires_grad = str(tensor.requires_grad).lower()
            self.assertEqual(row[4:8], [str(tensor.storage_offset()), texts[1], said["device"], requires_grad])
        self.counts["descriptions"] += 1
        self.assertEqual(has_array, tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_meta)
        if not has_array:
            return
        array = np.load(mount / "values" / f"{name}.npy")
        shape = list(tensor.shape) + ([2] if tensor.dtype == torch.complex32 else [])
        self.assertEqual((array.dtype.str, list(array.shape)), (numpy[tensor.dtype], shape))
        little = array if array.dtype.str[0] != ">" else array.astype(array.dtype.newbyteorder("<"))
        self.assertEqual(little.tobytes(), raw(tensor))
        if array.size:
            mapped = np.load(mount / "values" / f"{name}.npy", mmap_mode="r")
            self.assertEqual(mapped.tobytes(), array.tobytes())
        self.counts["values"] += array.size


class Descriptions(TensorTest):
    def test_every_type_in_every_layout(self):
        for dtype in DTYPES:
            name = str(dtype)[6:]
            with self.subTest(name):
                value = layouts(dtype)
                self.compare(self.saved(value, f"{name}.pt"), value)

    def test_every_protocol(self):
        value = layouts(torch.float32)
        for protocol in (2, 3, 4, 5):
            with self.subTest(protocol):
                path = self.folder / f"{protocol}.pt"
                torch.save(value, path, pickle_protocol=protocol)
                self.compare(path, value)

    def test_flags_and_attributes(self):
        number = torch.randn(3, 4, dtype=torch.complex64)
        marked = torch.ones(3)
        marked.tag = "x"
        parameter = torch.nn.Parameter(torch.ones(2, 2))
        parameter.tag = [1, 2]
        value = {
            "conj": number.conj(),
            "half conj": number.to(torch.complex32).conj(),
            "imaginary": torch.randn(2, 2, dtype=torch.complex64).conj().imag,
            "neg": torch._neg_view(torch.ones(3)),
            "marked": marked,
            "parameter": parameter,
            "meta": torch.empty(3, 4, device="meta", requires_grad=True),
            "meta parameter": torch.nn.Parameter(torch.empty(5, device="meta")),
        }
        self.compare(self.saved(value), value)

    def test_quantised_sparse_and_nested_ones(self):
        base = torch.randn(4, 6)
        value = {
            "per tensor": torch.quantize_per_tensor(base, 0.1, 10, torch.quint8),
            "per tensor 32": torch.quantize_per_tensor(base, 0.25, -3, torch.qint32).t(),
            "per channel": torch.quantize_per_channel(base, torch.rand(4) + 0.1, torch.arange(4), 0, torch.qint8),
            "coo": base.to_sparse(),
            "csr": base.to_sparse_csr(),
            "csc": base.to_sparse_csc(),
            "bsr": base.to_sparse_bsr((2, 3)),
            "bsc": base.to_sparse_bsc((2, 3)),
            "nested": torch.nested.nested_tensor([base, base[:2]]),
        }
        path = self.saved(value)
        self.compare(path, value)
        with self.mounted(path) as mount:
            said = {name: json.loads((mount / "tensors" / name).read_text()) for name in value}
            raw_folder = mount / ".ckptree/raw/model/data"


            def part(said):
                stored = np.frombuffer((raw_folder / said["storage"]).read_bytes(), said["dtype"])[said["offset"] :]
                strides = [step * stored.itemsize for step in said["stride"]]
                return np.lib.stride_tricks.as_strided(stored, said["shape"], strides)

            for name in ("coo", "csr", "csc", "bsr", "bsc"):
                self.assertEqual(said[name]["layout"], str(value[name].layout)[6:])
                self.assertEqual(said[name]["shape"], list(base.shape))
            csr, coo = value["csr"], value["coo"].coalesce()
            for (where, key), tensor in {
                ("csr", "crow_indices"): csr.crow_indices(), ("csr", "col_indices"): csr.col_indices(),
                ("csr", "values"): csr.values(), ("coo", "indices"): coo.indices(), ("coo", "values"): coo.values(),
                ("csc", "ccol_indices"): value["csc"].ccol_indices(), ("bsr", "values"): value["bsr"].values(),
                ("bsc", "row_indices"): value["bsc"].row_indices(),
            }.items():  # fmt: skip
                self.assertTrue(np.array_equal(part(said[where][key]), tensor.numpy()), (where, key))
            self.assertEqual(said["coo"]["is_coalesced"], value["coo"].is_coalesced())
            self.assertEqual(said["nested"]["layout"], "nested")
            self.assertEqual(part(said["nested"]["sizes"]).tolist(), [[4, 6], [2, 6]])
            self.assertEqual(
                said["per tensor"]["quantizer"], {"scheme": "per_tensor_affine", "scale": 0.1, "zero_point": 10}
            )
            quantizer = said["per channel"]["quantizer"]
            self.assertEqual((quantizer["scheme"], quantizer["axis"]), ("per_channel_affine", 0))
            scales = value["per channel"].q_per_channel_scales()
            self.assertTrue(np.array_equal(part(quantizer["scales"]), scales.numpy()))

    def test_what_is_not_known_is_said_to_be_so(self):
        jagged = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)], layout=torch.jagged)
        with self.mounted(self.saved({"jagged": jagged, "plain": torch.ones(2)})) as mount:
            said = json.loads((mount / "tensors/jagged").read_text())
            self.assertIn("_rebuild_njt", said["unknown"])
            self.assertEqual(os.listdir(mount / "values"), ["plain.npy"])

    def test_shared_storages(self):
        value = KINDS["tied"].make()
        with self.mounted(self.saved(value)) as mount:
            for name in value:
                said = json.loads((mount / "tensors" / name).read_text())
                self.assertEqual(said["shared_with"], [other for other in value if other != name])

    def test_checkpoints_of_every_shape(self):
        for name, kind in KINDS.items():
            with self.subTest(name):
                path = self.folder / f"{name}.pt"
                self.compare(path, save(kind, path))

    def test_names_of_every_kind(self):
        names = ["a/b", "50%", "", ".hidden", "é", "tab\tx", "x.npy", "sed123456", "a~", "x" * 300, "y" * 253, "#a#"]
        value = {name: torch.full((2,), i) for i, name in enumerate(names)}
        with self.mounted(self.saved(value)) as mount:
            files = {}
            for file in os.listdir(mount / "tensors"):
                files[json.loads((mount / "tensors" / file).read_text())["name"]] = file
            self.assertEqual(sorted(files), sorted(names))
            found = sorted(int(np.load(mount / "values" / file)[0]) for file in os.listdir(mount / "values"))
            self.assertEqual(found, list(range(len(names))))
            cut = os.getxattr(mount / "tensors" / files["x" * 300], "user.ckptree.key")
            self.assertEqual(cut.decode(), "x" * 300)

    def test_a_checkpoint_of_a_big_endian_machine(self):
        value = {}
        float_types = (torch.float64, torch.float32, torch.bfloat16, torch.complex64)
        for dtype in (*float_types, torch.int16, torch.bool, torch.int8):
            for name, tensor in layouts(dtype).items():
                value[f"{str(dtype)[6:]} {name}"] = tensor
        little = self.saved(value, "little.pt")
        storages = {}  # bytes of a number in each, in the order of first use, which is that of the keys
        for tensor in value.values():
            part = tensor.dtype.itemsize // (2 if tensor.dtype.is_complex else 1)
            storages.setdefault(tensor.untyped_storage()._cdata, part)
        path = self.folder / "big.pt"
        with zipfile.ZipFile(little) as old, zipfile.ZipFile(path, "w") as new:
            for member in old.infolist():
                data = old.read(member)
                head, _, key = member.filename.rpartition("/data/")
                if head:
                    part = list(storages.values())[int(key)]
                    data = np.frombuffer(data, f"V{part}").view(f"<u{part}").byteswap().tobytes() if part > 1 else data
                new.writestr(member.filename, b"big" if member.filename.endswith("/byteorder") else data)
        self.assertTrue(same(torch.load(path, weights_only=False), value))
        self.compare(path, value, {dtype: name.replace("<", ">") for dtype, name in NUMPY.items()})


class Edits(TensorTest):
    """`value` is edited in Python as the checkpoint is through the mount; torch has to find them the same."""

    def edit(self, path, commands, commits=1):
        with self.mounted(path, "edit=all,flush_interval=none") as mount:
            self.ok(commands, mount)
            self.ok("echo > .ckptree/flush", mount)
            self.assertEqual(mount.commits(), commits)

    def check(self, path, value, kind=Kind(None)):
        """Every way of torch.load gives `value`; what was computed about places is so; storages are aligned."""
        self.check_torch(path, value, kind)
        after = {member.name: member for member in test_interop.members(path)}
        for name, member in after.items():
            if "/data/" in name:
                self.assertEqual(member.data_at % 64, 0, name)
        root = next(iter(after)).split("/")[0]
        meta = dict(tensors_in(torch.load(path, weights_only=False, map_location="meta")))
        self.assertEqual(set(meta), set(dict(tensors_in(value))))
        with self.mounted(path) as mount:
            for name, tensor in meta.items():
                key = json.loads((mount / "tensors" / name).read_text())["storage"]
                self.assertEqual(tensor.untyped_storage()._checkpoint_offset, after[f"{root}/data/{key}"].data_at, name)
        self.compare(path, value)
        self.counts["checkpoints after edits"] += 1

    def storages(self, path):
        return [m.name.rpartition("/")[2] for m in test_interop.members(path) if "/data/" in m.name]

    def has_computed_places(self, path):
        return any(m.name.endswith("/.format_version") for m in test_interop.members(path))

    def renamed(self, value, names):
        fresh = type(value)((names.get(key, key), item) for key, item in value.items())
        if hasattr(value, "_metadata"):
            fresh._metadata = value._metadata
        return fresh

    def test_a_name_changes_where_it_stands(self):
        for name in ("plain", "archive", "tied", "many", "nochecksums"):
            with self.subTest(name):
                path = self.folder / f"{name}.pt"
                value = save(KINDS[name], path)
                before = test_interop.members(path)
                keys = list(value)
                names = {keys[0]: "a longer name than it had/é", keys[-1]: "x"}
                longer = "tensors/a longer name than it had%2Fé"
                self.edit(path, f"mv tensors/{keys[0]} '{longer}'; mv tensors/{keys[-1]} tensors/x")
                value = self.renamed(value, names)
                loaded = torch.load(path, weights_only=False)
                self.assertEqual(list(loaded), list(value))
                self.check_bytes(before, path, {before[0].name})
                self.assertTrue(self.has_computed_places(path))
                self.check_torch(path, value, KINDS[name])

    def test_names_in_a_lightning_checkpoint(self):
        path = self.folder / "model.ckpt"
        value = save(KINDS["lightning"], path)
        self.edit(path, "mv tensors/encoder.weight tensors/first.weight; mv tensors/encoder.bias tensors/first.bias")
        names = {"encoder.weight": "first.weight", "encoder.bias": "first.bias"}
        value["state_dict"] = self.renamed(value["state_dict"], names)
        self.check(path, value)
        self.assertEqual(list(torch.load(path)["state_dict"]._metadata), ["", "first", "decoder"])

    def test_a_removed_tensor_takes_its_storage_along(self):
        names = [f"p{i}" for i in range(13)]
        for gone in (["p12"], ["p0"], ["p5"], ["p11", "p12"], ["p3", "p4", "p9"], names[1:], names[:-1]):
            with self.subTest(gone):
                path = self.folder / "many.pt"
                value = save(KINDS["many"], path)
                size = path.stat().st_size
                self.edit(path, " && ".join(f"rm tensors/{name}" for name in gone))
                left = [name for name in names if name not in gone]
                self.assertEqual(self.storages(path), [name[1:] for name in left])
                in_order = left == names[: len(left)]
                self.assertEqual(self.has_computed_places(path), in_order)
                self.check(path, {name: value[name] for name in left})
                if "p12" in gone:
                    self.assertLess(path.stat().st_size, size - 900_000)

    def test_a_storage_stays_while_a_tensor_uses_it(self):
        path = self.folder / "tied.pt"
        value = save(KINDS["tied"], path)
        self.edit(path, "rm tensors/embed.weight tensors/head.weight")
        del value["embed.weight"], value["head.weight"]
        self.assertEqual(self.storages(path), ["0"])
        self.assertTrue(self.has_computed_places(path))
        self.check(path, value)
        self.edit(path, "rm tensors/head.row")
        del value["head.row"]
        self.assertEqual(self.storages(path), ["0"])
        self.check(path, value)

    def test_a_swap(self):
        path = self.folder / "plain.pt"
        value = save(KINDS["plain"], path)
        with self.mounted(path, "edit=all") as mount:
            tensors = str(mount / "tensors")
            harness.renameat2(f"{tensors}/encoder.weight", f"{tensors}/decoder.weight", harness.RENAME_EXCHANGE)
        self.check(path, self.renamed(value, {"encoder.weight": "decoder.weight", "decoder.weight": "encoder.weight"}))

    def test_a_module_is_renamed_tensor_by_tensor(self):
        layer = lambda: torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.BatchNorm1d(4))
        net = torch.nn.ModuleDict({"enc": torch.nn.ModuleList([layer() for _ in range(72)]), "dec": layer()})
        value = net.state_dict()
        path = self.saved(value)
        self.edit(path, 'for t in tensors/enc.*; do mv "$t" "tensors/model.encoder.${t#tensors/enc.}"; done')
        wrapped = torch.nn.ModuleDict({"model": torch.nn.ModuleDict({"encoder": net["enc"]}), "dec": net["dec"]})
        expected = wrapped.state_dict()
        loaded = torch.load(path)
        self.assertEqual(list(loaded), list(expected))
        # That of `model` is new: no module of that name moved.
        self.assertEqual([name for name in expected._metadata if name != "model"], list(loaded._metadata))
        for name, said in loaded._metadata.items():
            self.assertEqual(said, expected._metadata[name])
        self.check_torch(path, expected, Kind(None))
        wrapped.load_state_dict(loaded)

    def test_what_else_is_in_the_archive_stays(self):
        path, value = self.checkpoint("plain", arrays=test_interop.ARRAYS)
        before = test_interop.anemoi.load_metadata(str(path), supporting_arrays=True)
        self.edit(path, "mv tensors/encoder.weight tensors/e; rm tensors/decoder.weight")
        del value["decoder.weight"]
        self.check_torch(path, self.renamed(value, {"encoder.weight": "e"}), KINDS["plain"])
        metadata, arrays = test_interop.anemoi.load_metadata(str(path), supporting_arrays=True)
        self.assertEqual(str(metadata), str(before[0]))
        self.assertTrue(test_interop.same_arrays(arrays, before[1]))

    def test_a_module_is_shown_and_its_names_are_code(self):
        path = self.folder / "module.pt"
        save(KINDS["module"], path)
        with self.mounted(path, "edit=all") as mount:
            for command in ("mv tensors/encoder.weight tensors/x", "rm tensors/encoder.weight"):
                done = harness.run(command, cwd=mount.path)
                self.assertIn("Operation not permitted", done.stderr)


if __name__ == "__main__":
    harness.main()
