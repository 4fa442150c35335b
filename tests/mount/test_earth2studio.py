"""A restart catalog of Earth2Studio: rows, edits that are commits, a row written from a shell."""

import json
import os
import pathlib

import numpy as np

import harness
import store
from harness import MountTest, wait_until

STATE = f"states/{store.STATE}"


class StoreTest(MountTest):
    options = "edit=all"
    source_name = "forecast"

    @classmethod
    def make_source(cls, path):
        store.make(path)

    def catalog(self):
        return store.catalog(self.source)

    def settle(self):
        """What is pending is committed."""
        self.write(".ckptree/flush", "1\n")


class Reading(StoreTest):
    def test_the_top(self):
        self.assertEqual(self.ok("cat kind name"), "earth2studio\nforecast\n")
        self.assertEqual(sorted(os.listdir(self.mount.path)),
                         ["catalog.json", "catalog.tsv", "commits", "kind", "latest", "name", "next", "path", "rows"])
        self.assertEqual(self.read("catalog.json"), (self.source / "catalog.json").read_text())

    def test_negative_rows_are_links_that_are_not_listed(self):
        self.assertEqual(os.listdir(self.path("rows")), ["0", "1", "2"])
        self.assertEqual(self.ok("readlink rows/-1 rows/-3 latest"), "2\n0\nrows/2\n")
        self.assertEqual(self.read("rows/-1/write_count"), "3\n")
        self.refused("cat rows/3/write_count", "No such file")
        self.refused("cat rows/-4/write_count", "No such file")

    def test_commits_lead_to_rows(self):
        for number, row in enumerate(self.catalog()):
            self.assertEqual(os.readlink(self.path(f"commits/{row['commit_id']}")), f"../rows/{number}")
            self.assertEqual(self.read(f"commits/{row['commit_id']}/write_count"), f"{number + 1}\n")

    def test_arrays_are_mapped_without_a_copy(self):
        array = np.load(self.mount / f"latest/{STATE}/noise.npy", mmap_mode="r")
        np.testing.assert_array_equal(array, np.arange(8, dtype="f4") + 3)

    def test_grep_and_the_table(self):
        self.assertEqual(self.ok("grep -l 12 rows/*/metadata/lead_time/value"), "rows/1/metadata/lead_time/value\n")
        self.assertEqual(self.ok("cut -f 5 catalog.tsv").split("\n")[:2], ["note", "a text"])
        self.assertIn("12 hours", self.read("catalog.tsv"))

    def test_files_of_the_store_are_below_raw(self):
        self.assertEqual(sorted(os.listdir(self.path(".ckptree/raw"))), ["catalog.json", "commits"])


class Editing(StoreTest):
    refusals = True

    def test_a_value_is_a_commit_in_the_place_of_the_old_one(self):
        before = self.catalog()
        self.ok("echo 99 > rows/1/metadata/lead_time/value")
        self.assertEqual(self.read("rows/1/metadata/lead_time/value"), "99\n")
        self.settle()
        after = self.catalog()
        self.assertEqual([r["commit_id"] for r in (after[0], after[2])], [r["commit_id"] for r in (before[0], before[2])])
        self.assertNotEqual(after[1]["commit_id"], before[1]["commit_id"])
        self.assertEqual(after[1]["metadata"]["lead_time"]["value"], 99)
        self.assertEqual(store.manifest(self.source, 1)["metadata"]["lead_time"]["value"], 99)
        for key in ("write_count", "saved_at", "labels"):
            self.assertEqual(after[1][key], before[1][key])
        old, new = (self.source / "commits" / row[1]["commit_id"] for row in (before, after))
        array = f"states/{store.hashed(store.STATE)}/noise.npy"
        self.assertTrue(os.path.samefile(old / array, new / array))

    def test_editors_save_the_document(self):
        self.ok("sed -i 's/a text/edited/' rows/0/metadata.json")
        self.assertEqual(self.read("rows/0/metadata/note"), "edited\n")
        self.assertEqual(self.catalog()[0]["metadata"]["note"], "edited")
        self.ok("jq '.note = \"again\"' rows/0/metadata.json > t && mv t rows/0/metadata.json")
        self.assertEqual(self.catalog()[0]["metadata"]["note"], "again")

    def test_what_earth2studio_could_not_read_is_refused(self):
        before = self.catalog()
        self.refused("echo soon > rows/1/metadata/lead_time/value", "Bad message")
        self.refused("echo 1.5 > rows/1/metadata/lead_time/value", "Bad message")
        self.refused("echo parsec > rows/1/metadata/lead_time/unit", "Bad message")
        self.assertIn("a unit of NumPy", self.last_error())
        self.refused(f"echo 2024-13-01 > rows/1/{STATE}/when", "Bad message")
        self.assertEqual(self.catalog(), before)

    def test_an_array_of_a_state_keeps_its_shape(self):
        np.save(self.mount / f"rows/2/{STATE}/noise.npy", np.ones(8, "f4"))
        np.testing.assert_array_equal(np.load(self.mount / f"rows/2/{STATE}/noise.npy"), np.ones(8, "f4"))
        np.save(self.folder / "longer.npy", np.ones(9, "f4"))
        self.refused(f"cp {self.folder}/longer.npy rows/2/{STATE}/noise.npy", "Bad message")

    def test_a_file_that_is_open_keeps_its_version(self):
        with open(self.path("rows/0/manifest.json")) as old:
            before = old.read(10)
            self.ok("echo '{}' > rows/0/labels.json")
            self.assertEqual(json.loads(before + old.read())["labels"], {})
        self.ok("echo '{\"member\": 4}' > rows/0/labels.json")
        self.assertEqual(self.catalog()[0]["labels"], {"member": 4})


class Whole(StoreTest):
    """A row is removed by `rm commits/ID`; nothing takes half of it away."""

    options = "edit=all,edits=append"

    def test_a_row_is_not_half_removed(self):
        before, catalog = self.read("rows/0/metadata.json"), self.catalog()
        self.refused("rm -rf rows/0", "Operation not permitted")
        self.refused(f"mv rows/0 {self.folder}/row", "Operation not permitted")
        self.settle()
        self.assertEqual(self.read("rows/0/metadata.json"), before)
        self.assertEqual(self.catalog(), catalog)

    def test_keys_that_can_be_removed_are(self):
        self.ok("mkdir rows/0/metadata/extra; echo 1 > rows/0/metadata/extra/x; rm -r rows/0/metadata/extra")
        self.settle()
        self.assertNotIn("extra", self.catalog()[0]["metadata"])

    def test_an_empty_next_is_no_row(self):
        rows = len(self.catalog())
        self.refused("mv next rows/", "Bad message")
        self.assertIn("next: is empty", self.last_error())
        self.ok("echo hi > next/metadata/note; rm next/metadata/note")  # nothing of it waits at the unmount
        self.settle()
        self.assertEqual(len(self.catalog()), rows)


class Rows(StoreTest):
    refusals = True

    def test_1_a_row_is_written_from_a_shell(self):
        self.ok("cp -r latest/. next")
        self.ok(f"echo 77 > next/{STATE}/seed; echo 48 > next/metadata/lead_time/value")
        self.assertEqual(len(self.catalog()), 3)
        self.ok("mv next rows/")
        rows = self.catalog()
        self.assertEqual((len(rows), rows[3]["write_count"], rows[3]["metadata"]["lead_time"]["value"]), (4, 4, 48))
        self.assertEqual(self.read(f"latest/{STATE}/seed"), "77\n")
        self.assertEqual(sorted(os.listdir(self.path("next"))),
                         ["labels", "labels.json", "metadata", "metadata.json", "states"])
        self.assertEqual(os.listdir(self.path("next/states")), [])
        fields = json.loads(self.read("latest/manifest.json"))["states"][store.STATE]
        self.assertEqual(fields["schema_hash"], "ab" * 32)

    def test_2_a_row_is_made_the_last(self):
        first = self.catalog()[0]["commit_id"]
        self.ok("ln -sfn rows/0 latest")
        self.assertEqual(self.read("latest/commit_id"), first + "\n")
        self.settle()
        self.assertEqual(self.catalog()[-1]["commit_id"], first)

    def test_3_rows_are_dropped_but_the_last_one(self):
        ids = [row["commit_id"] for row in self.catalog()]
        self.refused("rm commits/*", "Operation not permitted")
        self.settle()
        self.assertEqual([row["commit_id"] for row in self.catalog()], ids)
        self.ok(f"rm commits/{ids[0]}")
        self.settle()
        self.assertEqual([row["commit_id"] for row in self.catalog()], ids[1:])
        self.assertTrue((self.source / "commits" / ids[0]).is_dir())  # a run may name it again
        self.ok("echo 1 > .ckptree/sweep")
        self.assertFalse((self.source / "commits" / ids[0]).exists())
        for commit_id in ids[1:-1]:
            self.ok(f"rm commits/{commit_id}")
        self.refused(f"rm commits/{ids[-1]}", "Operation not permitted")


class Protection(StoreTest):
    options = ""
    refusals = True

    def test_states_and_rows_need_edit_all(self):
        self.assertNotIn("next", os.listdir(self.mount.path))
        self.refused(f"echo 1 > rows/0/{STATE}/seed", "denied|not permitted")
        self.refused(f"rm -f commits/{self.catalog()[0]['commit_id']}", "not permitted")
        self.ok("echo other > rows/0/metadata/note")


class Unfinished(StoreTest):
    exit_status = (9, 9)

    def test_what_waits_in_next_at_unmount_is_not_committed(self):
        self.ok("echo '{\"n\": 1}' > next/metadata.json; echo 1 > .ckptree/flush")
        self.assertEqual(len(self.catalog()), 3)


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


class New(StoreTest):
    """-o create"""

    options = "edit=all,create"

    @classmethod
    def make_source(cls, path):
        pass

    def test_a_store_that_was_not_there(self):
        self.assertEqual(os.listdir(self.path("rows")), [])
        self.refused("ls latest/", "No such file")
        self.ok("echo '{\"n\": 1}' > next/metadata.json; mv next rows/")
        self.assertEqual([row["metadata"] for row in self.catalog()], [{"n": 1}])
        self.assertEqual(self.read("latest/write_count"), "1\n")


class Pruned(StoreTest):
    options = "edit=all,history_size=2"

    def test_a_row_pruned_while_it_is_open_stays_readable(self):
        with open(self.path(f"rows/0/{STATE}/noise.npy"), "rb") as file:
            self.ok("echo '{\"n\": 1}' > next/metadata.json; mv next rows/")
            self.assertEqual(len(self.catalog()), 2)
            self.ok("echo 1 > .ckptree/sweep")
            self.assertEqual(len(file.read()), 160)


if __name__ == "__main__":
    harness.main()
