"""A checkpoint of Orbax and a directory of steps: read, and custom_metadata edited."""

import json
import os
import shutil

import numpy as np

import checkpoint_orbax
import harness
from harness import MountTest


class Checkpoint(MountTest):
    source_name = "ckpt"
    refusals = True

    @classmethod
    def make_source(cls, path):
        checkpoint_orbax.make(path)

    def stored(self):
        return json.loads((self.source / "_CHECKPOINT_METADATA").read_text())

    def settle(self):
        self.write(".ckptree/flush", "1\n")

    def test_the_top(self):
        self.assertEqual(self.ok("cat kind"), "orbax\n")
        self.assertEqual(os.readlink(self.path("pytree")), "checkpointables/state/tree")
        self.assertEqual(self.read("commit_timestamp"), "2026-05-14T00:26:43.065544708Z\n")
        self.assertEqual(self.read("checkpointables/config/data.json"), '{"q": 1}')
        self.assertEqual(os.listdir(self.path("checkpointables/config")), ["data.json"])

    def test_arrays_are_mapped(self):
        array = np.load(self.path("values/params/layer0/kernel.npy"), mmap_mode="r")
        np.testing.assert_array_equal(array, np.arange(12, dtype="f4").reshape(3, 4))
        self.assertEqual(self.ok("jq -c .shape pytree/params/layer0/kernel"), "[3,4]\n")
        self.assertEqual(self.ok("grep -l float32 -r pytree/"), "pytree/params/layer0/kernel\n")

    def test_a_copy_of_everything(self):
        self.ok(f"cp -rL {self.mount.path} {self.folder}/copy")
        self.assertTrue((self.folder / "copy/values/layers/0.npy").exists())

    def test_a_value_is_edited_and_the_directory_keeps_its_time(self):
        before = os.stat(self.source).st_mtime_ns
        self.ok("echo 0.25 > custom_metadata/lr; echo x > custom_metadata/added")
        self.settle()
        self.assertEqual(self.stored()["custom_metadata"]["lr"], 0.25)
        self.assertEqual(self.stored()["custom_metadata"]["added"], "x")
        self.ok("sed -i 's/0.25/0.5/' custom_metadata.json")
        self.assertEqual(self.stored()["custom_metadata"]["lr"], 0.5)
        self.assertEqual({k: v for k, v in self.stored().items() if k != "custom_metadata"},
                         {k: v for k, v in checkpoint_orbax.STEP.items() if k != "custom_metadata"})
        self.assertEqual(os.stat(self.source).st_mtime_ns, before)
        self.assertEqual(sorted(os.listdir(self.source)), ["_CHECKPOINT_METADATA", "config", "state"])

    def test_what_is_refused(self):
        before = self.stored()
        self.refused("echo '[1]' | dd of=custom_metadata.json status=none", "Bad message")
        self.assertIn("expected a JSON object", self.last_error())
        self.refused("echo 1 > init_timestamp", "ermi")
        self.refused("rm pytree/none", "not permitted")
        self.assertEqual(self.stored(), before)

    def test_a_deletion_half_done_is_ebusy(self):
        record = self.source / "_CHECKPOINT_DELETION"
        source = self.folder / "other/deleting"
        checkpoint_orbax.make(source)
        (source / record.name).write_text('{"checkpointable_name": "config"}')
        mount = self.mount_at("mnt-deleting", source)
        self.assertEqual(os.listdir(mount / "checkpointables"), ["state"])
        self.fails("EBUSY", lambda: self.save(mount / "custom_metadata.json"))
        self.assertIn("deletion is half done", (mount / ".ckptree/last_error").read_text())
        self.clear_rejected(mount)

    @staticmethod
    def save(path):
        with open(path, "w") as file:
            file.write("{}")


class Linked(MountTest):
    """A checkpoint whose metadata is elsewhere, behind a link, as caches of copies have it."""

    source_name = "ckpt"

    @classmethod
    def make_source(cls, path):
        checkpoint_orbax.make(path)
        elsewhere = path.parent.parent / "elsewhere"
        elsewhere.mkdir()
        (path / "_CHECKPOINT_METADATA").rename(elsewhere / "step.json")
        (path / "_CHECKPOINT_METADATA").symlink_to("../../elsewhere/step.json")

    def test_an_edit_reaches_the_file_and_leaves_the_link(self):
        self.ok("echo 0.25 > custom_metadata/lr")
        self.write(".ckptree/flush", "1\n")
        elsewhere = self.source.parent.parent / "elsewhere"
        self.assertEqual(os.readlink(self.source / "_CHECKPOINT_METADATA"), "../../elsewhere/step.json")
        self.assertEqual(json.loads((elsewhere / "step.json").read_text())["custom_metadata"]["lr"], 0.25)
        self.assertEqual(os.listdir(elsewhere), ["step.json"])


class Steps(MountTest):
    source_name = "run"

    @classmethod
    def make_source(cls, path):
        for name in ("ck_000001", "ck_000020", "ck_000030.orbax-checkpoint-tmp"):
            checkpoint_orbax.make(path / name)
        (path / "metadata").mkdir()
        (path / "metadata/_ROOT_METADATA").write_text('{"internal_metadata": {}, "custom_metadata": {"a": 1}}')

    def test_steps(self):
        self.assertEqual(os.listdir(self.path("steps")), ["ck_000001", "ck_000020"])
        self.assertEqual(self.ok("readlink latest steps/20"), "steps/ck_000020\nck_000020\n")
        self.assertEqual(os.listdir(self.path("incomplete")), ["ck_000030.orbax-checkpoint-tmp"])
        self.assertEqual(self.ok("jq .lr latest/custom_metadata.json"), "0.1\n")
        self.assertFalse(os.path.lexists(self.path("latest/values")))  # -o nodata is the default here

    def test_new_steps_are_seen(self):
        checkpoint_orbax.make(self.source / "ck_000040")
        self.assertEqual(json.loads(self.read("steps/40/custom_metadata.json"))["lr"], 0.1)
        shutil.rmtree(self.source / "ck_000040")

    def test_the_root_is_edited(self):
        self.ok("echo 2 > custom_metadata/a")
        self.write(".ckptree/flush", "1\n")
        self.assertEqual((self.source / "metadata/_ROOT_METADATA").read_text(),
                         '{"internal_metadata": {}, "custom_metadata": {"a": 2}}')


class Several(MountTest):
    """Edits of steps, and what becomes of them."""

    source_name = "run"
    options = "flush_interval=none"
    refusals = True

    @classmethod
    def make_source(cls, path):
        for name in ("1", "20"):
            checkpoint_orbax.make(path / name)

    def stored_lr(self, step):
        return json.loads((self.source / step / "_CHECKPOINT_METADATA").read_text())["custom_metadata"]["lr"]

    def test_a_flush_at_the_top_commits_the_steps(self):
        self.ok("echo 0.5 > steps/1/custom_metadata/lr; echo 0.6 > steps/20/custom_metadata/lr")
        self.assertEqual(self.read(".ckptree/pending"),
                         "write\tsteps/1/custom_metadata/lr\nwrite\tsteps/20/custom_metadata/lr\n")
        self.assertEqual((self.stored_lr("1"), self.mount.status()["pending"]), (0.1, 2))
        self.ok("echo 1 > .ckptree/flush")
        self.assertEqual((self.stored_lr("1"), self.stored_lr("20")), (0.5, 0.6))
        self.assertEqual((self.mount.status()["pending"], self.mount.commits()), (0, 2))

    def test_an_edit_of_a_step_that_was_deleted_is_told_once(self):
        source = self.folder / "other/run"
        for name in ("1", "20"):
            checkpoint_orbax.make(source / name)
        mount = harness.Mount(source, self.folder / "mnt-deleted", self.options)
        (mount / "steps/20/custom_metadata/lr").write_text("0.7\n")
        shutil.rmtree(source / "20")
        self.assertEqual(mount.unmount(), (9, 9))
        lines = mount.said.splitlines()
        self.assertEqual(len(lines), 2, mount.said)
        self.assertIn(f"refused: steps/20/custom_metadata/lr: {source}/20: was deleted by another program", lines[0])
        self.assertIn("their bytes are in", lines[1])
        self.assertIn("/run-steps-20-", lines[1])

    def test_a_step_without_the_checkpointable_that_is_named_is_listed(self):
        source = self.folder / "another/run"
        for name in ("1", "20"):
            checkpoint_orbax.make(source / name)
        (source / "20/state").rename(source / "20/other")
        mount = self.mount_at("mnt-named", source, "checkpointable=state")
        self.assertEqual(sorted(os.listdir(mount / "steps")), ["1", "20"])
        self.assertEqual(harness.run(["ls", str(mount / "steps")]).stdout, "1\n20\n")
        self.assertTrue(os.path.exists(mount / "steps/1/pytree/none"))
        self.fails("EINVAL", os.stat, mount / "steps/20")
        self.assertIn("expected one of: other", (mount / ".ckptree/last_error").read_text())


if __name__ == "__main__":
    harness.main()
