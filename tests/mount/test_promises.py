"""What a commit promises: untouched bytes stay untouched, mode and owner stay, all or nothing whatever happens."""

import contextlib
import errno
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
import unittest

import numpy as np

import harness
import sample
from harness import Mount, MountTest, run, wait_until

DOCUMENT = "archive/anemoi-metadata/anemoi.json"
AS_ROOT = os.geteuid() == 0


@contextlib.contextmanager
def injected(pid, calls):
    """The first of these system calls of a process fails with EIO."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when=1", "-p", str(pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    threads = pathlib.Path(f"/proc/{pid}/task")
    is_traced = lambda: not any("TracerPid:\t0" in (thread / "status").read_text() for thread in threads.iterdir())
    try:
        assert wait_until(is_traced), "strace did not attach"
        yield
    finally:
        tracer.terminate()
        tracer.wait()


class PromiseTest(MountTest):
    refusals = True

    def edit(self, number=0, mount=None):
        """Saves the document with another uuid. @return the text saved"""
        mount = mount or self.mount
        document = json.loads((mount / "metadata.json").read_text())
        document["uuid"] = f"edit {number} " + "x" * random.randrange(2000)
        text = json.dumps(document)
        (mount / "metadata.json").write_text(text)
        return text


class Bytes(PromiseTest):
    """ "Untouched bytes stay untouched: members, order, extra fields, 64-byte alignment, flags, comments.\" """

    @classmethod
    def make_source(cls, path):
        sample.make(path, storages=[bytes([i]) * (i * 37 % 300) for i in range(40)])

    def compare(self, before, after, edited):
        """Order, records and bytes of every member but the edited ones are as they were; storages have not moved."""
        self.assertEqual([member.name for member in after], [member.name for member in before])
        for old, new in zip(before, after):
            if old.name not in edited:
                self.assertEqual((new.record, new.data), (old.record, old.data), old.name)
            if "/data/" in old.name or old.name.endswith("data.pkl"):
                self.assertEqual((new.header_at, new.data_at), (old.header_at, old.data_at), old.name)

    def headers(self, members):
        with open(self.source, "rb") as file:
            return {
                member.name: (file.seek(member.header_at), file.read(member.data_at - member.header_at))[1]
                for member in members
            }

    def test_an_edit_touches_its_member_alone(self):
        for number in range(6):
            before = sample.members(self.source)
            headers = self.headers(before)
            text = self.edit(number)
            after = sample.members(self.source)
            self.compare(before, after, {DOCUMENT})
            self.assertEqual(self.stored().decode(), text)
            new_headers = self.headers(after)
            for member in before:
                if member.name != DOCUMENT:
                    self.assertEqual(new_headers[member.name], headers[member.name], member.name)

    def test_an_array_is_edited_with_its_index_alone(self):
        before = sample.members(self.source)
        np.save(self.path("arrays/longitudes.npy"), np.arange(5000.0))
        edited = {DOCUMENT, "archive/anemoi-metadata/longitudes.numpy"}
        self.compare(before, sample.members(self.source), edited)

    def test_what_is_written_is_stored_aligned_and_dated(self):
        self.edit()
        np.save(self.path("arrays/new.npy"), np.arange(3.0))
        for member in sample.members(self.source):
            if member.name in (DOCUMENT, "archive/anemoi-metadata/new.numpy"):
                flags, method, crc, date, *_ = member.record
                self.assertEqual((method, member.data_at % 64), (0, 0), member.name)
                self.assertGreaterEqual(date, (2024, 1, 1, 0, 0, 0))

    def test_replaced_members_do_not_grow_the_checkpoint_without_bound(self):
        sizes = []
        for number in range(40):
            self.edit(number)
            sizes.append(os.path.getsize(self.source))
        self.assertLess(max(sizes) - min(sizes), 64 << 10)

    def test_the_checkpoint_is_sound_for_every_reader(self):
        self.edit()
        for command in ("unzip -tq", "zip -Tq", f"{sys.executable} -m zipfile -t"):
            done = run(f"{command} {self.source}")
            self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")

    def test_an_edit_that_is_taken_back_gives_the_same_members(self):
        before = {member.name: member.data for member in sample.members(self.source)}
        text = self.read("metadata.json")
        self.edit()
        self.write("metadata.json", text)
        self.assertEqual({member.name: member.data for member in sample.members(self.source)}, before)


class Kept(PromiseTest):
    """ "Mode, owner, ACL, xattrs, and a symlink that leads to the checkpoint are kept.\" """

    def setUp(self):
        # What another test's mount has committed is seen within a second; an edit before that would be a conflict.
        self.assertTrue(wait_until(lambda: self.read("metadata.json") == self.stored().decode()))

    def test_mode_owner_and_attributes_are_kept(self):
        os.chmod(self.source, 0o640)
        if AS_ROOT:
            os.chown(self.source, 1234, 4321)
        os.setxattr(self.source, "user.note", b"kept")
        acl = run(["setfacl", "-m", "u:1111:r", str(self.source)])
        self.assertEqual((acl.returncode, acl.stderr), (0, ""))
        wanted = run(["getfacl", "-n", "--absolute-names", str(self.source)]).stdout
        self.assertIn("user:1111:r--", wanted)
        self.edit()
        self.assertEqual(run(["getfacl", "-n", "--absolute-names", str(self.source)]).stdout, wanted)
        self.assertEqual(os.getxattr(self.source, "user.note"), b"kept")
        if AS_ROOT:
            self.assertEqual((os.stat(self.source).st_uid, os.stat(self.source).st_gid), (1234, 4321))

    def test_a_symbolic_link_that_leads_to_the_checkpoint_stays_one(self):
        link = self.folder / "links/model.ckpt"
        link.parent.mkdir()
        link.symlink_to(os.path.relpath(self.source, link.parent))
        mount = self.mount_at("linked", source=link)
        text = self.edit(mount=mount)
        self.assertTrue(link.is_symlink())
        self.assertFalse(self.source.is_symlink())
        self.assertEqual(self.stored().decode(), text)
        self.assertEqual(os.listdir(link.parent), [link.name])

    def test_a_checkpoint_with_several_hard_links_is_refused(self):
        other = self.folder / "checkpoint" / "other-name.ckpt"
        os.link(self.source, other)
        try:
            before = self.source.read_bytes()
            with self.assertRaises(OSError) as caught:
                self.edit()
            self.assertEqual(caught.exception.errno, errno.EMLINK)
            self.assertEqual(self.source.read_bytes(), before)
            mount = self.mount_at("split", options="links=split")
            text = self.edit(mount=mount)
            self.assertEqual(self.stored().decode(), text)
            self.assertEqual(other.read_bytes(), before)
        finally:
            other.unlink()


class Killed(PromiseTest):
    """All or nothing for kill -9; temporaries are swept at the next mount."""

    def test_kill_9_at_any_moment_leaves_the_old_or_the_new_checkpoint(self):
        self.unmount_all()
        storages = [member.data for member in sample.members(self.source) if "/data/" in member.name]
        saver = (
            "import itertools, json, sys\nfor number in itertools.count():\n"
            "    with open(sys.argv[1], 'w') as file:\n"
            "        json.dump({'version': 1, 'number': number, 'pad': 'x' * 5000}, file)\n"
            "    print(number, flush=True)\n"
        )
        end, rounds, caught = time.monotonic() + 6, 0, 0
        while time.monotonic() < end or rounds < 10:
            rounds += 1
            mount = Mount(self.source, self.folder / "killed")
            self.mounts.append(mount)
            child = subprocess.Popen(
                [sys.executable, "-c", saver, str(mount / "metadata.json")],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            child.stdout.readline()
            time.sleep(random.uniform(0, 0.05))
            mount.kill()
            saved = [0] + [int(line) for line in child.communicate()[0].split()]
            number = self.stored_document()["number"]
            self.assertIn(number, (saved[-1], saved[-1] + 1))
            self.assertEqual(
                [member.data for member in sample.members(self.source) if "/data/" in member.name], storages
            )
            caught += len(os.listdir(self.source.parent)) > 1
            self.mounts.clear()
        print(f"\nkilled {rounds} times, {caught} times with temporaries left")
        self.mounts.append(Mount(self.source, self.folder / "swept"))
        self.edit(mount=self.mounts[0])
        self.unmount_all()  # requires that nothing is left beside the checkpoint


@unittest.skipUnless(AS_ROOT, "only root can mount a small filesystem")
class FullDisk(PromiseTest):
    """All or nothing for a full disk: ENOSPC, and the checkpoint is unchanged."""

    @classmethod
    def make_source(cls, path):
        done = run(["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", str(path.parent)])
        assert done.returncode == 0, done.stderr
        cls.addClassCleanup(run, ["umount", "-l", str(path.parent)])
        sample.make(path, storages=[bytes(500_000)])

    def test_an_edit_that_does_not_fit_is_refused_whole_and_one_that_fits_goes_on(self):
        self.edit()  # makes the folder of scratch
        before, document, free = self.source.read_bytes(), self.document(), shutil.disk_usage(self.source.parent).free
        (self.folder / "large.json").write_text(json.dumps({**document, "large": "x" * 450_000}))
        for _ in range(4):
            done = run(["cp", str(self.folder / "large.json"), self.path("metadata.json")])
            self.assertEqual(done.returncode, 1)
            self.assertIn("No space left on device", done.stderr)
            self.assertEqual(self.source.read_bytes(), before)
            self.assertEqual(self.document(), document)
            wait_until(
                lambda: os.listdir(self.path(".ckptree/rejected")), timeout=0.3
            )  # there may be no room to keep it
            self.clear_rejected()
        self.assertTrue(
            wait_until(lambda: shutil.disk_usage(self.source.parent).free > free - 65536), "what was refused takes room"
        )
        text = self.edit()
        self.assertEqual(self.stored().decode(), text)


class FailingCalls(PromiseTest):
    """All or nothing for an I/O error of any call a commit makes: injected by strace."""

    CALLS = (
        "fsync",
        "fdatasync",
        "copy_file_range",
        "rename,renameat,renameat2",
        "ftruncate",
        "fallocate",
        "fchmod",
        "fchown",
        "link,linkat",
        "ioctl",
    )

    def test_an_edit_fails_whole_or_succeeds_and_the_next_one_succeeds(self):
        failed = []
        for number, calls in enumerate(self.CALLS):
            with self.subTest(calls):
                before = self.stored_document()["uuid"]
                with injected(self.mount.daemon.pid, calls):
                    try:
                        text = self.edit(number)
                        self.assertEqual(self.stored().decode(), text)
                    except OSError as error:
                        failed.append(calls)
                        self.assertEqual(error.errno, errno.EIO, error)
                        # After a failure behind the rename the new checkpoint is there: whole, but maybe not durable.
                        self.assertIn(
                            self.stored_document()["uuid"].rstrip("x"), (before.rstrip("x"), f"edit {number} ")
                        )
                self.assertEqual(run(f"unzip -tq {self.source}").returncode, 0)
                text = self.edit(number + 100)
                self.assertEqual(self.stored().decode(), text)
        print(f"\nedits that failed: {', '.join(failed)}")
        self.assertIn("fsync", failed)


class Huge(PromiseTest):
    """Zip64: a checkpoint of more than 4 GiB, sparse, is edited like any other."""

    @classmethod
    def make_source(cls, path):
        sample.make(path, storages=[b"first" * 4, sample.Hole((4 << 30) + 4096), b"last" * 7])

    def test_a_member_behind_4_gib_is_edited(self):
        before = sample.members(self.source, data=False)
        text = self.edit()
        self.assertEqual(self.stored().decode(), text)
        after = sample.members(self.source, data=False)
        self.assertEqual(
            [(member.name, member.data_at) for member in after if "/data/" in member.name],
            [(member.name, member.data_at) for member in before if "/data/" in member.name],
        )
        self.assertEqual(self.stored("archive/data/2"), b"last" * 7)
        self.assertGreater(os.path.getsize(self.source), 4 << 30)


if __name__ == "__main__":
    harness.main()
