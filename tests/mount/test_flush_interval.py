"""When edits become durable: flush_interval in all its values, .ckptree/pending, flush and discard."""

import os
import pathlib
import signal
import time

import numpy as np

import harness
import sample
from harness import MountTest, run, wait_until


class IntervalTest(MountTest):
    interval = "auto"
    refusals = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.number = 0

    def setUp(self):
        (self.mount / ".ckptree/flush_interval").write_text(f"{self.interval}\n")
        self.commits = self.mount.commits()

    def tearDown(self):
        (self.mount / ".ckptree/flush").write_text("1\n")
        super().tearDown()

    def commits_made(self):
        return self.mount.commits() - self.commits

    def pending(self):
        lines = self.read(".ckptree/pending").splitlines()
        self.assertEqual(self.mount.status()["pending"], len(lines))
        return lines

    def set(self, key):
        """Gives a value of config.training a text that it did not have. @return it"""
        IntervalTest.number = getattr(IntervalTest, "number", 0) + 1
        self.write(f"metadata/config/training/{key}", f"{IntervalTest.number}\n")
        return IntervalTest.number

    def stored_value(self, key):
        return self.stored_document()["config"]["training"][key]

    def save_document(self):
        """Saves the whole document with another uuid, by truncating and writing it, with an fsync."""
        IntervalTest.number = getattr(IntervalTest, "number", 0) + 1
        text = self.read("metadata.json").replace('"uuid": "', f'"uuid": "{IntervalTest.number}-')
        with open(self.path("metadata.json"), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self.assertEqual(self.read("metadata.json"), text)
        return text


class Auto(IntervalTest):
    def test_a_value_is_visible_at_once_and_committed_within_a_second(self):
        value = self.set("max_epochs")
        self.assertEqual(self.document()["config"]["training"]["max_epochs"], value)
        self.assertTrue(wait_until(lambda: self.commits_made() == 1, timeout=1.2))
        self.assertEqual(self.stored_value("max_epochs"), value)
        self.assertEqual(self.pending(), [])

    def test_the_values_of_a_program_that_ended_are_one_commit(self):
        self.ok("cd metadata/config/training && echo 5 > max_epochs && echo 0.5 > lr")
        self.assertTrue(wait_until(lambda: self.stored_value("lr") == 0.5, timeout=1.2))
        self.assertEqual(self.stored_value("max_epochs"), 5)
        self.assertTrue(wait_until(lambda: self.commits_made() == 1))

    def test_edits_that_do_not_pause_are_committed_after_a_second(self):
        begin = time.monotonic()
        while time.monotonic() < begin + 1.6 * harness.SLOWNESS:
            self.set("max_epochs")
            time.sleep(0.02)
        made, seconds = self.commits_made(), time.monotonic() - begin
        self.assertGreaterEqual(made, 1)
        self.assertLessEqual(made, 2 + seconds)

    def test_a_whole_document_is_durable_when_fsync_returns(self):
        text = self.save_document()
        self.assertEqual(self.commits_made(), 1)
        self.assertEqual(self.stored().decode(), text)


class EveryEdit(IntervalTest):
    interval = "1"

    def test_every_edit_is_committed_at_once(self):
        for number in range(3):
            value = self.set("max_epochs")
            self.assertEqual(self.stored_value("max_epochs"), value)
            self.assertEqual(self.commits_made(), number + 1)
        os.mkdir(self.path("metadata/made"))
        self.assertEqual(self.stored_document()["made"], {})
        os.rename(self.path("metadata/made"), self.path("metadata/moved"))
        self.assertEqual(self.stored_document()["moved"], {})
        os.rmdir(self.path("metadata/moved"))
        self.assertNotIn("moved", self.stored_document())


class EveryThird(IntervalTest):
    interval = "3"

    def test_the_third_save_commits_all_three_as_one(self):
        before = self.stored()
        first = self.set("max_epochs")
        text = self.save_document()
        self.assertEqual((self.commits_made(), len(self.pending())), (0, 2))
        self.assertEqual(self.stored(), before)
        np.save(self.path("arrays/third.npy"), np.arange(2.0))
        self.assertEqual((self.commits_made(), self.pending()), (1, []))
        self.assertEqual(self.stored_value("max_epochs"), first)
        self.assertIn(text.split('"uuid": ')[1][:10], self.stored().decode())
        self.assertEqual(self.stored("archive/anemoi-metadata/third.numpy"), np.arange(2.0).tobytes())


class Never(IntervalTest):
    interval = "none"

    def test_only_flush_commits_and_all_at_once(self):
        members = sample.members(self.source)
        value = self.set("max_epochs")
        self.save_document()
        np.save(self.path("arrays/pending.npy"), np.arange(3.0))
        time.sleep(1.3)
        self.assertEqual((self.commits_made(), len(self.pending())), (0, 3))
        self.assertEqual(sample.members(self.source), members)
        np.testing.assert_array_equal(np.load(self.mount / "arrays/pending.npy"), np.arange(3.0))
        self.ok("echo 1 > .ckptree/flush")
        self.assertEqual((self.commits_made(), self.pending()), (1, []))
        self.assertEqual(self.stored_value("max_epochs"), value)
        self.assertEqual(self.stored("archive/anemoi-metadata/pending.numpy"), np.arange(3.0).tobytes())

    def test_discard_drops_what_is_pending(self):
        before = self.read("metadata.json")
        self.set("max_epochs")
        self.ok("mkdir metadata/made && rm metadata/uuid")
        self.assertNotEqual(self.read("metadata.json"), before)
        self.ok("echo 1 > .ckptree/discard")
        self.assertEqual(self.read("metadata.json"), before)
        self.assertEqual((self.commits_made(), self.pending()), (0, []))
        self.assertEqual(self.stored().decode(), before)

    def test_fsync_validates_and_returns_0(self):
        with open(self.path("metadata.json"), "w") as file:
            file.write("{")
            file.flush()
            self.fails("EBADMSG", os.fsync, file.fileno())
            file.write('"version": 2}')
            file.flush()
            os.fsync(file.fileno())
        self.assertEqual(self.document()["version"], 2)
        self.assertEqual((self.commits_made(), len(self.pending())), (0, 1))
        self.ok("echo 1 > .ckptree/discard")

    def test_a_program_that_saves_in_every_way_leaves_one_pending_document(self):
        self.ok(
            "sed -i s/1.0.0/1.0.1/ metadata.json; cat metadata.json > t; mv t metadata.json; cp metadata.json t; rm t"
        )
        self.assertEqual(self.commits_made(), 0)
        self.assertIn("metadata.json", self.read(".ckptree/pending"))

    def test_flush_without_anything_pending_is_no_commit(self):
        self.ok("echo 1 > .ckptree/flush")
        self.assertEqual(self.commits_made(), 0)


class Control(IntervalTest):
    def test_the_interval_is_shown_and_set(self):
        for value in ("auto", "1", "25", "none"):
            self.ok(f"echo {value} > .ckptree/flush_interval")
            self.assertEqual(self.read(".ckptree/flush_interval"), value + "\n")

    def test_a_value_out_of_range_is_refused_by_write(self):
        for value in ("0", "-1", "sometimes", "1.5", "99999999999999999999999", "1 2"):
            self.refused(f"echo {value} > .ckptree/flush_interval", "Invalid argument")
            self.assertEqual(self.read(".ckptree/flush_interval"), "auto\n")

    def test_other_control_files_cannot_be_written(self):
        for name in ("status.json", "last_error", "pending"):
            with self.assertRaises(PermissionError):
                open(self.path(f".ckptree/{name}"), "w")
        with self.assertRaises(PermissionError):
            os.mkdir(self.path(".ckptree/x"))
        with self.assertRaises(PermissionError):
            os.unlink(self.path(".ckptree/status.json"))


class Option(MountTest):
    options = "flush_interval=2"

    def test_the_option_sets_it(self):
        self.assertEqual(self.read(".ckptree/flush_interval"), "2\n")
        self.write("metadata/version", "2")
        self.assertEqual(self.mount.commits(), 0)
        self.write("metadata/uuid", "x")
        self.assertEqual(self.mount.commits(), 1)


class Unmounting(MountTest):
    """ "Unmount, SIGTERM: pending edits are committed.\" """

    options = "flush_interval=none"

    def value_after(self, end):
        self.number = getattr(self, "number", 0) + 1
        mount = self.mount_at(f"other{self.number}")
        (mount / "metadata/uuid").write_text(f"unmounted {self.number}\n")
        self.assertNotEqual(self.stored_document()["uuid"], f"unmounted {self.number}")
        end(mount)
        self.assertEqual(mount.daemon.wait(timeout=20), 0, mount.messages())
        self.assertEqual(self.stored_document()["uuid"], f"unmounted {self.number}")
        self.assertFalse(harness.is_mounted(mount.path))
        self.mounts.remove(mount)

    def test_every_way_to_end_commits(self):
        self.value_after(lambda mount: self.assertEqual(mount.unmount(), (0, 0)))
        self.value_after(lambda mount: mount.daemon.send_signal(signal.SIGTERM))
        self.value_after(lambda mount: mount.daemon.send_signal(signal.SIGINT))
        self.value_after(lambda mount: run(["fusermount3", "-u", str(mount.path)]))

    def test_signals_do_not_end_the_last_commit(self):
        def impatient(mount):
            while mount.daemon.poll() is None:
                mount.daemon.send_signal(signal.SIGTERM)
                mount.daemon.send_signal(signal.SIGINT)

        for _ in range(5):
            self.value_after(impatient)


class Rejected(MountTest):
    """ "With some left unmount exits non-zero, moves them to $XDG_STATE_HOME/ckptree/ and says where.\" """

    def test_edits_left_in_rejected_are_kept_and_told(self):
        mount = self.mount_at("other")
        (self.folder / "bad.json").write_text('{"version": 1')
        run(["cp", str(self.folder / "bad.json"), str(mount / "metadata.json")])
        self.assertTrue(wait_until(lambda: os.listdir(mount / ".ckptree/rejected")))
        command, daemon = mount.unmount()
        self.mounts.remove(mount)
        self.assertNotEqual((command, daemon), (0, 0))
        self.assertGreater(command, 0)
        self.assertGreater(daemon, 0)
        state = os.environ["XDG_STATE_HOME"] + "/ckptree"
        self.assertIn(state, mount.said + mount.messages())
        kept = [path.read_text() for path in pathlib.Path(state).rglob("*") if path.is_file()]
        self.assertIn('{"version": 1', kept)


if __name__ == "__main__":
    harness.main()
