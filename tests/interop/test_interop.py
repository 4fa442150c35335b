"""What the real torch and the real anemoi-utils wrote, edited through a mount, is read by the real ones as if they had
written the edit, and every byte that was not edited is where it was."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

import numpy as np
import torch
from anemoi.utils import checkpoints as anemoi

import harness
import sample
from checkpoints import KINDS, same, same_arrays, save
from harness import Mount, run, wait_until

METADATA = {
    "version": "1.0",
    "uuid": "a-b-c",
    "nan": float("nan"),
    "large": 2**70,
    "config": {"training": {"lr": 0.0001}, "dataloader": {"dataset": "/old/path/a.zarr", "other": "/old/path/b"}},
}
ARRAYS = {
    "latitudes": np.linspace(-90, 90, 37),
    "cutout_mask": np.arange(12).reshape(3, 4) % 2 == 0,
    "names": np.array(["ab", "cdef"]),
    "empty": np.empty((0, 3), dtype="f4"),
    "scalar": np.array(2.5),
}
NESTED = {
    "lam": {"latitudes": np.arange(5.0), "mask": np.ones((2, 2), dtype="i2")},
    "global": {"latitudes": np.arange(3.0)},
}


class InteropTest(unittest.TestCase):
    def setUp(self):
        self.folder = harness.folder / self.id().rsplit(".", 1)[1]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    @contextlib.contextmanager
    def mounted(self, path, options=""):
        """A mount of `path`, which must end with everything committed."""
        mount = Mount(path, self.folder / f"mnt-{path.stem}", options)
        try:
            with harness.Watchdog([mount]):
                yield mount
                self.assertEqual(mount.unmount(), (0, 0), mount.messages())
        finally:
            mount.kill()

    def ok(self, command, cwd):
        done = run(command, cwd=cwd.path if isinstance(cwd, Mount) else cwd)
        self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        return done.stdout

    def checkpoint(self, name="plain", metadata=METADATA, arrays=None, file="model.ckpt"):
        """A checkpoint of the real libraries. @return its path, what torch.save was given"""
        path = self.folder / file
        value = save(KINDS[name], path)
        if metadata is not None:
            anemoi.save_metadata(str(path), metadata, supporting_arrays=arrays)
        return path, value

    def check_torch(self, path, value, kind):
        """Every way of torch.load gives what was saved."""
        self.assertTrue(same(torch.load(path, weights_only=False), value), "torch.load")
        self.assertTrue(same(torch.load(path, weights_only=False, mmap=True), value), "mmap=True")
        if kind.weights_only:
            self.assertTrue(same(torch.load(path, weights_only=True), value), "weights_only=True")
        # torch computes where each storage is and compares it with the local headers.
        os.environ["TORCH_SERIALIZATION_DEBUG"] = "1"
        try:
            self.assertTrue(same(torch.load(path, weights_only=False), value), "TORCH_SERIALIZATION_DEBUG=1")
            self.assertTrue(
                same(torch.load(path, weights_only=False, mmap=True), value), "TORCH_SERIALIZATION_DEBUG=1, mmap"
            )
        finally:
            del os.environ["TORCH_SERIALIZATION_DEBUG"]

    def check_bytes(self, before, path, edited):
        """Members that were not edited have their record, order and bytes; torch's stand where they stood."""
        after = {member.name: member for member in members(path)}
        old_names, names = [member.name for member in before], list(after)
        self.assertEqual([name for name in names if name in old_names], [name for name in old_names if name in names])
        for old in before:
            if old.name in edited or old.name not in after:
                continue
            new = after[old.name]
            self.assertEqual((new.record, new.data), (old.record, old.data), old.name)
            if "/anemoi-metadata/" not in old.name:
                self.assertEqual((new.header_at, new.data_at), (old.header_at, old.data_at), old.name)


def members(path):
    return sample.members(path)


class Samples(InteropTest):
    """The samples the other suites use are what the libraries write, byte for byte."""

    def test_the_sample_is_what_torch_save_writes(self):
        storages = [
            np.arange(4096, dtype="f4"),
            np.ones(33, dtype="f4"),
            np.zeros(0, dtype="f4"),
            np.arange(7, dtype="f4"),
        ]
        ours, theirs = self.folder / "ours" / "model.pt", self.folder / "theirs" / "model.pt"
        for path in (ours, theirs):
            path.parent.mkdir()
        sample.torch_save(ours, [storage.tobytes() for storage in storages], root="model")
        tensors = [torch.empty(len(storage)).copy_(torch.from_numpy(storage)) for storage in storages]
        torch.save({f"tensor{i}": tensor for i, tensor in enumerate(tensors)}, theirs)
        hide = lambda path: path.read_bytes()[
            : members(path)[-1].data_at
        ]  # up to the serialization id, a hash of no interest
        self.assertEqual(hide(ours), hide(theirs))
        self.assertEqual(ours.stat().st_size, theirs.stat().st_size)

    def test_the_sample_is_what_save_metadata_writes(self):
        paths = [self.folder / "ours.pt", self.folder / "theirs.pt"]
        for path in paths:
            sample.torch_save(path, sample.STORAGES, root="model")
        sample.save_metadata(paths[0], sample.METADATA, sample.ARRAYS)
        anemoi.save_metadata(str(paths[1]), sample.METADATA, supporting_arrays=sample.ARRAYS)
        dateless = lambda path: [
            member._replace(record=member.record[:3] + member.record[4:]) for member in members(path)
        ]
        self.assertEqual(dateless(paths[0]), dateless(paths[1]))


class Edits(InteropTest):
    """The command lines of the introduction, on a checkpoint of every kind."""

    def edit(self, name, arrays):
        kind = KINDS[name]
        path, value = self.checkpoint(name, arrays=arrays)
        before = members(path)
        np.save(self.folder / "mask.npy", np.arange(6).reshape(2, 3) > 2)
        with self.mounted(path) as mnt:
            self.assertEqual(self.ok("jq -r .config.dataloader.dataset metadata.json", mnt), "/old/path/a.zarr\n")
            self.ok("sed -i 's#/old/path#/new/path#' metadata.json", mnt)
            self.ok("echo 0.001 > metadata/config/training/lr", mnt)
            self.ok(f"cp {self.folder}/mask.npy arrays/cutout_mask.npy", mnt)
            if arrays is ARRAYS:
                shown = self.ok(
                    f"{sys.executable} -c 'import numpy; print(numpy.load(\"arrays/latitudes.npy\", "
                    "mmap_mode=\"r\")[:3])'",
                    mnt,
                )
                self.assertEqual(shown, f"{ARRAYS['latitudes'][:3]}\n")
            status = json.loads(self.ok("cat .ckptree/status.json", mnt))
            self.assertEqual(status["kind"], "torch")
        self.check_torch(path, value, kind)
        root = before[0].name.split("/")[0]
        self.check_bytes(
            before, path, {f"{root}/anemoi-metadata/anemoi.json", f"{root}/anemoi-metadata/cutout_mask.numpy"}
        )
        if kind.crc:  # without checksums Python's zipfile, and so anemoi, cannot read members of torch; its own it can
            metadata, loaded = anemoi.load_metadata(str(path), supporting_arrays=True)
        else:
            metadata = json.loads(run(["unzip", "-p", str(path), f"{root}/anemoi-metadata/anemoi.json"]).stdout)
            loaded = None
        index = metadata.pop("supporting_arrays_paths")
        wanted = json.loads(json.dumps(METADATA).replace('"/old/path/a', '"/new/path/a').replace("0.0001", "0.001"))
        # sed without g changes the first of each line; the document is one line.
        self.assertEqual(json.dumps(metadata), json.dumps(wanted))
        self.assertEqual(
            index["cutout_mask"],
            {"path": f"{root}/anemoi-metadata/cutout_mask.numpy", "shape": [2, 3], "dtype": "bool"},
        )
        if loaded is not None:
            expected = {**(arrays or {}), "cutout_mask": np.arange(6).reshape(2, 3) > 2}
            self.assertTrue(same_arrays(loaded, expected), f"{loaded} {expected}")

    def test_storages_can_be_located_by_computation(self):
        """torch.utils.serialization.config.load.calculate_storage_offsets trusts the layout alone."""
        path, value = self.checkpoint("many", arrays=ARRAYS)
        with self.mounted(path) as mnt:
            self.ok("sed -i s#/old#/another/and/longer# metadata.json", mnt)
        torch.utils.serialization.config.load.calculate_storage_offsets = True
        try:
            self.assertTrue(same(torch.load(path, mmap=True, weights_only=True), value))
        finally:
            torch.utils.serialization.config.load.calculate_storage_offsets = False

    def test_without_fuse(self):
        """`ckptree cat` and `ckptree write` work on the same files without a mount."""
        path, value = self.checkpoint("lightning", arrays=NESTED)
        before = members(path)
        self.ok(f"{harness.ckptree} cat {path} metadata.json | sed s#/old/path#/new/path# > new.json", self.folder)
        self.ok(f"{harness.ckptree} write {path} metadata.json < new.json", self.folder)
        self.ok(f"echo 0.5 | {harness.ckptree} write {path} metadata/config/training/lr", self.folder)
        self.check_torch(path, value, KINDS["lightning"])
        self.check_bytes(before, path, {"archive/anemoi-metadata/anemoi.json"})
        metadata, arrays = anemoi.load_metadata(str(path), supporting_arrays=True)
        self.assertEqual(metadata["config"]["dataloader"]["dataset"], "/new/path/a.zarr")
        self.assertEqual(metadata["config"]["training"]["lr"], 0.5)
        self.assertTrue(same_arrays(arrays, NESTED))

    def test_what_replace_metadata_has_rewritten(self):
        """Its archive has no descriptors, no alignment, no zip64 records: it is edited like any other."""
        path, value = self.checkpoint("many", arrays=ARRAYS)
        anemoi.replace_metadata(
            str(path),
            {**METADATA, "supporting_arrays_paths": anemoi.load_metadata(str(path))["supporting_arrays_paths"]},
        )
        before = members(path)
        with self.mounted(path) as mnt:
            self.ok("sed -i s#/old/path#/new/path# metadata.json", mnt)
        self.assertTrue(same(torch.load(path, weights_only=True), value))
        self.check_bytes(before, path, {"model/anemoi-metadata/anemoi.json"})
        metadata, arrays = anemoi.load_metadata(str(path), supporting_arrays=True)
        self.assertEqual(metadata["config"]["dataloader"]["dataset"], "/new/path/a.zarr")
        self.assertTrue(same_arrays(arrays, ARRAYS))


for _name in KINDS:
    for _label, _arrays in (("arrays", ARRAYS), ("nested_arrays", NESTED), ("no_arrays", None)):

        def _test(self, name=_name, arrays=_arrays):
            self.edit(name, arrays)

        setattr(Edits, f"test_{_name}_with_{_label}", _test)


class Functions(InteropTest):
    """Each of anemoi's seven functions against its row of the table: the same question, the same answer; the same edit,
    the same checkpoint for whoever reads it."""

    def pair(self, **keywords):
        """The same checkpoint twice: one for the tree, one for anemoi."""
        tree, value = self.checkpoint(**keywords)
        (self.folder / "anemoi").mkdir(exist_ok=True)
        theirs = self.folder / "anemoi" / tree.name
        shutil.copy(tree, theirs)
        return tree, theirs, value

    def same_for_readers(self, tree, theirs, value):
        a, b = (anemoi.load_metadata(str(path), supporting_arrays=True) for path in (tree, theirs))
        self.assertEqual(json.dumps(a[0], sort_keys=True), json.dumps(b[0], sort_keys=True))
        self.assertTrue(same_arrays(a[1], b[1]))
        self.assertEqual(sorted(zipfile.ZipFile(tree).namelist()), sorted(zipfile.ZipFile(theirs).namelist()))
        self.check_torch(tree, value, KINDS["plain"])

    def test_has_metadata(self):
        for metadata in (None, METADATA):
            path, _ = self.checkpoint(metadata=metadata)
            with self.mounted(path) as mnt:
                self.assertEqual(os.path.exists(mnt / "metadata.path"), anemoi.has_metadata(str(path)))
            path.unlink()

    def test_get_metadata_path(self):
        path, _ = self.checkpoint()
        with self.mounted(path) as mnt:
            self.assertEqual((mnt / "metadata.path").read_text(), anemoi.get_metadata_path(str(path)) + "\n")
        path, _ = self.checkpoint(metadata=None, file="none.ckpt")
        self.assertRaises(FileNotFoundError, anemoi.get_metadata_path, str(path))
        with self.mounted(path) as mnt:
            self.assertRaises(FileNotFoundError, open, mnt / "metadata.path")
        path, _ = self.checkpoint(file="two.ckpt")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("two/other/anemoi.json", "{}")
        self.assertRaises(ValueError, anemoi.get_metadata_path, str(path))
        with self.mounted(path) as mnt:
            self.assertEqual(
                (mnt / "metadata.path").read_text().split(),
                ["two/anemoi-metadata/anemoi.json", "two/other/anemoi.json"],
            )

    def test_load_metadata_and_load_supporting_arrays(self):
        for arrays in (ARRAYS, NESTED, None):
            path, _ = self.checkpoint(arrays=arrays)
            metadata, loaded = anemoi.load_metadata(str(path), supporting_arrays=True)

            def shown(directory):
                return {
                    entry.name.removesuffix(".npy"): shown(entry.path) if entry.is_dir() else np.load(entry.path)
                    for entry in os.scandir(directory)
                }

            with self.mounted(path) as mnt:
                self.assertEqual(json.dumps(json.loads((mnt / "metadata.json").read_text())), json.dumps(metadata))
                self.assertTrue(same_arrays(shown(mnt / "arrays"), loaded))
            path.unlink()

    def test_the_deprecated_name(self):
        path, _ = self.checkpoint(metadata=None)
        anemoi.save_metadata(str(path), METADATA, name="ai-models.json")
        with self.mounted(path) as mnt:
            self.ok("sed -i s#/old/path#/new/path# metadata.json", mnt)
        self.assertEqual(anemoi.load_metadata(str(path))["config"]["dataloader"]["dataset"], "/new/path/a.zarr")
        self.assertFalse(anemoi.has_metadata(str(path)))

    def test_save_metadata(self):
        for number, arrays in enumerate((ARRAYS, NESTED, {})):
            tree, theirs, value = self.pair(metadata=None, file=f"model{number}.ckpt")
            (self.folder / "m.json").write_text(json.dumps(METADATA))
            with self.mounted(tree) as mnt:
                write_arrays(mnt / "arrays", arrays)
                self.ok(f"cp {self.folder}/m.json metadata.json", mnt)
            anemoi.save_metadata(str(theirs), METADATA, supporting_arrays=arrays)
            self.same_for_readers(tree, theirs, value)

    def test_save_metadata_of_one_that_has_some(self):
        path, _ = self.checkpoint()
        self.assertRaises(ValueError, anemoi.save_metadata, str(path), METADATA)
        with self.mounted(path) as mnt:
            self.assertRaises(FileExistsError, open, mnt / "metadata.json", "x")

    def test_save_metadata_under_another_name_and_folder(self):
        tree, theirs, value = self.pair(metadata=None)
        (self.folder / "m.json").write_text(json.dumps(METADATA))
        with self.mounted(tree, "name=other.json,folder=elsewhere") as mnt:
            write_arrays(mnt / "arrays", NESTED)
            self.ok(f"cp {self.folder}/m.json metadata.json", mnt)
        anemoi.save_metadata(str(theirs), METADATA, supporting_arrays=NESTED, name="other.json", folder="elsewhere")
        for name in ("other.json",):
            a, b = (anemoi.load_metadata(str(path), supporting_arrays=True, name=name) for path in (tree, theirs))
            self.assertEqual(json.dumps(a[0], sort_keys=True), json.dumps(b[0], sort_keys=True))
            self.assertTrue(same_arrays(a[1], b[1]))

    def test_replace_metadata(self):
        tree, theirs, value = self.pair(arrays=NESTED)
        new = {"version": "2.0", "entirely": ["new", 1.5, None]}
        index = anemoi.load_metadata(str(theirs))["supporting_arrays_paths"]
        (self.folder / "m.json").write_text(json.dumps(new))
        with self.mounted(tree) as mnt:
            self.ok(f"cp {self.folder}/m.json metadata.json", mnt)
        anemoi.replace_metadata(str(theirs), {**new, "supporting_arrays_paths": index})
        self.same_for_readers(tree, theirs, value)

    def test_replace_metadata_refuses_what_the_tree_refuses(self):
        path, _ = self.checkpoint()
        for wrong in ([1], {"no": "version"}):
            self.assertRaises(ValueError, anemoi.replace_metadata, str(path), wrong)
            (self.folder / "wrong.json").write_text(json.dumps(wrong))
            with self.mounted(path) as mnt:
                done = run(["cp", str(self.folder / "wrong.json"), str(mnt / "metadata.json")])
                self.assertIn("Bad message", done.stderr)
                kept = wait_until(lambda: os.listdir(mnt / ".ckptree/rejected"))
                os.unlink(mnt / ".ckptree/rejected" / kept[0])

    def test_replace_metadata_with_arrays(self):
        tree, theirs, value = self.pair(arrays=ARRAYS)
        array = ARRAYS["latitudes"] + 1  # of the same shape: anemoi does not update its index
        metadata = anemoi.load_metadata(str(theirs))
        with self.mounted(tree) as mnt:
            np.save(mnt / "arrays/latitudes.npy", array)
        anemoi.replace_metadata(str(theirs), metadata, supporting_arrays={"latitudes": array})
        self.same_for_readers(tree, theirs, value)

    def test_remove_metadata(self):
        tree, theirs, value = self.pair(arrays=NESTED)
        with self.mounted(tree) as mnt:
            self.ok("rm metadata.json", mnt)
        anemoi.remove_metadata(str(theirs))
        self.assertFalse(anemoi.has_metadata(str(tree)))
        self.assertEqual(sorted(zipfile.ZipFile(tree).namelist()), sorted(zipfile.ZipFile(theirs).namelist()))
        self.check_torch(tree, value, KINDS["plain"])

    def test_the_command_line_of_anemoi(self):
        path, _ = self.checkpoint(arrays=ARRAYS)
        with self.mounted(path) as mnt:
            self.ok("echo 0.25 > metadata/config/training/lr", mnt)
        tool = pathlib.Path(sys.executable).parent / "anemoi-utils"
        done = subprocess.run([tool, "metadata", "--get", "config.training.lr", path], text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("0.25", done.stdout)


def write_arrays(directory, arrays):
    for key, value in arrays.items():
        if isinstance(value, dict):
            os.mkdir(directory / key)
            write_arrays(directory / key, value)
        else:
            np.save(directory / f"{key}.npy", value)


if __name__ == "__main__":
    harness.main()
