"""Crafted checkpoints give an error on that file or that mount, within bounded time and memory, never a crash."""

import errno
import os
import pathlib
import threading
import time
import unittest

import crafted
import harness
import sample
from harness import Mount, MountTest, is_mounted, wait_until

# What a file that cannot be shown may answer. EIO is not among them: it would mean that nobody thought of the case.
ALLOWED = {errno.EUCLEAN, errno.ENOTUNIQ, errno.EFBIG, errno.EOPNOTSUPP, errno.ENAMETOOLONG, errno.ENOENT}
TIME_LIMIT_S = 5
MEMORY_LIMIT = 300 << 20  # bytes; the largest bomb unpacks to 512 MiB
READ_LIMIT = 8 << 20  # bytes read of each file


def memory_of(process):
    """The largest resident size the process has had, in bytes."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def processor_time_of(process):
    """Seconds on a processor so far; the clock tells more about what else the machine does."""
    user, system = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def read_all(path, budget):
    """Reads a whole tree, a bounded part of each file. @return errnos met, by path"""
    met, todo = {}, [path]
    while todo and budget > 0:
        at, budget = todo.pop(), budget - 1
        try:
            if os.path.isdir(at):
                todo += [entry.path for entry in os.scandir(at)]
            else:
                with open(at, "rb") as file:
                    file.read(READ_LIMIT)
        except OSError as error:
            met[at] = error.errno
    return met


class Crafted(unittest.TestCase):
    def mount(self, name, data):
        number = Crafted.number = getattr(Crafted, "number", 0) + 1
        source = harness.folder / f"crafted-{number}.ckpt"
        source.write_bytes(data)
        begin = time.monotonic()
        mount = Mount(source, harness.folder / f"mnt-{number}", wait=False)
        self.addCleanup(mount.kill)
        wait_until(lambda: is_mounted(mount.path) or mount.daemon.poll() is not None, timeout=TIME_LIMIT_S, step=0.001)
        self.assertLess(time.monotonic() - begin, TIME_LIMIT_S * harness.SLOWNESS, f"{name}: to mount or to refuse")
        return mount

    def refused_well(self, name, mount, sentence="."):
        status, said = mount.daemon.wait(timeout=5), mount.messages()
        self.assertIn(status, (4, 5), f"{name}: {said}")
        self.assertRegex(said, r"\Ackptree: [^\n]{10,400}\n\Z", name)
        self.assertRegex(said, sentence, name)

    def test_what_is_no_checkpoint_is_refused_with_one_sentence(self):
        for name, (data, sentence) in crafted.REFUSED.items():
            with self.subTest(name):
                mount = self.mount(name, data)
                self.assertFalse(is_mounted(mount.path), "it was mounted")
                self.refused_well(name, mount, sentence)

    def test_a_fault_is_confined_to_the_file_it_concerns(self):
        for name, data in crafted.CONFINED.items():
            with self.subTest(name):
                mount = self.mount(name, data)
                if not is_mounted(mount.path):
                    self.refused_well(name, mount)
                    continue
                watchdog = threading.Timer(300, mount.daemon.kill)
                watchdog.start()
                begin = processor_time_of(mount.daemon)
                met = read_all(str(mount.path), budget=5000)
                met.update(read_all(str(mount / ".ckptree"), budget=5000))
                took = processor_time_of(mount.daemon) - begin
                self.assertEqual((mount / "kind").read_text(), "torch\n")
                memory = memory_of(mount.daemon)
                self.assertEqual(mount.unmount(), (0, 0), mount.messages())
                watchdog.cancel()
                unexpected = {
                    path: errno.errorcode.get(number) for path, number in met.items() if number not in ALLOWED
                }
                self.assertEqual(unexpected, {}, "errnos")
                self.assertLess(took, 4 * TIME_LIMIT_S * harness.SLOWNESS, "seconds to read all of it")
                self.assertLess(memory, MEMORY_LIMIT * max(1, harness.SLOWNESS), "memory")
                self.assertEqual(mount.source.read_bytes(), data, "the checkpoint was changed")

    def test_names_stay_within_the_mount(self):
        mount = self.mount("climbs", crafted.CONFINED["a name that climbs"])
        if is_mounted(mount.path):
            for at, _, names in os.walk(mount / ".ckptree/raw"):
                self.assertNotIn("passwd", names, at)
            self.assertEqual(mount.unmount(), (0, 0))


class Million(MountTest):
    """ "A document of a million values mounts at once and lists 100,000 keys in a second.\" """

    @classmethod
    def make_source(cls, path):
        document = {
            "version": 1,
            "keys": {f"key{i:06}": i for i in range(100_000)},
            "rest": {f"row{i:05}": list(range(9)) for i in range(100_000)},
        }
        sample.make(path, document, {})

    def within(self, seconds, action, what):
        """Ten times what a quiet machine is promised: a busy one passes, and work that grows with the square does not."""
        begin = time.monotonic()
        result = action()
        took = time.monotonic() - begin
        self.assertLess(took, 10 * seconds * harness.SLOWNESS, what)
        return result

    def test_it_mounts_at_once(self):
        mount = self.within(0.5, lambda: self.mount_at("again"), "seconds to mount")
        self.within(0.2, lambda: os.listdir(mount.path), "seconds to list the top")

    def test_it_lists_100_000_keys_in_a_second(self):
        names = self.within(1.0, lambda: os.listdir(self.path("metadata/keys")), "seconds to list")
        self.assertEqual(names, [f"key{i:06}" for i in range(100_000)])

    def test_a_value_is_read_and_set(self):
        self.read("metadata/keys/key000000")
        for i in (1, 50_000, 99_999):
            self.assertEqual(
                self.within(0.5, lambda: self.read(f"metadata/keys/key{i:06}"), "seconds to read"), f"{i}\n"
            )
        self.within(2.0, lambda: self.write("metadata/keys/key050000", "-1\n"), "seconds to set")
        self.assertEqual(self.read("metadata/keys/key050000"), "-1\n")
        self.assertTrue(wait_until(lambda: b'"key050000": -1,' in self.stored(), timeout=3))


if __name__ == "__main__":
    harness.main()
