"""Runs a full-screen program in a pseudo terminal and types into it."""

import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import termios
import time
import fcntl
import struct

QUIET_S = 0.12  # a screen that did not change for this long waits for a key
ROWS, COLUMNS = 24, 100
# Questions to the terminal (OSC, DCS, CSI), which are no messages: neovim of Debian 13 asks for its colours on stderr.
ASKED = re.compile(r"\x1b(\].*?(\x07|\x1b\\)|P.*?\x1b\\|\[[0-9;?]*[a-zA-Z])", re.S)


def require():
    """Makes sure that pseudo terminals can be opened. A minimal container has no /dev/pts: root mounts one that only
    this process and its children see, by starting the program again in a mount namespace of its own."""
    try:
        for end in os.openpty():
            os.close(end)
    except OSError:
        if os.geteuid() or os.environ.get("CKPTREE_OWN_DEVPTS"):
            raise
        os.environ["CKPTREE_OWN_DEVPTS"] = "1"
        # In a chroot / is no mount, and cannot be made private; what is mounted at /dev/pts goes with the namespace.
        with open("/proc/self/mountinfo") as mounts:
            propagation = "private" if "shared:" in mounts.read() else "unchanged"
        mount = 'mount -t devpts -o ptmxmode=0666 devpts /dev/pts && exec "$@"'
        os.execvp("unshare", ["unshare", "--mount", "--propagation", propagation, "sh", "-c", mount, "sh",
                              sys.executable, *sys.argv])


def type_into(command, keys, env, cwd, timeout=30):
    """Starts `command` (bash) in a terminal and sends each of `keys` when the screen has become quiet.

    @return (exit status, or None when it did not end; what it wrote to stderr, without questions to the terminal; what the screen got)
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            ["setsid", "-c", "-w", "bash", "-c", command], stdin=theirs, stdout=theirs, stderr=errors, env=env, cwd=cwd
        )
        os.close(theirs)
        end, screen = time.monotonic() + timeout, bytearray()
        for key in keys:
            if not screen:
                _read(ours, screen, end, first_s=5.0)
            _read(ours, screen, end)
            os.write(ours, key.encode())
        while process.poll() is None and time.monotonic() < end:
            _read(ours, screen, min(end, time.monotonic() + 0.05))
        if process.poll() is None:
            process.kill()
            process.wait()
            status = None
        else:
            status = process.returncode
            _read(ours, screen, time.monotonic() + timeout)  # what it wrote last
        os.close(ours)
        errors.seek(0)
        said = ASKED.sub("", errors.read().decode(errors="replace"))
        return status, said, screen.decode(errors="replace")


def _read(terminal, screen, end, first_s=QUIET_S):
    """Reads until nothing came for QUIET_S; waits `first_s` for the first byte."""
    wait = first_s
    while select.select([terminal], [], [], min(wait, max(0.0, end - time.monotonic())))[0]:
        try:
            screen += os.read(terminal, 65536)
        except OSError:  # EIO: the program has closed its terminal
            time.sleep(0.01)
            return
        wait = QUIET_S
