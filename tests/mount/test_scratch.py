"""Scratch: any name can be created, behaves as on a local filesystem, and never reaches the checkpoint."""

import errno
import fcntl
import os
import socket
import stat

import harness
import sample
from harness import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, MountTest, renameat2, run


class Scratch(MountTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.members = sample.members(cls.source)

    def tearDown(self):
        run("find . -mindepth 1 -maxdepth 1 -name 's*' -exec rm -rf {} +", cwd=self.mount.path)

    @classmethod
    def tearDownClass(cls):
        assert cls.mount.commits() == 0, "scratch was committed"
        super().tearDownClass()
        assert sample.members(cls.source) == cls.members, "scratch reached the checkpoint"

    def test_o_excl_creates_once(self):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        os.close(os.open(self.path("s"), flags))
        self.fails("EEXIST", os.open, self.path("s"), flags)
        self.fails("EEXIST", os.open, self.path("metadata.json"), flags)

    def test_writing_reading_appending_truncating(self):
        with open(self.path("s"), "w+b") as file:
            file.write(bytes(range(256)) * 5000)
            file.seek(1000)
            self.assertEqual(file.read(3), bytes([232, 233, 234]))
            file.truncate(100)
        with open(self.path("s"), "ab") as file:
            file.write(b"end")
        self.assertEqual(os.stat(self.path("s")).st_size, 103)
        os.truncate(self.path("s"), 5000)
        with open(self.path("s"), "rb") as file:
            self.assertEqual(file.read()[98:106], bytes([98, 99]) + b"end" + bytes(3))

    def test_hard_links_share_the_file(self):
        self.write("s1", "text")
        os.link(self.path("s1"), self.path("s2"))
        self.assertEqual(os.stat(self.path("s1")).st_nlink, 2)
        self.assertEqual(os.stat(self.path("s1")).st_ino, os.stat(self.path("s2")).st_ino)
        self.write("s1", "other")
        self.assertEqual(self.read("s2"), "other")
        self.fails("EEXIST", os.link, self.path("s1"), self.path("s2"))

    def test_a_link_to_the_document_is_a_copy(self):
        os.link(self.path("metadata.json"), self.path("s"))
        self.assertEqual(self.read("s"), self.read("metadata.json"))

    def test_symbolic_links_lead(self):
        os.symlink("metadata.json", self.path("s"))
        self.assertEqual(os.readlink(self.path("s")), "metadata.json")
        self.assertEqual(self.read("s"), self.read("metadata.json"))
        os.symlink("user@host.1234:5678", self.path("s.#F"))  # emacs's lock: a link that leads nowhere
        self.assertTrue(stat.S_ISLNK(os.lstat(self.path("s.#F")).st_mode))
        self.fails("EEXIST", os.symlink, "x", self.path("s"))

    def test_directories(self):
        os.makedirs(self.path("s/a/b"))
        self.write("s/a/b/f", "x")
        self.fails("ENOTEMPTY", os.rmdir, self.path("s/a"))
        self.fails("EEXIST", os.mkdir, self.path("s"))
        self.fails("EISDIR", os.unlink, self.path("s"))
        self.fails("ENOTDIR", os.rmdir, self.path("s/a/b/f"))
        self.fails("ENOTDIR", os.mkdir, self.path("s/a/b/f/g"))
        os.rename(self.path("s/a"), self.path("s/c"))
        self.assertEqual(self.read("s/c/b/f"), "x")
        self.fails("EINVAL", os.rename, self.path("s"), self.path("s/c/inside"))
        self.assertEqual(sorted(os.listdir(self.path("s/c"))), ["b"])

    def test_modes_times_and_owners(self):
        self.write("s", "x")
        os.chmod(self.path("s"), 0o741)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("s")).st_mode), 0o741)
        os.utime(self.path("s"), ns=(1_234_567_890_123_456_789, 987_654_321_987_654_321))
        self.assertEqual(os.stat(self.path("s")).st_mtime_ns, 987_654_321_987_654_321)
        self.assertEqual(os.stat(self.path("s")).st_atime_ns, 1_234_567_890_123_456_789)
        if os.geteuid() == 0:
            os.chown(self.path("s"), 1234, 4321)
            self.assertEqual((os.stat(self.path("s")).st_uid, os.stat(self.path("s")).st_gid), (1234, 4321))

    def test_a_new_file_gets_the_mode_asked_for(self):
        old = os.umask(0o027)
        try:
            os.close(os.open(self.path("s"), os.O_CREAT | os.O_WRONLY, 0o666))
            os.mkdir(self.path("sd"), 0o777)
        finally:
            os.umask(old)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("s")).st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("sd")).st_mode), 0o750)

    def test_locks(self):
        self.write("s", "x")
        with open(self.path("s")) as one, open(self.path("s")) as two:
            fcntl.flock(one, fcntl.LOCK_EX)
            self.fails("EAGAIN", fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.assertEqual(self.ok("flock s echo locked"), "locked\n")

    def test_an_open_file_that_was_removed_is_still_there(self):
        with open(self.path("s"), "w+") as file:
            os.unlink(self.path("s"))
            file.write("text")
            file.flush()
            file.seek(0)
            self.assertEqual(file.read(), "text")
            self.assertEqual(os.fstat(file.fileno()).st_nlink, 0)
        self.assertNotIn("s", os.listdir(self.mount.path))
        self.assertFalse([name for name in os.listdir(self.mount.path) if "fuse_hidden" in name])

    def test_rename_flags(self):
        self.write("s1", "1")
        self.write("s2", "2")
        with self.assertRaises(FileExistsError):
            renameat2(self.path("s1"), self.path("s2"), RENAME_NOREPLACE)
        with self.assertRaises(FileExistsError):
            renameat2(self.path("s1"), self.path("metadata.json"), RENAME_NOREPLACE)
        renameat2(self.path("s1"), self.path("s2"), RENAME_EXCHANGE)
        self.assertEqual((self.read("s1"), self.read("s2")), ("2", "1"))
        renameat2(self.path("s1"), self.path("s3"), RENAME_NOREPLACE)
        self.assertEqual(self.read("s3"), "2")
        for flags in (RENAME_WHITEOUT, RENAME_NOREPLACE | RENAME_EXCHANGE, 0x80):
            with self.assertRaises(OSError) as caught:
                renameat2(self.path("s2"), self.path("s4"), flags)
            self.assertEqual(caught.exception.errno, errno.EINVAL, flags)
        self.fails("ENOENT", renameat2, self.path("s2"), self.path("s9"), RENAME_EXCHANGE)

    def test_names_of_editors_are_scratch_everywhere(self):
        for name in (
            "4913",
            ".metadata.json.swp",
            "sedAbCdEf",
            ".metadata.json.AbCdEf",
            "#metadata.json#",
            "metadata.json~",
        ):
            for place in ("", "metadata/", "arrays/"):
                self.ok(f"echo x > '{place}{name}' && cat '{place}{name}' && rm '{place}{name}'")

    def test_many_names_are_listed_once_each(self):
        os.mkdir(self.path("s"))
        for number in range(1500):
            os.close(os.open(self.path(f"s/{number:04}"), os.O_CREAT | os.O_WRONLY))
        self.assertEqual(sorted(os.listdir(self.path("s"))), [f"{number:04}" for number in range(1500)])
        self.ok("rm -r s")

    def test_a_name_may_have_255_bytes(self):
        self.write("s" * 255, "x")
        self.fails("ENAMETOOLONG", open, self.path("s" * 256), "w")

    def test_a_fifo_and_a_socket(self):
        os.mkfifo(self.path("s1"))
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("s1")).st_mode))
        here = os.getcwd()
        os.chdir(self.mount.path)  # the path of a socket is at most 108 bytes
        try:
            with socket.socket(socket.AF_UNIX) as end:
                end.bind("s2")
        finally:
            os.chdir(here)
        self.assertTrue(stat.S_ISSOCK(os.stat(self.path("s2")).st_mode))

    def test_extended_attributes(self):
        self.write("s", "x")
        os.setxattr(self.path("s"), "user.note", b"text")
        self.assertEqual(os.getxattr(self.path("s"), "user.note"), b"text")
        self.assertIn("user.note", os.listxattr(self.path("s")))
        os.removexattr(self.path("s"), "user.note")
        self.fails("ENODATA", os.getxattr, self.path("s"), "user.note")

    def test_it_is_not_there_when_it_is_mounted_again(self):
        self.write("s", "x")
        other = self.mount_at("other")
        self.assertFalse(os.path.exists(other / "s"))


class Bounded(MountTest):
    """ "It is bounded (ENOSPC past the bound).\" """

    options = "scratch_limit=8M"

    def test_scratch_past_the_bound_is_refused_and_given_back(self):
        block = bytes(1 << 20)
        for _ in range(3):
            with open(self.path("big"), "wb", buffering=0) as file:
                for _ in range(7):
                    self.assertEqual(file.write(block), len(block))
                with self.assertRaises(OSError) as caught:
                    for _ in range(3):
                        file.write(block)
            self.assertEqual(caught.exception.errno, errno.ENOSPC)
            os.unlink(self.path("big"))
        self.write("big", "")
        self.fails("ENOSPC", os.truncate, self.path("big"), 1 << 40)
        os.unlink(self.path("big"))
        self.ok("sed -i s#/old/path#/new/path# metadata.json")
        self.assertEqual(self.stored_document()["config"]["dataloader"]["dataset"], "/new/path/era5.zarr")


if __name__ == "__main__":
    harness.main()
