"""Changes made outside the mount, and two mounts of one checkpoint: noticed within a second, never overwritten."""

import json
import os
import shutil
import subprocess
import zipfile

import numpy as np

import harness
import sample
from harness import MountTest, run, wait_until

SECOND = 1.1  # "noticed within a second"


class OutsideTest(MountTest):
    refusals = True

    def change_outside(self, edit, arrays=None):
        """Another program writes the checkpoint anew with `edit(document)` made, and renames it into place."""
        document = self.stored_document()
        document.pop("supporting_arrays_paths")
        edit(document)
        sample.make(self.folder / "outside.ckpt", document, arrays or sample.ARRAYS)
        os.replace(self.folder / "outside.ckpt", self.source)


class Noticed(OutsideTest):
    def test_a_checkpoint_that_was_replaced_is_shown(self):
        self.assertEqual(self.read("metadata/uuid"), "a1b2c3\n")
        self.change_outside(lambda document: document.update(uuid="replaced"))
        self.assertTrue(wait_until(lambda: self.document()["uuid"] == "replaced", timeout=SECOND))
        self.assertEqual(self.read("metadata/uuid"), "replaced\n")
        self.assertEqual((self.mount / "metadata.json").stat().st_size, len(self.stored()))

    def test_arrays_that_came_and_went_are_shown(self):
        os.listdir(self.path("arrays"))
        self.change_outside(lambda document: None, {"other": np.arange(3.0)})
        self.assertTrue(wait_until(lambda: os.listdir(self.path("arrays")) == ["other.npy"], timeout=SECOND))
        np.testing.assert_array_equal(np.load(self.mount / "arrays/other.npy"), np.arange(3.0))
        self.change_outside(lambda document: None)
        self.assertTrue(wait_until(lambda: "latitudes.npy" in os.listdir(self.path("arrays")), timeout=SECOND))

    def test_one_that_was_rewritten_in_place_is_shown(self):
        with zipfile.ZipFile(self.source, "a") as archive:
            archive.writestr("archive/extra", "new member")
        self.assertTrue(wait_until(lambda: os.path.exists(self.path(".ckptree/raw/archive/extra")), timeout=SECOND))

    def test_an_edit_afterwards_goes_on_top(self):
        self.change_outside(lambda document: document.update(uuid="outside"))
        wait_until(lambda: self.document()["uuid"] == "outside", timeout=SECOND)
        self.ok("sed -i s#1.0.0#1.0.1# metadata.json")
        self.assertEqual((self.stored_document()["uuid"], self.stored_document()["version"]), ("outside", "1.0.1"))

    def test_one_that_is_damaged_then_mended_is_shown_again(self):
        good = self.source.read_bytes()
        (self.folder / "bad").write_bytes(good[: len(good) // 2])
        os.replace(self.folder / "bad", self.source)
        wait_until(lambda: run(["cat", self.path("metadata.json")]).returncode != 0, timeout=SECOND)
        self.assertEqual(self.read("kind"), "torch\n")
        (self.folder / "good").write_bytes(good)
        os.replace(self.folder / "good", self.source)
        self.assertTrue(
            wait_until(
                lambda: run(["cat", self.path("metadata.json")]).stdout == self.stored().decode(), timeout=SECOND
            )
        )


class Conflicts(OutsideTest):
    def test_of_two_edits_of_one_document_the_later_gets_estale_and_is_kept(self):
        text = self.read("metadata.json").replace('"uuid": "', '"uuid": "inside ')
        fd = os.open(self.path("metadata.json"), os.O_WRONLY | os.O_TRUNC)
        os.write(fd, text.encode())
        self.change_outside(lambda document: document.update(uuid="outside"))
        outside = self.stored()
        self.fails("ESTALE", os.close, fd)
        self.assertEqual(self.stored(), outside)
        self.assertTrue(
            wait_until(lambda: text in [self.read(f".ckptree/rejected/{name}") for name in self.rejected()])
        )
        self.assertTrue(wait_until(lambda: self.document()["uuid"] == "outside", timeout=SECOND))
        self.assertNotEqual(self.last_error().strip(), "")

    def test_an_edit_of_what_was_not_touched_is_made_again_on_top(self):
        np.save(self.folder / "new.npy", np.arange(7.0))
        data = (self.folder / "new.npy").read_bytes()
        fd = os.open(self.path("arrays/latitudes.npy"), os.O_WRONLY | os.O_TRUNC)
        os.write(fd, data)
        self.change_outside(lambda document: document.update(uuid="outside 2"))
        os.close(fd)
        self.assertEqual(self.stored_document()["uuid"], "outside 2")
        self.assertEqual(self.stored("archive/anemoi-metadata/latitudes.numpy"), np.arange(7.0).tobytes())
        self.assertEqual(self.stored_document()["supporting_arrays_paths"]["latitudes"]["shape"], [7])

    def test_pending_edits_that_conflict_are_taken_back(self):
        self.ok("echo none > .ckptree/flush_interval && echo mine > metadata/uuid")
        self.change_outside(lambda document: document.update(uuid="theirs"))
        flushed = self.sh("echo 1 > .ckptree/flush")
        if flushed.returncode == 0:  # the mount had noticed, and taken the edit back, before it was asked
            self.assertTrue(self.rejected())
        else:
            self.assertRegex(flushed.stderr, "Stale file handle")
        self.assertEqual(self.stored_document()["uuid"], "theirs")
        self.assertTrue(wait_until(lambda: self.document()["uuid"] == "theirs", timeout=SECOND))
        self.assertEqual(self.mount.status()["pending"], 0)
        self.assertTrue(self.rejected())
        self.ok("echo auto > .ckptree/flush_interval")


class TwoMounts(OutsideTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.mount_at("other")

    def test_each_sees_what_the_other_commits(self):
        for number in range(4):
            writer, reader = (self.mount, self.other) if number % 2 else (self.other, self.mount)
            done = run(["sed", "-i", rf's#"uuid": "[^"]*"#"uuid": "round {number}"#', str(writer / "metadata.json")])
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(
                wait_until(
                    lambda: json.loads((reader / "metadata.json").read_text())["uuid"] == f"round {number}",
                    timeout=SECOND,
                )
            )

    def test_edits_of_different_things_are_both_kept(self):
        first = os.open(self.path("arrays/latitudes.npy"), os.O_WRONLY | os.O_TRUNC)
        np.save(self.folder / "a.npy", np.arange(5.0))
        os.write(first, (self.folder / "a.npy").read_bytes())
        shutil.copyfile(self.folder / "a.npy", self.other / "arrays/longitudes.npy")
        os.close(first)
        for name in ("latitudes", "longitudes"):
            self.assertEqual(self.stored(f"archive/anemoi-metadata/{name}.numpy"), np.arange(5.0).tobytes())
            self.assertEqual(self.stored_document()["supporting_arrays_paths"][name]["shape"], [5])

    def test_of_two_conflicting_edits_one_gets_estale(self):
        stored = self.stored().decode()
        for mount in (self.mount, self.other):
            self.assertTrue(wait_until(lambda: (mount / "metadata.json").read_text() == stored, timeout=SECOND))
        drafts = []
        for number, mount in enumerate((self.mount, self.other)):
            text = (mount / "metadata.json").read_text().replace('"uuid": "', f'"uuid": "conflict {number} ')
            drafts.append(os.open(mount / "metadata.json", os.O_WRONLY | os.O_TRUNC))
            os.write(drafts[-1], text.encode())
        os.close(drafts[0])
        self.fails("ESTALE", os.close, drafts[1])
        self.assertIn("conflict 0", self.stored_document()["uuid"])
        kept = lambda: [path.read_text() for path in (self.other / ".ckptree/rejected").iterdir()]
        self.assertTrue(wait_until(lambda: any("conflict 1" in text for text in kept())))
        self.clear_rejected(self.other)

    def test_many_edits_of_both_are_all_kept(self):
        script = """cd "$1" && for i in {1..15}; do echo $i > metadata/config/hidden/$2$i || exit 1; done"""
        writers = [
            subprocess.Popen(["bash", "-c", script, "bash", str(mount.path), name], stderr=subprocess.PIPE)
            for mount, name in ((self.mount, "a"), (self.other, "b"))
        ]
        self.assertEqual([(writer.communicate()[1], writer.returncode) for writer in writers], [(b"", 0), (b"", 0)])
        wanted = {f"{name}{i}" for name in "ab" for i in range(1, 16)}
        self.assertTrue(
            wait_until(lambda: set(self.stored_document()["config"]["hidden"]) == wanted),
            f"missing: {sorted(wanted - set(self.stored_document()['config']['hidden']))}",
        )


if __name__ == "__main__":
    harness.main()
