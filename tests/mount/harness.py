"""What every mount test shares: a private folder, a daemon in the foreground, and what must hold at its end.

    class Values(MountTest):
        def test_a_number_is_shown_with_a_newline(self):
            self.assertEqual(self.read("metadata/config/training/lr"), "0.00015\n")

    if __name__ == "__main__":
        main()

A test file is run as `python3 test_X.py CKPTREE FOLDER [unittest options]`. FOLDER is below the build directory and
not below /tmp, where vim and emacs make no backups. Each class mounts once, unmounts with `ckptree umount` and requires
exit status 0 of that command and of the daemon. Without /dev/fuse the program exits 77, which meson reports as SKIP.

CKPTREE_SLOWNESS (a number, default 1) multiplies every time limit: sanitizer builds set it.
"""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

import sample

SLOWNESS = float(os.environ.get("CKPTREE_SLOWNESS", "1"))
# Longer than any single test; a mount that hangs is killed after it, which ends every call that waits for it.
WATCHDOG_S = 100 * SLOWNESS

libc = ctypes.CDLL(None, use_errno=True)
ckptree = None  # path of the program under test
folder = None  # private folder of this run


def main():
    global ckptree, folder
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} CKPTREE FOLDER [unittest options]")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("SKIP: no /dev/fuse that this user can open")
        sys.exit(77)
    ckptree = os.path.abspath(sys.argv.pop(1))
    folder = pathlib.Path(sys.argv.pop(1)).resolve() / f"{pathlib.Path(sys.argv[0]).stem}-{os.getpid()}"
    folder.mkdir(parents=True)
    # Tools must neither read this user's configuration nor leave something in the home directory.
    (folder / "home").mkdir()
    os.environ.update(
        HOME=str(folder / "home"), XDG_STATE_HOME=str(folder / "home/state"), LC_ALL="C.UTF-8", TERM="xterm"
    )
    result = unittest.main(exit=False, verbosity=2).result
    if result.wasSuccessful():
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if result.wasSuccessful() else 1)


def run(command, timeout=60, **options):
    """Runs a shell command (bash) or a list of arguments; text in, text out; never raises for its exit status."""
    if isinstance(command, str):
        command = ["bash", "-c", command]
    options = {"stdin": subprocess.DEVNULL, "text": True, "errors": "surrogateescape", **options}
    if "input" in options:
        options.pop("stdin")
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * SLOWNESS, **options
    )


RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4


def renameat2(old, new, flags):
    AT_FDCWD = -100
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2", str(old))


def wait_until(condition, timeout=5.0, step=0.005):
    """Polls until `condition()` is true and returns its value, or the last one when the time is over."""
    end = time.monotonic() + timeout * SLOWNESS
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


def is_mounted(path):
    # Asked of the kernel, not of the mount, which may hang.
    with open("/proc/self/mountinfo") as table:
        return any(line.split()[4] == str(path) for line in table)


def end_with_parent():
    """In a child: SIGTERM, at which a daemon unmounts, when the test that started it is gone for whatever reason."""
    PR_SET_PDEATHSIG = 1
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Mount:
    """One checkpoint mounted by a daemon in the foreground."""

    def __init__(self, source, mountpoint, options="", wait=True):
        self.source, self.path, self.said = pathlib.Path(source), pathlib.Path(mountpoint), ""
        self.path.mkdir(parents=True, exist_ok=True)
        self.log = pathlib.Path(f"{mountpoint}.log")
        arguments = [ckptree, str(source), str(mountpoint), "-f"] + (["-o", options] if options else [])
        with open(self.log, "w") as log:
            self.daemon = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent
            )
        if wait:
            wait_until(lambda: is_mounted(self.path) or self.daemon.poll() is not None, timeout=20, step=0.001)
            if not is_mounted(self.path):
                self.kill()
                raise AssertionError(f"{' '.join(arguments)}: exit status {self.daemon.returncode}: {self.messages()}")

    def messages(self):
        """What the daemon has said so far."""
        return self.log.read_text(errors="replace")

    def __truediv__(self, name):
        return self.path / name

    def status(self):
        return json.loads((self / ".ckptree/status.json").read_text())

    def commits(self):
        return self.status()["commits"]

    def unmount(self):
        """`ckptree umount`, which waits. @return its exit status and the daemon's"""
        command = run([ckptree, "umount", str(self.path)])
        self.said = command.stderr
        try:
            self.daemon.wait(timeout=(10 if command.returncode == 0 else 1) * SLOWNESS)
        except subprocess.TimeoutExpired:
            pass
        self.kill()
        return command.returncode, self.daemon.returncode

    def kill(self):
        """kill -9, and the dead mount removed."""
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()
        if is_mounted(self.path):
            run(["umount", "-l", str(self.path)] if os.geteuid() == 0 else ["fusermount3", "-uz", str(self.path)])


class Watchdog:
    """Kills the daemons of a test that takes too long: what waits for a mount that hangs then fails with ENOTCONN."""

    def __init__(self, mounts):
        self.timer = threading.Timer(WATCHDOG_S, lambda: [mount.daemon.kill() for mount in mounts])
        self.timer.daemon = True

    def __enter__(self):
        self.timer.start()

    def __exit__(self, *_):
        self.timer.cancel()


class MountTest(unittest.TestCase):
    """Tests that share one mount of one sample checkpoint. `make_source` and `options` say which."""

    options = ""
    exit_status = (0, 0)  # of `ckptree umount` and of the daemon
    refusals = False  # the tests provoke refusals, whose bytes are dropped after each
    source_name = "model.ckpt"

    @classmethod
    def make_source(cls, path):
        sample.make(path)

    @classmethod
    def setUpClass(cls):
        cls.folder = folder / cls.__name__
        cls.folder.mkdir()
        cls.source = cls.folder / "checkpoint" / cls.source_name
        cls.source.parent.mkdir()
        cls.make_source(cls.source)
        cls.mounts = []
        cls.mount = cls.mount_at("mnt")

    @classmethod
    def mount_at(cls, name, source=None, options=None):
        mount = Mount(source or cls.source, cls.folder / name, cls.options if options is None else options)
        cls.mounts.append(mount)
        return mount

    def tearDown(self):
        if self.refusals:
            self.clear_rejected()

    @classmethod
    def tearDownClass(cls):
        if cls.refusals and cls.mount.daemon.poll() is None:
            time.sleep(0.1)  # the release of the last refused handle arrives after its close has returned
            cls.clear_rejected()
        cls.unmount_all()

    @classmethod
    def unmount_all(cls):
        """Unmounts all there are; each must end as `exit_status` says and leave nothing beside the checkpoint."""
        mounts, complaints = cls.mounts[:], []
        cls.mounts.clear()
        for mount in mounts:
            got = mount.unmount() if mount.daemon.poll() is None else ("none", mount.daemon.returncode)
            mount.kill()
            if got != cls.exit_status:
                complaints.append(
                    f"exit statuses {got} of `ckptree umount` and of the daemon, not {cls.exit_status}; they said: "
                    f"{mount.said}{mount.messages()[-4000:]}"
                )
        leftovers = {str(path) for mount in mounts for path in mount.source.parent.iterdir()} - {
            str(m.source) for m in mounts
        }
        if leftovers:
            complaints.append(f"left beside the checkpoint: {sorted(leftovers)}")
        if complaints:
            raise AssertionError(f"{cls.__name__}: unmounting: " + "; ".join(complaints))

    def run(self, result=None):
        with Watchdog(self.mounts):
            return super().run(result)

    # Short ways to say things.

    def path(self, name):
        return str(self.mount / name)

    def read(self, name):
        with open(self.mount / name, errors="surrogateescape", newline="") as file:
            return file.read()

    def write(self, name, text):
        with open(self.mount / name, "w", errors="surrogateescape", newline="") as file:
            file.write(text)

    def document(self):
        return json.loads(self.read("metadata.json"))

    def sh(self, command, **options):
        """Runs a shell command in the mount."""
        return run(command, cwd=self.mount.path, **options)

    def ok(self, command, **options):
        """Runs a shell command in the mount; exit status 0 and no noise. @return what it printed"""
        done = self.sh(command, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        return done.stdout

    def refused(self, command, message="."):
        """Runs a shell command in the mount that must fail and say `message` (a regular expression)."""
        done = self.sh(command)
        self.assertNotEqual(done.returncode, 0, f"{command}: not refused")
        self.assertRegex(done.stderr, message)

    def fails(self, errno_name, action, *arguments, **keywords):
        """`action(*arguments)` must fail with this errno."""
        with self.assertRaises(OSError) as caught:
            action(*arguments, **keywords)
        got = caught.exception
        self.assertEqual(_errno_name(got.errno), errno_name, f"{got}")

    def stored(self, member="archive/anemoi-metadata/anemoi.json", source=None):
        """The member as `unzip -p` reads it from the checkpoint itself."""
        done = run(
            ["unzip", "-p", str(source or self.source), re.sub(r"([*?[\\])", r"\\\1", member)], text=False, errors=None
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""), f"unzip -p {member}")
        return done.stdout

    def stored_document(self, source=None):
        return json.loads(self.stored(source=source))

    def last_error(self):
        return self.read(".ckptree/last_error")

    def rejected(self):
        return sorted(os.listdir(self.path(".ckptree/rejected")))

    @classmethod
    def clear_rejected(cls, mount=None):
        """Forgets the refused edits a test made on purpose; with some left the unmount would fail."""
        shutil.rmtree((mount or cls.mount) / ".ckptree/rejected", ignore_errors=True)  # the folder itself stays

    def commits_after(self, action):
        """How many commits `action()` makes until it returns."""
        before = self.mount.commits()
        action()
        return self.mount.commits() - before


def _errno_name(number):
    import errno

    return errno.errorcode.get(number, str(number))
