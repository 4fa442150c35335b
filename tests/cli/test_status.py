"""Every way to fail has its exit status and one clear sentence, before anything is mounted."""

import os
import shutil
import subprocess
import unittest
import zipfile

import support
from support import Case, run

ROOT = os.geteuid() == 0
# A mount namespace of its own, in which the test may cover what it likes.
UNSHARE = support.own_mounts()


def in_namespace(script, *arguments):
    """`script` for sh, $1 is the program, then the arguments."""
    process = subprocess.run([*UNSHARE, "sh", "-c", script, "sh", support.ckptree, *map(str, arguments)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             timeout=60)
    process.said = process.stderr
    return process


class Usage(Case):
    def test_a_word_that_is_neither_a_file_nor_a_command_is_told_as_such(self):
        for word, meant in (("umuont", "umount"), ("help", "--help"), ("migrate", "migration")):
            self.check(run(word, "mnt", cwd=self.folder), 3,
                       f"{word}: no such file or directory, nor a command; the nearest of those is {meant}")

    def test_an_unknown_option_is_refused_with_the_nearest_known_one(self):
        self.check(run("-o", "ro,edti=all", self.sample, self.folder), 2,
                   "-o edti=all: unknown option; the nearest known one is edit=")
        self.check(run("ls", "-oflush=1", self.sample), 2,
                   "-o flush=1: unknown option; the nearest known one is flush_interval=")
        self.check(run("--foregrund", self.sample, self.folder), 2,
                   "--foregrund: unknown option; the nearest known one is --foreground; "
                   "'ckptree --help' lists what there is")

    def test_a_missing_argument_is_told(self):
        self.check(run(), 2, "expected SOURCE and MOUNTPOINT, got 0 arguments; 'ckptree --help' tells more")
        self.check(run(self.sample), 2, "expected SOURCE and MOUNTPOINT, got 1 argument; 'ckptree --help' tells more")
        self.check(run("umount"), 2, "umount: expected one MOUNTPOINT")
        self.check(run("ls"), 2, "ls: expected SOURCE and at most one PATH")
        self.check(run("cat", self.sample), 2, "cat: expected SOURCE and PATH...")
        self.check(run("write", self.sample), 2,
                   "write: expected SOURCE and PATH; the content comes from standard input")
        self.check(run("-o"), 2, "-o: expected a list of options behind it; 'ckptree --help' lists what there is")

    def test_a_mount_point_above_the_source_is_refused(self):
        self.check(run(self.sample, self.folder), 2,
                   f"{self.folder}: {self.sample} lies below this mount point and would be hidden by it")


class Source(Case):
    """The same for every command: mounting opens the source first."""

    def setUp(self):
        super().setUp()
        self.mount_point = self.folder / "mnt"
        self.mount_point.mkdir()

    def refused(self, source, status, sentence):
        self.check(run(source, self.mount_point), status, f"{source}: {sentence}")
        self.check(run("-f", source, self.mount_point), status, f"{source}: {sentence}")
        self.check(run("ls", source), status, f"{source}: {sentence}")
        self.check(run("cat", source, "metadata.json"), status, f"{source}: {sentence}")
        self.check(run("write", source, "metadata.json", input=b"{}"), status, f"{source}: {sentence}")

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def zip(self, name, *members):
        path = self.folder / name
        with zipfile.ZipFile(path, "w") as archive:
            for member in members:
                archive.writestr(member, b"x")
        return path

    def test_no_such_file(self):
        self.refused(self.folder / "nothing.pt", 3, "no such file or directory")
        self.refused(self.sample / "below", 3, "no such file or directory")

    def test_no_permission_to_read_it(self):
        self.sample.chmod(0)
        if ROOT:
            for arguments in (["ls", self.sample], [self.sample, self.mount_point]):
                self.check(self.run_as_nobody(*arguments), 8, f"{self.sample}: no permission to read it")
        else:
            self.refused(self.sample, 8, "no permission to read it")

    def test_not_a_checkpoint(self):
        sentence = "does not begin like a zip archive, which torch.save writes"
        self.refused(self.file("text.pt", b"no zip at all\n"), 4, sentence)
        self.refused(self.file("empty.pt", b""), 4, sentence)
        self.refused(self.zip("other.zip", "a/b", "a/c"), 4, "a zip archive without data.pkl, which torch.save writes")
        self.refused(self.zip("none.zip"), 4, sentence)  # it begins with the end of central directory record

    def test_a_fifo_does_not_hang(self):
        path = self.folder / "fifo"
        os.mkfifo(path)
        self.refused(path, 4, "expected a regular file")

    def test_relatives_of_a_checkpoint_are_told_by_name(self):
        magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e"
        self.refused(self.file("legacy.pt", magic + b"\x80\x02M\xe9\x03."), 4,
                     "is a legacy (non-zip) torch file; load and torch.save it again")
        self.refused(self.zip("script.pt", "m/data.pkl", "m/constants.pkl", "m/version"), 4,
                     "is TorchScript (it has m/constants.pkl), not a file of torch.save")
        self.refused(self.zip("package.pt", "m/.data/version", "m/.data/extern_modules", "m/model/model.pkl"), 4,
                     "is a torch.package (it has m/.data), not a file of torch.save")

    def test_damaged(self):
        half = self.sample.read_bytes()[:30000]
        self.refused(self.file("half.pt", half), 5, "truncated zip: no end of central directory record in the last "
                     "30000 bytes of 30000")
        self.refused(self.zip("failed.pt", "m/version", "m/byteorder"), 5,
                     "m/data.pkl is missing: a torch.save that failed halfway leaves such a file")

    def test_an_ordered_kind_tells_why_it_is_none(self):
        self.check(run("ls", "-o", "kind=torch", self.zip("other.zip", "a/b")), 4,
                   f"{self.folder}/other.zip: a zip archive without data.pkl, which torch.save writes")


class MountPoint(Case):
    def test_missing(self):
        place = self.folder / "mnt"
        self.check(run(self.sample, place), 6, f"{place}: no such directory to mount on")

    def test_no_directory(self):
        place = self.folder / "file"
        place.touch()
        self.check(run(self.sample, place), 6, f"{place}: not a directory")
        self.check(run(self.sample, place / "below"), 6, f"{place}/below: not a directory")

    @unittest.skipUnless(ROOT, "only root can become another user")
    def test_not_ours(self):
        place = self.folder / "mnt"
        place.mkdir()
        self.check(self.run_as_nobody(self.sample, place), 8,
                   f"{place}: no permission to mount there: it is not writable for you")

    @unittest.skipUnless(UNSHARE, "no mount namespaces here")
    def test_busy(self):
        place = self.folder / "mnt"
        place.mkdir()
        self.check(in_namespace('mount -t tmpfs other "$3" && exec "$1" "$2" "$3"', self.sample, place), 6,
                   f"{place}: busy: other is mounted there (tmpfs)")

    @unittest.skipUnless(UNSHARE, "no mount namespaces here")
    def test_what_is_unmounted_has_to_be_ours(self):
        place = self.folder / "mnt"
        self.check(run("umount", place), 6, f"{place}: no such directory")
        place.mkdir()
        self.check(run("umount", place), 6, f"{place}: not a mount of ckptree")
        self.check(in_namespace('mount -t tmpfs other "$2" && exec "$1" umount "$2"', place), 6,
                   f"{place}: not a mount of ckptree")


@unittest.skipUnless(UNSHARE, "no mount namespaces here")
class Device(Case):
    def setUp(self):
        super().setUp()
        (self.folder / "mnt").mkdir()
        # Where the device is taken away, nothing else may be: the program lives below the build folder.
        self.program = self.folder / "program"
        shutil.copy(support.ckptree, self.program)

    def test_no_dev_fuse(self):
        self.check(in_namespace('mount -t tmpfs none /dev && exec "$2" "$3" "$4"', self.program, self.sample,
                                self.folder / "mnt"), 7,
                   "/dev/fuse: No such file or directory; load it with 'modprobe fuse', or give the container "
                   "--device /dev/fuse")

    @unittest.skipUnless(ROOT, "only root can become another user")
    def test_no_permission_to_use_it(self):
        os.chmod(self.folder, 0o777)
        os.chmod(self.folder / "mnt", 0o777)
        self.check(in_namespace('mount -t tmpfs none /dev && touch /dev/fuse && chmod 600 /dev/fuse && '
                                'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$2" "$3" "$4"', self.program,
                                self.sample, self.folder / "mnt"), 8, "/dev/fuse: no permission to use it")


if __name__ == "__main__":
    support.main()
