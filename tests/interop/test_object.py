"""object/ against torch.load: every value of every kind of object, value by value."""

import collections
import contextlib
import copy
import pathlib
import shutil
import sys
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

import torch

import harness
from checkpoints import KINDS, lightning, same, save
from harness import Mount, run
from object_tree import Comparison
from zoo import ZOO


class ObjectTest(unittest.TestCase):
    totals = collections.Counter()

    def setUp(self):
        warnings.simplefilter("ignore")  # torch would like to have some of this no more
        self.folder = harness.folder / self.id().rsplit(".", 1)[1]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    @classmethod
    def tearDownClass(cls):
        print("agreed:", ", ".join(f"{count} {what}" for what, count in sorted(cls.totals.items())))

    @contextlib.contextmanager
    def mounted(self, path, options=""):
        mount = Mount(path, self.folder / f"mnt-{path.stem}", options)
        try:
            with harness.Watchdog([mount]):
                yield mount
                self.assertEqual(mount.unmount(), (0, 0), mount.messages())
        finally:
            mount.kill()

    def compare(self, path):
        loaded = torch.load(path, weights_only=False)
        with self.mounted(path) as mount:
            found = Comparison(mount.path / "object", loaded)
        self.assertEqual(found.wrong, [])
        self.totals.update(found.counts)

    def test_objects_of_every_kind(self):
        for protocol in (2, 3, 4, 5):
            for name, make in ZOO.items():
                if protocol == 5 and name == "objects":
                    continue  # how NumPy pickles its own is told by a pickle alone there
                with self.subTest(name, protocol=protocol):
                    path = self.folder / f"{name.replace(' ', '-')}-{protocol}.pt"
                    torch.save(make(), path, pickle_protocol=protocol)
                    self.compare(path)

    def test_checkpoints_of_every_shape(self):
        for name, kind in KINDS.items():
            with self.subTest(name):
                path = self.folder / f"{name}.pt"
                save(kind, path)
                self.compare(path)

    def edited(self, value, commands, edit, protocol=2, weights_only=True):
        """What torch.load gives after shell commands in the mounted checkpoint is what `edit` makes of it."""
        path = self.folder / "edited.pt"
        torch.save(value, path, pickle_protocol=protocol)
        before = path.stat().st_size
        with self.mounted(path, "edit=all") as mount:
            for command in commands:
                done = run(command, cwd=mount.path)
                self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        expected = copy.deepcopy(value)
        edit(expected)
        for safe in (False, True) if weights_only else (False,):
            self.assertTrue(same(torch.load(path, weights_only=safe), expected), commands)
        self.compare(path)
        return before, path.stat().st_size

    def test_values_of_a_training_checkpoint(self):
        def edit(c):
            c["epoch"], c["hyper_parameters"]["lr"], c["hyper_parameters"]["layers"] = 12, 0.5, [7, 13, 7, 1]
            c["optimizer_states"][0]["param_groups"][0]["betas"] = (0.8, 1.0)
            c["optimizer_states"][0]["param_groups"][0]["maximize"] = True
            c["hyper_parameters"] = {{"name": "title"}.get(k, k): v for k, v in c["hyper_parameters"].items()}
            c["new"] = {"a": {"b": "text"}, 5: [1, "x", None]}
            del c["global_step"]

        group = "object/optimizer_states/0/param_groups/0"
        commands = [
            "echo 12 > object/epoch", "sed -i s/0.001/0.5/ object/hyper_parameters/lr",
            "echo '[7, 13, 7, 1]' > object/hyper_parameters/layers", f"echo '[0.8, 1]' > {group}/betas",
            f"echo true > {group}/maximize", "mv object/hyper_parameters/name object/hyper_parameters/title",
            "mkdir -p object/new/a && echo text > object/new/a/b", "echo '[1, \"x\", null]' > object/new/5",
            "rm object/global_step",
        ]  # fmt: skip
        self.edited(lightning(), commands, edit)

    def test_optimizer_states_go_with_their_storages(self):
        def edit(c):
            del c["optimizer_states"]

        for value in (lightning(), {**lightning(), "optimizer_states": lightning()["optimizer_states"] * 2}):
            before, after = self.edited(value, ["rm -r object/optimizer_states"], edit)
            self.assertLess(after, before)

    def test_every_object_can_be_removed(self):
        for name in ("containers", "arrays", "objects", "shared", "tensors", "deep"):
            with self.subTest(name):
                value = {"keep": 1, "gone": ZOO[name]()}
                self.edited(value, ["rm -r object/gone"], lambda c: c.pop("gone"))

    def test_scalars_of_every_kind_are_written_back(self):
        """Each value set to itself, then to another of its type."""

        def edit(c):
            c.update(epoch=13, large=-(10**40), lr=2.0, text="\u00fcber", flag=False, none="word", third=float("inf"))
            c["empty text"] = "now"

        commands = [
            f"for f in object/*; do cat \"$f\" > {self.folder}/value && cat {self.folder}/value > \"$f\"; done",
            "echo 13 > object/epoch", f"echo -{10**40} > object/large", "echo 2 > object/lr", "echo '\u00fcber' > object/text",
            "echo false > object/flag", "echo word > object/none", "echo Infinity > object/third",
            "echo now > 'object/empty text'",
        ]  # fmt: skip
        plain = {k: v for k, v in ZOO["scalars"]().items() if type(v) in (int, float, str, bool, type(None)) and v == v}
        for protocol in (2, 3):
            self.edited(plain, commands, edit, protocol, weights_only=protocol == 2)


if __name__ == "__main__":
    harness.main()
