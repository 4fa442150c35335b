"""Editing supporting arrays, and the life of the metadata as a whole: adding it, removing it."""

import json
import os
import zipfile

import numpy as np

import harness
import sample
from harness import MountTest, run, wait_until

FOLDER = "archive/anemoi-metadata"
LATITUDES = {"path": f"{FOLDER}/latitudes.numpy", "shape": [181], "dtype": "float64"}


class ArrayTest(MountTest):
    refusals = True

    def index(self):
        return self.stored_document()["supporting_arrays_paths"]

    def new(self, array, name="new.npy"):
        """A .npy file outside the mount."""
        path = self.folder / name
        np.save(path, array)
        return path

    def check(self, name, member, array):
        """What the mount shows, the member and its entry in the index must all be `array`, in C order."""
        shown = np.load(self.mount / f"arrays/{name}.npy")
        self.assertEqual((shown.dtype, shown.shape), (array.dtype, array.shape))
        np.testing.assert_array_equal(shown, array)
        self.assertEqual(self.stored(member), array.tobytes())
        entry = self.index()
        for key in name.split("/"):
            entry = entry[key]
        self.assertEqual(entry, {"path": member, "shape": list(array.shape), "dtype": str(array.dtype)})
        row = f"{name}\t{array.dtype}\t{'x'.join(map(str, array.shape)) or 'scalar'}\t{array.nbytes}\t{member}"
        self.assertIn(row, self.read("arrays.tsv").splitlines())


class Arrays(ArrayTest):
    def test_cp_replaces_an_array_and_its_entry_in_one_commit(self):
        array = np.arange(6, dtype="i4").reshape(2, 3)
        self.assertEqual(self.commits_after(lambda: self.ok(f"cp {self.new(array)} arrays/latitudes.npy")), 1)
        self.check("latitudes", LATITUDES["path"], array)

    def test_cp_adds_an_array(self):
        array = np.linspace(0, 1, 5, dtype="f2")
        self.assertEqual(self.commits_after(lambda: self.ok(f"cp {self.new(array)} arrays/added.npy")), 1)
        self.check("added", f"{FOLDER}/added.numpy", array)

    def test_mkdir_nests_arrays(self):
        array = np.ones((2, 2), dtype="u1")
        self.ok(f"mkdir -p arrays/outer/inner && cp {self.new(array)} arrays/outer/inner/a.npy")
        self.check("outer/inner/a", f"{FOLDER}/outer/inner/a.numpy", array)

    def test_mv_renames_an_array_and_its_path(self):
        array = np.load(self.mount / "arrays/longitudes.npy")
        self.ok("mv arrays/longitudes.npy arrays/lon.npy")
        wait_until(lambda: "lon" in self.index())
        self.check("lon", f"{FOLDER}/lon.numpy", array)
        self.assertNotIn("longitudes", self.index())
        self.ok("mv arrays/lon.npy arrays/longitudes.npy")

    def test_rm_removes_an_array_and_its_entry(self):
        self.ok(f"cp {self.new(np.zeros(3))} arrays/short.npy && rm arrays/short.npy")
        self.assertTrue(wait_until(lambda: "short" not in self.index()))
        with zipfile.ZipFile(self.source) as archive:
            self.assertNotIn(f"{FOLDER}/short.numpy", archive.namelist())

    def test_every_input_numpy_writes_is_stored_in_c_order(self):
        base = np.arange(24).reshape(2, 3, 4)
        for array in (
            np.asfortranarray(base.astype("f8")),
            base.astype(">f8"),
            base.astype(">i2"),
            np.array(3.5),
            np.empty((0, 4)),
            np.array(["a", "xyz"]),
            np.array(["2024-02-29"], dtype="datetime64[ns]"),
            base.astype("c16"),
            base % 2 == 0,
            np.array([b"ab"]),
        ):
            self.ok(f"cp {self.new(array)} arrays/input.npy")
            self.check("input", f"{FOLDER}/input.numpy", np.ascontiguousarray(array).reshape(array.shape))

    def test_other_versions_of_the_header_are_read(self):
        for version in ((1, 0), (2, 0), (3, 0)):
            with open(self.folder / "v.npy", "wb") as file:
                np.lib.format.write_array(file, np.arange(3), version=version)
            self.ok(f"cp {self.folder}/v.npy arrays/version.npy")
            self.check("version", f"{FOLDER}/version.numpy", np.arange(3))

    def test_what_is_no_array_is_refused(self):
        header = lambda text: b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text
        good = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n"
        objects = self.folder / "objects.npy"
        np.save(objects, np.array([{}, None]), allow_pickle=True)
        structured = self.new(np.zeros(2, dtype=[("a", "f4"), ("b", "i2")]), "structured.npy").read_bytes()
        for data in (
            b"no array",
            b"\x93NUMPY",
            header(good) + bytes(8),
            header(good) + bytes(17),
            header(b"{"),
            header(good.replace(b"(2,)", b"(-2,)")),
            header(good.replace(b"(2,)", b"(2**70,)")),
            header(good.replace(b"(2,)", b"(4611686018427387904, 4611686018427387904)")),
            header(good.replace(b"<f8", b"<f9")) + bytes(16),
            header(good.replace(b"False", b"1")) + bytes(16),
            header(b"{'descr': " + b"[" * 60000) + bytes(16),
            objects.read_bytes(),
            structured,
        ):
            (self.folder / "bad.npy").write_bytes(data)
            before = (self.mount / "arrays/cutout_mask.npy").read_bytes()
            self.refused(f"cp {self.folder}/bad.npy arrays/cutout_mask.npy", "Bad message")
            self.assertNotEqual(self.last_error().strip(), "")
            self.assertEqual((self.mount / "arrays/cutout_mask.npy").read_bytes(), before)

    def test_a_name_that_is_no_array_is_scratch(self):
        before = self.read("metadata.json")
        self.ok("echo hello > arrays/notes.txt && cat arrays/notes.txt && rm arrays/notes.txt")
        self.assertEqual(self.read("metadata.json"), before)


class Oddities(ArrayTest):
    """Several members of one name, arrays that do not fit their shape, entries that lead nowhere."""

    @classmethod
    def make_source(cls, path):
        sample.make(path, metadata=None)
        entry = lambda key, shape, dtype="float64": {"path": f"{FOLDER}/{key}.numpy", "shape": shape, "dtype": dtype}
        index = {
            "twice": entry("twice", [2]),
            "short": entry("short", [100]),
            "absent": entry("absent", [1]),
            "strange": entry("twice", [2], "[('a', '<f4')]"),
            "huge": entry("twice", [2**62, 2**62]),
        }
        sample.save_metadata(path, json.dumps({"version": 1, "supporting_arrays_paths": index}).encode())
        with zipfile.ZipFile(path, "a") as archive:
            for value in (1.0, 2.0):
                archive.writestr(f"{FOLDER}/twice.numpy", np.full(2, value).tobytes())
            archive.writestr(f"{FOLDER}/short.numpy", bytes(80))

    def test_of_several_members_of_one_name_the_last_is_shown_with_a_warning(self):
        np.testing.assert_array_equal(np.load(self.mount / "arrays/twice.npy"), [2.0, 2.0])
        self.assertIn("twice", json.dumps(self.mount.status()["warnings"]))

    def test_an_array_that_does_not_fit_its_shape_fails_alone(self):
        for name in ("short", "absent", "huge"):
            with self.assertRaises(OSError, msg=name):
                (self.mount / f"arrays/{name}.npy").read_bytes()
        self.fails("EUCLEAN", self.read, "arrays/short.npy")
        np.testing.assert_array_equal(np.load(self.mount / "arrays/twice.npy"), [2.0, 2.0])
        self.assertIn("twice", self.read("arrays.tsv"))
        self.ok("ls -l . metadata && cat metadata.json kind")

    def test_one_that_does_not_fit_can_be_replaced(self):
        array = np.arange(4.0)
        self.ok(f"cp {self.new(array)} arrays/short.npy")
        self.check("short", f"{FOLDER}/short.numpy", array)


class Lifecycle(ArrayTest):
    """save_metadata, remove_metadata and what is between."""

    @classmethod
    def make_source(cls, path):
        sample.make(path, metadata=None, root="model.v1")

    def test_a_document_is_added_with_the_arrays_that_waited_for_it(self):
        array = np.arange(5.0)
        self.ok(f"cp {self.new(array)} arrays/waiting.npy")
        np.testing.assert_array_equal(np.load(self.mount / "arrays/waiting.npy"), array)
        with zipfile.ZipFile(self.source) as archive:
            self.assertFalse([name for name in archive.namelist() if "waiting" in name])
        commits = self.commits_after(lambda: self.ok("""echo '{"version": 1}' > metadata.json"""))
        self.assertEqual(commits, 1)
        member = "model.v1/anemoi-metadata/anemoi.json"
        self.assertEqual(self.read("metadata.path"), member + "\n")
        document = json.loads(self.stored(member))
        path = "model.v1/anemoi-metadata/waiting.numpy"
        self.assertEqual(
            document,
            {"version": 1, "supporting_arrays_paths": {"waiting": {"path": path, "shape": [5], "dtype": "float64"}}},
        )
        self.assertEqual(self.stored(path), array.tobytes())

        with self.subTest("it is there for everyone who wants to create it"):
            self.fails("EEXIST", os.open, self.path("metadata.json"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)

        with self.subTest("rm removes it and leaves the members of arrays, as anemoi does"):
            self.assertEqual(self.commits_after(lambda: self.ok("rm metadata.json")), 1)
            with zipfile.ZipFile(self.source) as archive:
                self.assertNotIn(member, archive.namelist())
                self.assertIn(path, archive.namelist())
            self.assertFalse(os.path.exists(self.path("metadata.json")))
            self.assertFalse(os.path.exists(self.path("metadata.path")))
            self.assertEqual(os.listdir(self.path("arrays")), [])
            [kept] = os.listdir(self.path(".ckptree/removed"))
            self.assertEqual(json.loads(self.read(f".ckptree/removed/{kept}")), document)

        with self.subTest("an array written under the name of one that was left takes its place"):
            self.ok(f"cp {self.new(np.arange(3.0))} arrays/waiting.npy && echo '{{}}' > metadata.json")
            with zipfile.ZipFile(self.source) as archive:
                self.assertEqual(archive.namelist().count(path), 1)
            self.assertEqual(self.stored(path), np.arange(3.0).tobytes())


class RemovesAll(ArrayTest):
    """ "-o remove=all takes them too.\" """

    options = "remove=all,folder=elsewhere"

    def test_the_arrays_go_with_the_document(self):
        self.ok("rm metadata.json")
        with zipfile.ZipFile(self.source) as archive:
            self.assertFalse([name for name in archive.namelist() if "anemoi" in name])
        self.ok("""echo '{"version": 1}' > metadata.json""")
        self.assertEqual(self.read("metadata.path"), "archive/elsewhere/anemoi.json\n")


class TwoTopDirectories(ArrayTest):
    """ "No or several top directories: ENOTUNIQ.\" """

    @classmethod
    def make_source(cls, path):
        sample.make(path, metadata=None)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("other/file", "x")

    def test_a_document_cannot_be_added(self):
        (self.folder / "m.json").write_text('{"version": 1}')
        done = run(["cp", str(self.folder / "m.json"), self.path("metadata.json")])
        self.assertEqual(done.returncode, 1)
        self.assertIn("Name not unique", done.stderr)


if __name__ == "__main__":
    harness.main()
