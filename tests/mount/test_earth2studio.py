"""A restart catalog of Earth2Studio: rows, edits that are commits, a row written from a shell."""

import json
import os

import numpy as np

import harness
import store
from store_test import STATE, StoreTest


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
        for row in (0, 2):
            self.assertEqual(after[row]["commit_id"], before[row]["commit_id"])
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
