"""When an edit takes effect: the table of drafts in the manual's section EDITING, row by row."""

import fcntl
import mmap
import os
import signal
import subprocess
import sys
import time

import harness
from harness import MountTest, run, wait_until

DOCUMENT = "metadata.json"


class Drafts(MountTest):
    refusals = True

    def setUp(self):
        self.number = getattr(Drafts, "number", 0) + 1
        Drafts.number = self.number
        self.before = self.read(DOCUMENT)
        self.after = self.before.replace('"uuid": "', f'"uuid": "{self.number}-')
        self.commits = self.mount.commits()

    def seen_by_others(self):
        """The document as another process sees it."""
        return run(["cat", self.path(DOCUMENT)]).stdout

    def open(self, flags=os.O_WRONLY | os.O_TRUNC):
        return os.open(self.path(DOCUMENT), flags)

    def committed(self, count=1):
        """The new text is what everyone sees, here and in the checkpoint."""
        self.assertEqual(self.mount.commits() - self.commits, count)
        self.assertEqual(self.seen_by_others(), self.after)
        self.assertEqual(self.stored().decode(), self.after)

    def unchanged(self):
        self.assertEqual(self.mount.commits(), self.commits)
        self.assertEqual(self.seen_by_others(), self.before)
        self.assertEqual(self.stored().decode(), self.before)

    def rejected_bytes(self):
        return [(self.mount / ".ckptree/rejected" / name).read_bytes() for name in self.rejected()]

    def killed_while(self, script):
        """Starts a Python program that edits the document at argv[1], and kills it when it has printed a line."""
        writer = subprocess.Popen(
            [
                sys.executable,
                "-c",
                script + "\nprint(flush=True); import time; time.sleep(100)",
                self.path(DOCUMENT),
                self.after,
            ],
            stdout=subprocess.PIPE,
        )
        writer.stdout.readline()
        self.unchanged()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()


class Writing(Drafts):
    def test_a_draft_is_seen_by_its_writer_alone(self):
        fd = self.open()
        self.unchanged()
        os.write(fd, self.after.encode())
        self.unchanged()
        self.assertEqual(os.fstat(fd).st_size, len(self.after))
        os.close(fd)
        self.committed()

    def test_close_commits_before_it_returns_and_only_once(self):
        fd = self.open()
        os.write(fd, self.after.encode())
        second = os.dup(fd)
        os.close(second)
        self.committed()
        os.close(fd)
        self.committed()

    def test_close_of_a_half_text_is_refused_and_the_draft_goes_on(self):
        fd = self.open()
        os.write(fd, self.after[:50].encode())
        self.fails("EBADMSG", os.close, os.dup(fd))
        self.unchanged()
        os.write(fd, self.after[50:].encode())
        os.close(fd)
        self.committed()

    def test_a_child_s_close_is_no_end(self):
        fd = self.open()
        os.write(fd, self.after.encode())
        run(["true"], pass_fds=[fd])
        self.unchanged()
        os.close(fd)
        self.committed()

    def test_emptying_is_no_edit(self):
        os.close(self.open())
        os.close(self.open(os.O_RDWR))
        self.ok(": > metadata.json; truncate -s 0 metadata.json")
        self.unchanged()

    def test_opening_for_writing_and_writing_nothing_is_no_edit(self):
        os.close(self.open(os.O_WRONLY))
        os.close(self.open(os.O_RDWR | os.O_APPEND))
        self.unchanged()

    def test_the_same_bytes_are_no_commit(self):
        self.ok("cat metadata.json > copy; cat copy > metadata.json; cp copy metadata.json; rm copy")
        self.unchanged()

    def test_an_explicit_time_wins_over_the_commit_s(self):
        new = self.folder / "dated.json"
        new.write_text(self.after)
        os.utime(new, (1_000_000_000, 1_000_000_000))
        self.ok(f"cp -p {new} metadata.json")
        self.committed()
        self.assertAlmostEqual(os.stat(self.path(DOCUMENT)).st_mtime, 1_000_000_000, delta=2)

    def test_a_commit_sets_the_time(self):
        self.write(DOCUMENT, self.after)
        self.assertAlmostEqual(os.stat(self.path(DOCUMENT)).st_mtime, time.time(), delta=3 * harness.SLOWNESS)

    def test_an_open_file_keeps_the_version_it_was_opened_with(self):
        with open(self.path(DOCUMENT)) as reader, open(self.path(DOCUMENT), "rb") as mapped:
            view = mmap.mmap(mapped.fileno(), 0, prot=mmap.PROT_READ)
            self.ok("cat > metadata.json", input=self.after)
            self.committed()
            self.assertEqual(reader.read(), self.before)
            self.assertEqual(view[:].decode(), self.before)
            self.assertEqual(os.fstat(reader.fileno()).st_size, len(self.before))

    def test_other_opens_of_the_same_process_join_its_draft(self):
        first = self.open()
        os.write(first, self.after[:20].encode())
        second = os.open(self.path(DOCUMENT), os.O_WRONLY | os.O_APPEND)
        os.write(second, self.after[20:].encode())
        os.close(second)
        self.committed()
        os.close(first)
        self.committed()

    def test_a_refused_text_can_be_mended_by_opening_it_again(self):
        fd = self.open()
        os.write(fd, self.after[:-1].encode())
        self.fails("EBADMSG", os.close, fd)
        fd = os.open(self.path(DOCUMENT), os.O_WRONLY | os.O_APPEND)
        os.write(fd, b"}")
        os.close(fd)
        self.committed()


class Syncing(Drafts):
    def test_fsync_commits(self):
        fd = self.open()
        os.write(fd, self.after.encode())
        os.fsync(fd)
        self.committed()
        os.close(fd)
        self.committed()

    def test_fsync_of_an_emptied_draft_is_nothing(self):
        fd = self.open()
        os.fsync(fd)
        self.unchanged()
        os.write(fd, self.after.encode())
        os.close(fd)
        self.committed()

    def test_fsync_of_a_half_text_is_refused(self):
        fd = self.open()
        os.write(fd, self.after[:50].encode())
        self.fails("EBADMSG", os.fsync, fd)
        self.fails("EBADMSG", os.fdatasync, fd)
        self.unchanged()
        os.write(fd, self.after[50:].encode())
        os.fdatasync(fd)
        self.committed()
        os.close(fd)

    def test_a_handle_opened_o_sync_reports_at_close(self):
        for flag in (os.O_SYNC, os.O_DSYNC):
            fd = self.open(os.O_WRONLY | os.O_TRUNC | flag)
            os.write(fd, self.after[:50].encode())
            os.write(fd, self.after[50:-1].encode())
            os.fsync(fd)
            self.fails("EBADMSG", os.close, fd)
            self.unchanged()

    def test_a_handle_opened_o_sync_commits_a_whole_text(self):
        fd = self.open(os.O_WRONLY | os.O_TRUNC | os.O_SYNC)
        os.write(fd, self.after.encode())
        os.close(fd)
        self.assertEqual(self.seen_by_others(), self.after)

    def test_fsync_of_scratch_is_0(self):
        fd = os.open(self.path("scratch"), os.O_CREAT | os.O_WRONLY)
        os.write(fd, b"{")
        os.fsync(fd)
        os.close(fd)
        os.unlink(self.path("scratch"))
        self.unchanged()


class Mapping(Drafts):
    def test_a_shared_mapping_commits_at_msync(self):
        with open(self.path(DOCUMENT), "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
            at = self.before.index('"uuid": "') + 9
            view[at : at + 1] = b"Z"
            view.flush()
            self.after = self.before[:at] + "Z" + self.before[at + 1 :]
            self.committed()

    def test_what_a_mapping_wrote_after_close_is_committed(self):
        at = self.before.index('"uuid": "') + 9
        self.after = self.before[:at] + "Y" + self.before[at + 1 :]
        fd = self.open(os.O_RDWR)
        view = mmap.mmap(fd, 0)
        os.close(fd)
        view[at : at + 1] = b"Y"
        view.close()
        self.assertTrue(wait_until(lambda: self.mount.commits() > self.commits))
        self.committed()


class Killed(Drafts):
    def test_a_whole_text_of_a_killed_writer_is_committed(self):
        self.killed_while(
            "import os, sys; fd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC); os.write(fd, sys.argv[2].encode())"
        )
        self.assertTrue(wait_until(lambda: self.mount.commits() > self.commits))
        self.committed()

    def test_a_half_text_of_a_killed_writer_is_kept_in_rejected(self):
        self.killed_while(
            "import os, sys; fd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC); "
            "os.write(fd, sys.argv[2][:70].encode())"
        )
        self.assertTrue(wait_until(lambda: self.after[:70].encode() in self.rejected_bytes()))
        self.unchanged()


class Renaming(Drafts):
    def test_a_rename_onto_the_document_commits(self):
        self.write("new~", self.after)
        self.unchanged()
        os.rename(self.path("new~"), self.path(DOCUMENT))
        self.committed()
        self.assertFalse(os.path.exists(self.path("new~")))

    def test_a_refused_rename_leaves_both_names_and_keeps_the_bytes(self):
        self.write("new~", "{")
        self.fails("EBADMSG", os.rename, self.path("new~"), self.path(DOCUMENT))
        self.assertEqual(self.read("new~"), "{")
        self.unchanged()
        self.assertIn(b"{", self.rejected_bytes())
        os.unlink(self.path("new~"))

    def test_a_rename_away_is_never_a_removal(self):
        self.ok("mv metadata.json backup")
        self.assertEqual(self.read("backup"), self.before)
        self.unchanged()
        self.ok("rm backup")
        self.unchanged()


class Locks(Drafts):
    """Locks are those of the document, whichever draft a handle belongs to."""

    def other(self, lock):
        return run(
            [
                sys.executable,
                "-c",
                f"import fcntl, sys; fcntl.{lock}(open(sys.argv[1], 'r+'), " "fcntl.LOCK_EX | fcntl.LOCK_NB)",
                self.path(DOCUMENT),
            ]
        )

    def test_flock_and_lockf_exclude_another_process(self):
        for lock in ("flock", "lockf"):
            with open(self.path(DOCUMENT), "r+") as file:
                getattr(fcntl, lock)(file, fcntl.LOCK_EX)
                self.assertIn("BlockingIOError", self.other(lock).stderr, lock)
                getattr(fcntl, lock)(file, fcntl.LOCK_UN)
                self.assertEqual(self.other(lock).stderr, "", lock)

    def test_a_lock_ends_with_its_process(self):
        run(
            [
                sys.executable,
                "-c",
                "import fcntl, os, sys; file = open(sys.argv[1], 'r+'); "
                "fcntl.flock(file, fcntl.LOCK_EX); os.kill(os.getpid(), 9)",
                self.path(DOCUMENT),
            ]
        )
        self.assertTrue(wait_until(lambda: self.other("flock").returncode == 0))

    def test_a_waiting_lock_is_granted(self):
        with open(self.path(DOCUMENT)) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            waiter = subprocess.Popen(["flock", self.path(DOCUMENT), "true"])
            time.sleep(0.1)
            self.assertIsNone(waiter.poll())
            fcntl.flock(file, fcntl.LOCK_UN)
            self.assertEqual(waiter.wait(timeout=10), 0)


if __name__ == "__main__":
    harness.main()
