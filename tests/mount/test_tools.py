"""Every tool of the manual's list saves an edit, or reads, as it does on a plain filesystem. The tools are in tools.py.

"Each saves an edit of metadata.json with exit status 0, no noise on stderr, exactly one commit, nothing left behind."
"""

import json
import os
import pathlib
import re
import shutil
import string

import numpy as np

import harness
import sample
import terminal
from harness import MountTest, run, wait_until
from tools import ARRAY_WRITERS, READERS, WRITERS

HERE = str(pathlib.Path(__file__).parent.resolve())
# Without NaN and integers over 64 bits, which jq cannot keep.
METADATA = {
    "version": "1.0.0",
    "config": {"dataloader": {"dataset": "/data/0"}, "training": {"lr": 0.00015}},
    "variables": [f"variable{i}" for i in range(40)],
}


def start(tool, env, cwd):
    """Runs a tool, in a terminal if it wants keys. @return (exit status, stderr, stdout)"""
    if tool.keys:
        keys = [string.Template(key).substitute(OLD=env["OLD"], NEW=env["NEW"]) for key in tool.keys]
        return terminal.type_into(tool.command, keys, env, cwd, timeout=30 * harness.SLOWNESS)
    done = run(tool.command, env=env, cwd=cwd)
    return done.returncode, done.stderr, done.stdout


class SavingTools(MountTest):
    """A tool runs on a plain file first, which tells what the document and its folder must look like afterwards."""

    @classmethod
    def make_source(cls, path):
        sample.make(path, METADATA, dumps=lambda value: json.dumps(value, indent=4) + "\n")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = cls.folder / "plain"
        cls.plain.mkdir()
        shutil.copy(cls.mount / "metadata.json", cls.plain)
        cls.count = 0

    def environment(self, directory):
        """The variables a command sees, with fresh work files."""
        document = directory / "metadata.json"
        work = self.folder / f"work-{directory.name}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        text = (self.plain / "metadata.json").read_text()
        old = json.loads(text)["config"]["dataloader"]["dataset"]
        new = f"/new/{self.count}" if self.count % 2 else f"/another/path/to/{self.count}"
        edited = text.replace(old, new)
        (work / "metadata.json").write_text(edited)
        (work / "padded.json").write_text(edited + "\n" * max(0, len(text) - len(edited)))
        return {
            **os.environ,
            "F": str(document),
            "D": str(directory),
            "T": str(work),
            "N": str(work / "metadata.json"),
            "P": str(work / "padded.json"),
            "OLD": old,
            "NEW": new,
            "HERE": HERE,
        }

    def save_with(self, tool):
        type(self).count += 1
        document = self.mount / "metadata.json"
        shutil.copyfile(document, self.plain / "metadata.json")  # they differ when the tool before this one failed
        self.write("scratch", "")  # so that the folder of scratch, which goes when the mount does, is there already
        os.unlink(self.path("scratch"))
        self.stood_beside = set(os.listdir(self.source.parent))
        members = [member.name for member in sample.members(self.source, data=False)]
        commits = self.mount.commits()

        left, noise = {}, {}
        environments = {directory: self.environment(directory) for directory in (self.plain, self.mount.path)}
        for directory, environment in environments.items():
            before = set(os.listdir(directory))
            status, errors, printed = start(tool, environment, self.folder)
            where = "on the mount" if directory == self.mount.path else "on a plain file"
            noise[where] = re.sub(r"\d+", "N", errors)  # but for process numbers and times
            self.assertEqual(status, 0, f"{tool.name} {where}: {errors}; it printed: {printed[-2000:]}")
            left[directory] = set(os.listdir(directory)) - before

        # mcedit of Debian 13 has something to say about itself wherever it saves.
        self.assertEqual(noise["on the mount"], noise["on a plain file"], "stderr")
        if tool.late:
            wait_until(lambda: self.mount.commits() > commits)
        made = self.mount.commits() - commits
        self.assertIn(made, tool.commits, f"commits; last_error: {self.last_error()}")
        expected = (self.plain / "metadata.json").read_bytes()
        self.assertEqual(document.read_bytes(), expected, "content through the mount")
        self.assertEqual(document.stat().st_size, len(expected))
        self.assertEqual(self.stored(), expected, "content of the member")
        self.assertEqual(left[self.mount.path], left[self.plain], "files left in the folder")
        self.assertEqual([member.name for member in sample.members(self.source)], members, "members of the checkpoint")
        self.assertLessEqual(set(os.listdir(self.source.parent)), self.stood_beside, "files beside the checkpoint")
        self.assertEqual(self.rejected(), [], "rejected edits")
        for name in left[self.plain]:
            os.unlink(self.plain / name)
            os.unlink(self.mount / name)
        # Removing what a tool left is no edit, and no second commit came late.
        self.assertEqual(self.mount.commits(), commits + made, "commits after cleaning up")


def fill(test_class, tools, method):
    """One test method for each tool, in the order of the table."""
    for number, tool in enumerate(tools):

        def test(self, tool=tool):
            method(self, tool)

        test.__doc__ = tool.name
        words = "".join(letter if letter.isalnum() else "_" for letter in tool.name)
        setattr(test_class, f"test_{number:02}_{words}", test)


fill(SavingTools, WRITERS, SavingTools.save_with)


class SavingArrays(MountTest):
    """An array and its entry in the index are one commit, whatever wrote it."""

    def save_with(self, tool):
        old = np.load(self.mount / "arrays/latitudes.npy")
        new = np.arange(len(old) + 3) * 0.5
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        np.save(work / "new.npy", new)
        environment = {**os.environ, "A": self.path("arrays/latitudes.npy"), "N": str(work / "new.npy"), "T": str(work)}
        members = [member.name for member in sample.members(self.source, data=False)]
        listing, commits = set(os.listdir(self.path("arrays"))), self.mount.commits()

        status, errors, _ = start(tool, environment, self.folder)
        self.assertEqual((status, errors), (0, ""))
        if tool.late:
            wait_until(lambda: self.stored("archive/anemoi-metadata/latitudes.numpy") == new.tobytes())
        self.assertIn(self.mount.commits() - commits, tool.commits)
        np.testing.assert_array_equal(np.load(self.mount / "arrays/latitudes.npy"), new)
        self.assertEqual(self.stored("archive/anemoi-metadata/latitudes.numpy"), new.tobytes())
        entry = self.stored_document()["supporting_arrays_paths"]["latitudes"]
        self.assertEqual(
            entry, {"path": "archive/anemoi-metadata/latitudes.numpy", "shape": list(new.shape), "dtype": "float64"}
        )
        self.assertEqual([member.name for member in sample.members(self.source)], members)
        self.assertEqual(set(os.listdir(self.path("arrays"))), listing)


fill(SavingArrays, ARRAY_WRITERS, SavingArrays.save_with)


class ReadingTools(MountTest):
    """A reading tool prints the same in the mount as in a copy that was made of it, and commits nothing."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.copy = cls.folder / "copy"
        done = run(["cp", "-a", str(cls.mount.path), str(cls.copy)])
        assert (done.returncode, done.stderr) == (0, ""), done

    def read_with(self, tool):
        results = []
        for place in (self.copy, self.mount.path):
            work = self.folder / "work"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            results.append(start(tool, {**os.environ, "T": str(work), "OLD": "", "NEW": ""}, place))
        status, errors, printed = results[0]
        self.assertEqual((status, errors), (0, ""), "in the copy")
        self.assertNotEqual(printed, "", "in the copy")
        self.assertEqual(results[1], results[0], "in the mount and in the copy")
        self.assertEqual(self.mount.commits(), 0)


fill(ReadingTools, READERS, ReadingTools.read_with)


class Repository(MountTest):
    """ "So beside the documents any name can be created: ... a whole .git.\" """

    def test_git_keeps_a_history_of_the_document(self):
        git = "git -c user.name=n -c user.email=e@x -c init.defaultBranch=main -c advice.detachedHead=false"
        before = self.read("metadata.json")
        self.ok(f"{git} init -q . && {git} add metadata.json && {git} commit -qm first")
        self.ok("sed -i s#/old/path#/new/path# metadata.json")
        self.assertIn("+", self.ok(f"{git} diff --stat"))
        self.ok(f"{git} commit -qam second")
        self.assertEqual(self.commits_after(lambda: self.ok(f"{git} checkout -q HEAD~1 -- metadata.json")), 1)
        self.assertEqual(self.read("metadata.json"), before)
        self.assertEqual(self.stored().decode(), before)
        self.ok("rm -rf .git")
        self.assertEqual(self.sh("ls -A | grep git").stdout, "")


if __name__ == "__main__":
    terminal.require()
    harness.main()
