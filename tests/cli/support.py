"""What the tests of the command share.

A test file is run as `python3 test_X.py CKPTREE MAKE_SAMPLE [unittest options]`.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ckptree = os.path.abspath(sys.argv[1])
make_sample = os.path.abspath(sys.argv[2])
top = pathlib.Path(__file__).resolve().parent.parent.parent


def run(*arguments, input=b"", **options):
    """ckptree with these arguments. Its answer is text; bytes go in."""
    process = subprocess.run([ckptree, *map(str, arguments)], input=input, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=60, **options)
    process.text = process.stdout.decode("utf-8", "surrogateescape")
    process.said = process.stderr.decode("utf-8", "surrogateescape")
    return process


def own_mounts():
    """Words before a command that give it a mount namespace of its own, or None where there is none to be had."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    commands = [["unshare", "--mount", *as_root]]
    # In a chroot / is no mount, and cannot be made private. It need not be, where nothing is shared.
    if "shared:" not in pathlib.Path("/proc/self/mountinfo").read_text():
        commands.append(["unshare", "--mount", "--propagation", "unchanged", *as_root])
    for command in commands:
        if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            return command
    return None


class Case(unittest.TestCase):
    """A test with a folder of its own and a fresh sample in it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cli-", dir=os.environ.get("CKPTREE_TEST_DIR")))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.sample = self.folder / "model.ckpt"
        subprocess.run([make_sample, self.sample, "--bytes", "65536"], check=True)

    def run_as_nobody(self, *arguments):
        """The same by a user with no rights; the build folder may be out of its reach, so it gets a copy."""
        program = self.folder / "program"
        shutil.copy(ckptree, program)
        os.chmod(self.folder, 0o755)
        process = subprocess.run([program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, timeout=60, user=65534, group=65534, extra_groups=[])
        process.said = process.stderr.decode()
        return process

    def check(self, process, status, sentence=""):
        """Exactly one sentence on stderr, or none; `sentence` is all of it."""
        expected = f"ckptree: {sentence}\n" if sentence else ""
        self.assertEqual((process.returncode, process.said), (status, expected))

    def check_text(self, process, text):
        self.check(process, 0)
        self.assertEqual(process.text, text)


def main():
    del sys.argv[1:3]
    unittest.main(verbosity=2)
