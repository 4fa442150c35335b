"""Mounting and unmounting as a user does: in the background, through mount(8), by signals, with a busy mount."""

import os
import signal
import subprocess
import unittest

import harness
import sample
from harness import is_mounted, run, wait_until

AS_ROOT = os.geteuid() == 0


class Command(unittest.TestCase):
    def setUp(self):
        self.folder = harness.folder / self.id().rsplit(".", 1)[1]
        self.folder.mkdir()
        self.source, self.point = self.folder / "model.ckpt", self.folder / "mnt"
        self.point.mkdir()
        sample.make(self.source)
        self.addCleanup(lambda: is_mounted(self.point) and run(["umount", "-l", str(self.point)]))

    def ok(self, *arguments):
        """The program succeeds and says nothing."""
        done = run([harness.ckptree, *map(str, arguments)], timeout=20)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def refused(self, *arguments):
        """The program fails with one sentence. @return its exit status, the sentence"""
        done = run([harness.ckptree, *map(str, arguments)], timeout=20)
        self.assertRegex(done.stderr, r"\Ackptree: [^\n]{10,400}\n\Z")
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr

    def edit(self, text):
        (self.point / "metadata/uuid").write_text(f"{text}\n")

    def committed(self, text):
        return f'"uuid": "{text}"'.encode() in self.source.read_bytes()

    def test_a_daemon_detaches_when_it_is_mounted(self):
        self.ok(self.source, self.point)
        self.assertEqual((self.point / "kind").read_text(), "torch\n")
        self.edit("in the background")
        self.ok("umount", self.point)
        self.assertFalse(is_mounted(self.point))
        self.assertTrue(self.committed("in the background"))
        self.assertEqual(self.refused("umount", self.point)[0], 6)
        self.assertEqual(sorted(os.listdir(self.folder)), ["mnt", "model.ckpt"])

    def test_a_failure_is_told_before_the_process_detaches(self):
        self.source.write_bytes(self.source.read_bytes()[:-30])
        self.assertIn(self.refused(self.source, self.point)[0], (4, 5))
        self.assertFalse(is_mounted(self.point))

    def test_a_mount_point_in_use_is_refused(self):
        self.ok(self.source, self.point)
        self.assertEqual(self.refused(self.source, self.point)[0], 6)
        with open(self.point / "kind"):
            status, said = self.refused("umount", self.point)
        self.assertEqual(status, 6)
        self.assertIn("busy", said)
        self.ok("umount", self.point)

    def test_relative_paths(self):
        for command in (
            "$CKPTREE model.ckpt mnt",
            "$CKPTREE umount mnt",
            "cd mnt && $CKPTREE ../model.ckpt .",
            "$CKPTREE umount mnt/",
        ):
            done = run(command, cwd=self.folder, env={**os.environ, "CKPTREE": harness.ckptree})
            self.assertEqual((done.returncode, done.stderr), (0, ""), command)

    def test_it_shows_in_the_table_of_mounts(self):
        self.ok(self.source, self.point)
        with open("/proc/self/mounts") as table:
            [line] = [line.split() for line in table if f" {self.point} " in line]
        self.assertEqual((line[0], line[2]), (str(self.source), "fuse.ckptree"))
        self.ok("umount", self.point)

    def test_a_signal_commits_and_unmounts(self):
        for number, name in enumerate(("SIGTERM", "SIGINT")):
            daemon = subprocess.Popen([harness.ckptree, "-f", "-oflush_interval=none", self.source, self.point])
            wait_until(lambda: is_mounted(self.point))
            self.edit(name)
            daemon.send_signal(getattr(signal, name))
            self.assertEqual(daemon.wait(timeout=20), 0)
            self.assertFalse(is_mounted(self.point))
            self.assertTrue(self.committed(name))

    @unittest.skipUnless(AS_ROOT, "only root may use mount(8)")
    def test_mount_8_runs_the_program(self):
        program = f"{harness.ckptree}#{self.source}"
        done = run(["mount", "-t", "fuse", "-o", "flush_interval=none", program, str(self.point)])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((self.point / ".ckptree/flush_interval").read_text(), "none\n")
        self.edit("mount 8")
        self.ok("umount", self.point)
        self.assertTrue(self.committed("mount 8"))

    @unittest.skipUnless(AS_ROOT, "only root may mount for another program")
    def test_the_mount_point_may_be_an_open_connection(self):
        # mount.fuse3 opens the connection, gives up every privilege, and hands over /dev/fd/N.
        done = run(["mount.fuse3", f"{harness.ckptree}#{self.source}", str(self.point), "-o", "drop_privileges"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((self.point / "kind").read_text(), "torch\n")
        self.edit("handed over")
        self.assertEqual(run(["umount", str(self.point)]).returncode, 0)
        self.assertTrue(wait_until(lambda: self.committed("handed over")))


if __name__ == "__main__":
    harness.main()
