"""Stores of Earth2Studio that others write to, damage, link or collect."""

import os
import pathlib

import numpy as np

import harness
import store
from harness import wait_until
from store_test import STATE, StoreTest


class Outside(StoreTest):
    refusals = True

    def run_writes(self, entries):
        """As a run does it: from memory, by rename."""
        fresh = self.source / ".catalog.json.0123.tmp"
        store.write_json(fresh, {"version": 1, "entries": entries})
        fresh.replace(self.source / "catalog.json")

    def test_1_rows_of_a_run_appear(self):
        self.run_writes(self.catalog() + [store.write_row(self.source, 4)])
        wait_until(lambda: os.listdir(self.path("rows")) == ["0", "1", "2", "3"], timeout=2)

    def test_2_an_edit_that_a_run_undoes_is_told_and_kept(self):
        memory = self.catalog()
        self.ok("echo mine > rows/0/metadata/note")
        self.settle()
        self.run_writes(memory)
        wait_until(lambda: len(self.rejected()) > 0, timeout=2)
        self.assertIn("undid this edit", self.last_error())
        self.assertEqual(self.read("rows/0/metadata/note"), "a text\n")

    def test_3_temporaries_of_a_run_are_not_touched(self):
        staged = self.source / ".tmp_commit_00000009_0123456789ab"
        staged.mkdir()
        (staged / "manifest.json").write_text("{}")
        self.ok("echo other > rows/1/metadata/note")
        self.settle()
        self.assertEqual((staged / "manifest.json").read_text(), "{}")


class Damaged(StoreTest):
    @classmethod
    def make_source(cls, path):
        store.make(path, rows=4)
        ids = [row["commit_id"] for row in store.catalog(path)]
        (path / "commits" / ids[0] / "manifest.json").write_text("{")
        state = path / "commits" / ids[1] / "states" / store.hashed(store.STATE)
        np.save(state / "noise.npy", np.zeros(3))
        os.symlink("loop", path / "commits" / ids[2] / "loop")
        (path / "commits" / ids[3] / "manifest.json").rename(path / "commits" / ids[3] / "away")
        (path / ".tmp_commit_9").mkdir()

    def test_the_rest_stays_readable(self):
        self.assertEqual(len(self.read("catalog.tsv").splitlines()), 5)
        for row in range(4):
            self.assertEqual(self.read(f"rows/{row}/metadata/note"), "a text\n")
        self.fails("EUCLEAN", os.listdir, self.path("rows/0/states"))
        self.fails("EUCLEAN", self.read, f"rows/1/{STATE}/noise.npy")
        self.assertEqual(self.read(f"rows/1/{STATE}/seed"), "2\n")
        self.assertEqual(self.read(f"rows/2/{STATE}/seed"), "3\n")
        self.fails("EUCLEAN", self.read, "rows/3/manifest.json")
        self.ok("echo other > rows/2/metadata/note")  # with a symbolic link to itself in its commit


class Linked(StoreTest):
    """A store with symbolic links in it, which Earth2Studio makes none of."""

    @classmethod
    def make_source(cls, path):
        store.make(path, rows=4)
        secret = path.parent.parent / "secret"
        secret.mkdir()
        (secret / "key").write_text("secret\n")
        commits = [path / "commits" / row["commit_id"] for row in store.catalog(path)]
        states = pathlib.Path("states") / store.hashed(store.STATE)
        (commits[0] / "out").symlink_to(secret, target_is_directory=True)
        (commits[1] / "key").symlink_to(secret / "key")
        (commits[2] / "a").symlink_to(".")
        (commits[2] / "b").symlink_to(".")
        os.remove(commits[3] / states / "noise.npy")
        (commits[3] / states / "noise.npy").symlink_to(commits[2] / states / "noise.npy")

    def test_1_nothing_outside_is_shown(self):
        self.assertNotIn("secret", self.ok("grep -rs secret . .ckptree/raw || true"))
        self.assertEqual(self.ok("find .ckptree/raw -name key -o -name out"), "")

    def test_2_nothing_outside_gets_into_a_commit_and_no_walk_is_without_an_end(self):
        for row in range(3):
            self.ok(f"echo other > rows/{row}/metadata/note || true")
            self.fails("EUCLEAN", self.settle)
            self.assertEqual(self.read(f"rows/{row}/metadata/note"), "a text\n")
            self.assertIn("a symbolic link", self.last_error())
            self.ok("rm .ckptree/rejected/*")
        self.assertEqual(len(store.catalog(self.source)), 4)

    def test_3_a_link_within_the_store_is_a_file_of_the_new_commit(self):
        self.ok("echo other > rows/3/metadata/note")
        self.settle()
        new = self.source / "commits" / store.catalog(self.source)[3]["commit_id"]
        array = new / "states" / store.hashed(store.STATE) / "noise.npy"
        self.assertFalse(array.is_symlink())
        self.assertEqual(np.load(array).shape, np.load(self.path(f"rows/2/{STATE}/noise.npy")).shape)


class Rebuilt(StoreTest):
    @classmethod
    def make_source(cls, path):
        store.make(path)
        (path / "catalog.json").write_text("{\"entries\": [")

    def test_a_damaged_catalog_is_rebuilt_and_the_next_commit_stores_it(self):
        self.assertEqual(os.listdir(self.path("rows")), ["0", "1", "2"])
        self.assertIn("the rows are those of the manifests", self.read(".ckptree/status.json"))
        self.ok("echo other > rows/2/metadata/note")
        self.settle()
        self.assertEqual([row["metadata"]["note"] for row in self.catalog()], ["a text", "a text", "other"])


class Collection(StoreTest):
    """A directory of stores, one of them with ranks."""

    @classmethod
    def make_source(cls, path):
        store.make(path / "one")
        store.make(path / "deep" / "two", rows=1)
        for rank in range(2):
            store.make(path / "ranked" / f"rank_{rank:06d}", rows=2)

    def test_each_store_is_a_directory(self):
        self.assertEqual(sorted(os.listdir(self.mount.path)), ["deep", "one", "ranked"])
        self.assertEqual(self.read("one/kind"), "earth2studio\n")
        self.assertEqual(self.read("deep/two/rows/0/metadata/note"), "a text\n")
        self.assertEqual(os.listdir(self.path(f"one/rows/0/{STATE}")), ["state_id", "schema_hash", "seed", "when"])
        self.ok("echo mine > one/rows/1/metadata/note")
        self.write("one/.ckptree/flush", "1\n")
        self.assertEqual(store.catalog(self.source / "one")[1]["metadata"]["note"], "mine")

    def test_ranks_are_joined_in_one_table(self):
        self.assertEqual(sorted(os.listdir(self.path("ranked"))), ["catalog.tsv", "kind", "name", "path", "ranks"])
        self.assertEqual(len(self.read("ranked/catalog.tsv").splitlines()), 5)
        self.assertEqual(self.read("ranked/ranks/000001/rows/1/write_count"), "2\n")


if __name__ == "__main__":
    harness.main()
