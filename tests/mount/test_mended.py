"""What attackers and first users broke once: each of these lost bytes, hung the mount or killed the daemon."""

import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

import harness
import sample
from harness import MountTest, run, wait_until

RUN_ID = "metadata/run_id"


class Drafts(MountTest):
    refusals = True

    @classmethod
    def make_source(cls, path):
        sample.make(path, {**sample.METADATA, "run_id": "first"})

    def test_a_fifo_is_no_document(self):
        os.mkfifo(self.path("p"))
        self.fails("EBADMSG", os.rename, self.path("p"), self.path("metadata.json"))
        os.unlink(self.path("p"))
        self.assertIn("version", self.document())

    def test_an_empty_new_value_can_be_removed_and_moved(self):
        self.ok("echo 1 > .ckptree/flush")
        commits = self.mount.commits()
        for command in (
            "touch metadata/k; rm metadata/k",
            "touch metadata/k; mv metadata/k metadata/k2; rm metadata/k2",
            "touch metadata/k; mv metadata/k k; rm k",
        ):
            self.ok(command)
        self.assertEqual(self.mount.commits(), commits)

    def test_a_draft_that_lingers_does_not_come_back_over_a_newer_text(self):
        self.ok(f": > {RUN_ID}; echo AAA > {RUN_ID}; printf BBB >> {RUN_ID}")
        self.assertEqual(self.read(RUN_ID), "AAA\nBBB\n")
        good = json.dumps({**self.document(), "marker": 1})
        (self.folder / "good.json").write_text(good)
        self.sh("printf '{\"version\": \"1.0\", \"a\": ' > metadata.json")
        self.ok(f"cp {self.folder}/good.json metadata.json")
        with self.assertRaises(OSError), open(self.path("metadata.json"), "a") as file:
            file.write("1}")
        self.assertEqual(self.document()["marker"], 1)

    def test_a_new_array_that_was_refused_can_be_written_again(self):
        for _ in range(3):
            self.fails("EBADMSG", pathlib.Path(self.path("arrays/x.npy")).write_bytes, b"\x93NUMPY bad")
        np.save(self.path("arrays/x.npy"), np.arange(3))
        np.testing.assert_array_equal(np.load(self.path("arrays/x.npy")), np.arange(3))
        os.unlink(self.path("arrays/x.npy"))

    def test_another_name_of_a_new_array_can_be_removed_after_the_save(self):
        with open(self.path("arrays/new.npy"), "wb") as file:
            os.link(self.path("arrays/new.npy"), self.path("arrays/.tmp"))
            np.save(file, np.arange(4))
        os.unlink(self.path("arrays/.tmp"))
        names = os.listdir(self.path("arrays"))
        self.assertEqual(sorted(names), sorted(set(names)), "listed twice")
        os.unlink(self.path("arrays/new.npy"))

    def test_an_old_handle_of_the_directory_leads_to_the_new_text(self):
        with os.scandir(self.path("")) as entries:
            self.write("metadata.json", json.dumps({**self.document(), "seen": True}))
            list(entries)
            self.assertIs(self.document()["seen"], True)

    def test_what_is_written_after_the_rename_of_a_temporary_is_saved(self):
        fd = os.open(self.path("t"), os.O_CREAT | os.O_RDWR)
        os.write(fd, b'{"version":"1.0","a":2}')
        os.rename(self.path("t"), self.path("metadata.json"))
        self.assertEqual(self.document()["a"], 2)
        os.pwrite(fd, b'{"version":"1.0","a":3}', 0)
        os.fsync(fd)
        self.assertEqual(self.document()["a"], 3)
        os.pwrite(fd, b'{"version":"1.0","a":4}', 0)
        os.close(fd)
        self.assertEqual(self.document()["a"], 4)
        self.ok("exec 3>t; printf '{\"version\":\"1.0\"}' >&3; mv t metadata.json; printf '\n  ' >&3; exec 3>&-")
        self.assertTrue(self.read("metadata.json").endswith("}\n  "))
        self.assertEqual(self.rejected(), [])

    def test_every_close_of_a_refused_text_is_refused(self):
        fd = os.open(self.path("metadata.json"), os.O_WRONLY | os.O_TRUNC)
        os.write(fd, b'{"version": ')
        duplicate = os.dup(fd)
        self.fails("EBADMSG", os.close, duplicate)
        self.fails("EBADMSG", os.close, fd)

    def test_a_value_is_saved_by_a_temporary_beside_it(self):
        self.ok("echo 0.25 > metadata/config/training/tmpx; mv metadata/config/training/tmpx metadata/config/training/lr")
        self.assertEqual(self.read("metadata/config/training/lr"), "0.25\n")
        self.assertNotIn("tmpx", self.document()["config"]["training"])
        self.ok(f"echo one > {RUN_ID}; perl -pi -e s/^.*/edited/ {RUN_ID}")
        self.assertEqual(self.read(RUN_ID), "edited\n")
        fd, name = tempfile.mkstemp(dir=self.path("metadata/config/training"))
        os.write(fd, b"0.5\n")
        os.fsync(fd)
        os.close(fd)
        os.replace(name, self.path("metadata/config/training/lr"))
        self.assertEqual(self.document()["config"]["training"]["lr"], 0.5)
        self.assertTrue(wait_until(lambda: self.stored_document()["config"]["training"]["lr"] == 0.5))
        self.assertEqual(list(self.stored_document()["config"]["training"]), list(sample.METADATA["config"]["training"]))
        self.fails("EEXIST", os.rename, self.path("metadata/uuid"), self.path(RUN_ID))

    def test_no_key_can_be_added_to_the_index_of_the_arrays(self):
        self.refused("echo 9 > metadata/supporting_arrays_paths/latitudes/extra", "Operation not permitted")

    def test_a_key_of_a_hundred_thousand_entries_is_refused_at_once(self):
        document = self.read("metadata.json").rstrip()[:-1]
        self.write("metadata.json", document + ', "many": 1' * 100_000 + "}")
        self.refused("rm metadata/many", "Operation not permitted")
        self.assertIn("100000 entries", self.last_error())
        self.write("metadata.json", document + "}")


class HardLinks(MountTest):
    refusals = True

    def setUp(self):
        super().setUp()
        self.other = self.folder / "other.ckpt"
        self.addCleanup(lambda: self.other.unlink(missing_ok=True))

    def test_numpy_is_told_that_an_array_was_refused(self):
        def save():
            with open(self.path("arrays/latitudes.npy"), "wb") as file:
                os.link(self.source, self.other)
                np.save(file, np.zeros(1000))

        self.fails("EMLINK", save)

    def test_what_no_commit_could_take_is_refused_before_it_is_typed(self):
        os.link(self.source, self.other)
        self.fails("EMLINK", open, self.path("metadata.json"), "r+")
        self.fails("EMLINK", os.truncate, self.path("metadata/seed"), 0)
        self.fails("EMLINK", os.unlink, self.path("metadata/seed"))
        self.fails("EMLINK", os.rename, self.path("metadata/seed"), self.path("metadata/grain"))
        self.assertIn("has 2 hard links", self.last_error())
        self.assertEqual(os.listdir(self.path(".ckptree/rejected")), [])
        os.unlink(self.other)
        self.write("metadata/seed", "5\n")
        self.assertEqual(self.read("metadata/seed"), "5\n")


class Pending(MountTest):
    options = "flush_interval=none"

    def test_a_bare_newline_is_a_word_for_flush_and_discard(self):
        before = self.stored_document()
        self.ok("echo 0.5 > metadata/config/training/lr; echo > .ckptree/discard")
        self.assertEqual(self.read("metadata/config/training/lr"), f"{before['config']['training']['lr']}\n")
        self.ok("echo 0.5 > metadata/config/training/lr; echo > .ckptree/flush")
        self.assertEqual(self.stored_document()["config"]["training"]["lr"], 0.5)


class Quota(MountTest):
    options = "scratch_limit=1M"
    refusals = True

    @classmethod
    def make_source(cls, path):
        sample.make(path, sample.METADATA, {"big": np.zeros(300_000)})

    def test_what_is_not_kept_is_not_charged(self):
        block = bytes(400 << 10)
        for _ in range(5):
            with tempfile.TemporaryFile(dir=self.mount.path, buffering=0) as file:
                self.assertEqual(file.write(block), len(block))
            with self.assertRaises(OSError) as caught:  # the copy of 2.4 MB does not fit
                open(self.path("arrays/big.npy"), "r+b").close()
            self.assertEqual(caught.exception.errno, errno.ENOSPC)
            with open(self.path("f"), "wb") as file:
                self.fails("ENOSPC", os.posix_fallocate, file.fileno(), 0, 50 << 20)
            os.unlink(self.path("f"))
        self.write("small", "fits")
        os.unlink(self.path("small"))

    def test_no_room_is_reserved_behind_the_end_of_a_file(self):
        self.write("f", "")
        done = run(["fallocate", "--keep-size", "--length", "50M", "f"], cwd=self.mount.path)
        self.assertEqual(done.returncode, 1, "--keep-size")
        self.assertIn("unsupported", done.stderr)
        os.unlink(self.path("f"))


STORM = """
import contextlib, os, sys, time
folder, kind, end = sys.argv[1], sys.argv[2], time.monotonic() + float(sys.argv[3])
k, other, t = (os.path.join(folder, name) for name in ("metadata/k", "metadata/k2", "t" + str(os.getpid())))
while time.monotonic() < end:
    with contextlib.suppress(OSError):
        if kind == "sync":
            fd = os.open(k, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.write(fd, b"1")
            os.fsync(fd)
            os.close(fd)
        elif kind == "move":
            os.rename(k, other)
        else:
            open(t, "w").close()
            os.rename(t, t + "~")
            os.unlink(t + "~")
"""


class Storm(MountTest):
    """Syncs wait for nothing that a rename beside them holds, and nobody waits for a daemon that is gone."""

    def storm(self, mount, seconds):
        kinds = ("sync", "sync", "move", "scratch", "scratch")
        return [
            subprocess.Popen([sys.executable, "-c", STORM, str(mount.path), kind, str(seconds)]) for kind in kinds
        ]

    def test_syncs_and_renames_of_one_name_go_on(self):
        for child in self.storm(self.mount, 1.5):
            self.assertEqual(child.wait(timeout=20 * harness.SLOWNESS), 0)

    def test_everybody_ends_when_the_daemon_does(self):
        for number, end in enumerate((signal.SIGTERM, signal.SIGKILL) * 2):
            mount = self.mount_at(f"other{number}")
            children = self.storm(mount, 30 * harness.SLOWNESS)
            time.sleep(0.4)
            mount.daemon.send_signal(end)
            mount.daemon.wait(timeout=20 * harness.SLOWNESS)
            self.mounts.remove(mount)
            mount.kill()
            for child in children:
                child.kill()
                child.wait(timeout=20 * harness.SLOWNESS)
        run([harness.ckptree, "ls", str(self.source)])  # sweeps what the killed ones left
        mount = self.mount_at("last")
        self.assertIn("version", json.loads((mount / "metadata.json").read_text()))


class Outside(MountTest):
    def test_checkpoints_that_were_replaced_are_let_go(self):
        replaced = self.folder / "replaced.ckpt"
        for number in range(20):
            sample.make(replaced, {**sample.METADATA, "number": number})
            os.replace(replaced, self.source)
            self.assertTrue(wait_until(lambda: self.document().get("number") == number))
        fds = pathlib.Path(f"/proc/{self.mount.daemon.pid}/fd")
        held = [link for link in map(_target, fds.iterdir()) if str(self.source) in link and link.endswith("(deleted)")]
        self.assertLessEqual(len(held), 10)

    def test_a_mount_whose_daemon_was_killed_can_be_unmounted_at_once(self):
        other = self.mount_at("other")
        os.listdir(other.path)
        other.daemon.kill()
        other.daemon.wait()
        done = run([harness.ckptree, "umount", str(other.path)])
        self.mounts.remove(other)
        self.assertEqual(done.returncode, 1)
        self.assertIn("gone already", done.stderr)
        self.assertFalse(harness.is_mounted(other.path))
        run([harness.ckptree, "ls", str(self.source)])


class Damaged(MountTest):
    @classmethod
    def make_source(cls, path):
        sample.make(path)
        archive = path.read_bytes()
        at = archive.index(b'"a1b2c3"') + 1
        path.write_bytes(archive[:at] + b"X" + archive[at + 1 :])

    def test_a_flipped_byte_is_not_served_and_gets_no_crc_that_fits(self):
        self.fails("EUCLEAN", self.read, "metadata.json")
        self.assertIn("CRC-32", self.last_error())
        self.fails("EUCLEAN", self.write, "metadata/uuid", "other")
        self.assertIn(b'"X1b2c3"', pathlib.Path(self.path(".ckptree/raw/archive/anemoi-metadata/anemoi.json")).read_bytes())
        self.assertEqual(self.mount.commits(), 0)
        (self.folder / "good.json").write_text(json.dumps(sample.METADATA))
        shutil.copyfile(self.folder / "good.json", self.path("metadata.json"))
        self.assertEqual(self.document()["uuid"], "a1b2c3")


def _target(link):
    try:
        return os.readlink(link)
    except OSError:
        return ""


if __name__ == "__main__":
    harness.main()
