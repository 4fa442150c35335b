"""tensors/ and values/: what they show, and edits of names as people make them."""

import json
import os

import numpy as np

import harness
import sample
from harness import RENAME_EXCHANGE, RENAME_NOREPLACE, MountTest, renameat2, run, wait_until
from sample import View

DATA = np.arange(60, dtype="f4")
VIEWS = {
    "all": View(0, 0, (3, 4, 5), (20, 5, 1)),
    "row": View(0, 7, (5,), (1,)),
    "transposed": View(0, 0, (5, 4), (1, 5)),
    "channels last": View(0, 0, (3, 5, 4), (20, 1, 5)),
    "steps": View(0, 2, (3, 2), (20, 10)),
    "expanded": View(0, 3, (2, 3), (0, 0)),
    "scalar": View(0, 59, (), ()),
    "empty": View(1, 0, (0, 4), (4, 1)),
}
MODULES = 300


def make_views(path):
    sample.torch_save(path, [DATA.tobytes(), b""], tensors=VIEWS)


def make_modules(path):
    storages = [np.full(4, i, dtype="f4").tobytes() for i in range(2 * MODULES)]
    names = [f"encoder.{i}.{part}" for i in range(MODULES) for part in ("weight", "bias")]
    sample.torch_save(path, storages, tensors={name: View(i, 0, (4,), (1,)) for i, name in enumerate(names)})


def array_of(view):
    return np.lib.stride_tricks.as_strided(DATA[view.offset :], view.shape, [4 * step for step in view.stride])


class Shown(MountTest):
    make_source = staticmethod(make_views)

    def test_values_can_be_mapped(self):
        for name, view in VIEWS.items():
            path = self.path(f"values/{name}.npy")
            if view.shape and 0 not in view.shape:
                self.assertTrue(np.array_equal(np.load(path, mmap_mode="r"), array_of(view)), name)
            array = np.load(path)
            self.assertEqual((array.shape, array.dtype.str), (view.shape, "<f4"))

    def test_sizes_are_exact(self):
        for folder in ("tensors", "values"):
            for name in os.listdir(self.path(folder)):
                path = self.mount / folder / name
                self.assertEqual(path.stat().st_size, len(path.read_bytes()), name)

    def test_each_says_what_it_is(self):
        said = json.loads(self.read("tensors/steps"))
        others = [name for name in VIEWS if name not in ("steps", "empty")]
        self.assertEqual(
            said,
            {
                "name": "steps",
                "shape": [3, 2],
                "dtype": "float32",
                "stride": [20, 10],
                "offset": 2,
                "storage": "0",
                "device": "cpu",
                "requires_grad": False,
                "nbytes": 24,
                "shared_with": others,
                "layout": "strided",
                "storage_nbytes": 240,
            },
        )
        lines = self.read("tensors.tsv").split("\n")
        self.assertEqual(
            lines[0], "key\tdtype\tshape\tnbytes\tstorage\toffset\tstride\tdevice\trequires_grad\tshared_with"
        )
        self.assertEqual(lines[5], "steps\tfloat32\t3x2\t24\t0\t2\t20x10\tcpu\tfalse\t" + ",".join(others))
        self.assertEqual(lines[7], "scalar\tfloat32\tscalar\t4\t0\t59\tscalar\tcpu\tfalse\t" + ",".join(
            name for name in VIEWS if name not in ("scalar", "empty")))
        self.assertEqual(len(lines), len(VIEWS) + 2)

    def test_names_cannot_be_changed_without_edit_all(self):
        for folder in ("tensors", "values"):
            for name in os.listdir(self.path(folder)):
                self.assertEqual(os.stat(self.path(f"{folder}/{name}")).st_mode & 0o777, 0o444, name)
        self.fails("EPERM", os.rename, self.path("tensors/all"), self.path("tensors/new"))
        self.fails("EPERM", os.unlink, self.path("tensors/all"))
        self.fails("EPERM", os.rename, self.path("values/all.npy"), self.path("values/new.npy"))
        self.assertEqual(self.mount.commits(), 0)


class NoData(MountTest):
    make_source = staticmethod(make_views)
    options = "nodata"

    def test_values_are_hidden(self):
        self.assertFalse(os.path.exists(self.path("values")))
        self.assertEqual(len(os.listdir(self.path("tensors"))), len(VIEWS))


class Names(MountTest):
    make_source = staticmethod(make_views)
    options = "edit=all,flush_interval=none"

    def tearDown(self):
        (self.mount / ".ckptree/discard").write_text("x")

    def name_in(self, path):
        return json.loads(self.read(path))["name"]

    def test_a_new_name_is_seen_at_once(self):
        os.listdir(self.path("tensors"))
        self.assertEqual((self.name_in("tensors/all"), self.name_in("tensors/row")), ("all", "row"))
        self.assertIn("all", json.loads(self.read("tensors/row"))["shared_with"])
        os.rename(self.path("tensors/all"), self.path("tensors/x%2Fy"))
        self.assertEqual(self.name_in("tensors/x%2Fy"), "x/y")
        self.assertIn("x/y", json.loads(self.read("tensors/row"))["shared_with"])
        self.assertFalse(os.path.exists(self.path("tensors/all")))
        self.assertFalse(os.path.exists(self.path("values/all.npy")))
        self.assertTrue(np.array_equal(np.load(self.path("values/x%2Fy.npy")), array_of(VIEWS["all"])))
        self.assertIn("\nrow\t", self.read("tensors.tsv"))
        self.assertNotIn("\nall\t", self.read("tensors.tsv"))
        self.assertEqual(os.listdir(self.path("tensors"))[0], "x%2Fy")

    def test_a_swap_swaps_what_is_meant(self):
        shapes = [json.loads(self.read(f"tensors/{name}"))["shape"] for name in ("all", "row")]
        renameat2(self.path("tensors/all"), self.path("tensors/row"), RENAME_EXCHANGE)
        self.assertEqual([json.loads(self.read(f"tensors/{name}"))["shape"] for name in ("row", "all")], shapes)
        self.assertEqual((self.name_in("tensors/all"), self.name_in("tensors/row")), ("all", "row"))
        self.assertEqual(np.load(self.path("values/row.npy")).shape, (3, 4, 5))

    def test_what_is_there_is_not_replaced(self):
        self.fails("EEXIST", os.rename, self.path("tensors/all"), self.path("tensors/row"))
        self.fails("EEXIST", renameat2, self.path("tensors/all"), self.path("tensors/row"), RENAME_NOREPLACE)
        self.fails("ENOENT", renameat2, self.path("tensors/all"), self.path("tensors/no"), RENAME_EXCHANGE)
        self.fails("ENOENT", os.rename, self.path("tensors/no"), self.path("tensors/row"))
        self.assertEqual(self.mount.status()["pending"], 0)

    def test_a_description_is_derived(self):
        with self.assertRaises(OSError):
            with open(self.path("tensors/all"), "w") as file:
                file.write("x")
        self.assertIn("only its name can be changed", self.read(".ckptree/last_error"))
        self.fails("EPERM", os.mkdir, self.path("tensors/new"))
        self.fails("EPERM", os.rename, self.path("tensors/all"), self.path("object/new"))
        self.fails("EPERM", os.rmdir, self.path("tensors"))
        run("rm -f .ckptree/rejected/*", cwd=self.mount.path)

    def test_a_removal_of_all_is_refused_as_a_whole(self):
        names, commits = os.listdir(self.path("tensors")), self.mount.commits()
        self.refused("rm tensors/*", "Operation not permitted")
        self.assertEqual(os.listdir(self.path("tensors")), names)
        self.refused("rm -r tensors/*", "Operation not permitted")
        self.assertEqual((os.listdir(self.path("tensors")), self.mount.commits()), (names, commits))

    def test_the_last_tensor_stays(self):
        self.ok("rm " + " ".join(f"'tensors/{name}'" for name in list(VIEWS)[1:]))
        self.refused("rm tensors/all", "Operation not permitted")
        self.assertIn("the last tensor cannot be removed", self.read(".ckptree/last_error"))
        self.assertEqual(os.listdir(self.path("tensors")), ["all"])


class Loops(MountTest):
    make_source = staticmethod(make_modules)
    options = "edit=all"

    def test_hundreds_of_renames_are_a_handful_of_commits(self):
        self.ok('for t in tensors/encoder.*; do mv "$t" "tensors/model.$(basename "$t")"; done')
        self.assertTrue(wait_until(lambda: self.mount.status()["pending"] == 0))
        # One a second, and one after each quiet moment.
        self.assertLess(self.mount.commits(), MODULES / 5 * harness.SLOWNESS)
        names = os.listdir(self.path("tensors"))
        self.assertEqual(len(names), 2 * MODULES)
        self.assertTrue(all(name.startswith("model.encoder.") for name in names))
        for i in (0, 1, 299):
            self.assertEqual(np.load(self.path(f"values/model.encoder.{i}.weight.npy")).tolist(), [2.0 * i] * 4)

        before = self.mount.commits()
        size = os.stat(self.source).st_size
        self.ok("rm tensors/*.weight")
        self.assertTrue(wait_until(lambda: self.mount.status()["pending"] == 0))
        self.assertLessEqual(self.mount.commits(), before + 2)
        self.assertEqual(len(os.listdir(self.path("tensors"))), MODULES)
        self.assertLess(os.stat(self.source).st_size, 0.7 * size)
        for i in (0, 1, 299):
            self.assertEqual(np.load(self.path(f"values/model.encoder.{i}.bias.npy")).tolist(), [2.0 * i + 1] * 4)
        self.assertTrue(all(member.data_at % 64 == 0 for member in sample.members(self.source)))


if __name__ == "__main__":
    harness.main()
