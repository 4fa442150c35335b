"""Removing and replacing by removal, and what readers see meanwhile."""

import os
import subprocess
import sys
import time

import numpy as np

import harness
import sample
from harness import MountTest, run, wait_until

DOCUMENT = "metadata.json"
MEMBER = "archive/anemoi-metadata/anemoi.json"


class Removal(MountTest):
    refusals = True

    def setUp(self):
        self.restore = self.folder / "restore.json"
        if os.path.exists(self.path(DOCUMENT)):
            self.restore.write_text(self.read(DOCUMENT))
        else:
            run(["cp", str(self.restore), self.path(DOCUMENT)])
        self.before, self.commits = self.read(DOCUMENT), self.mount.commits()

    def commits_made(self):
        return self.mount.commits() - self.commits

    def stored_names(self):
        return [member.name for member in sample.members(self.source)]

    def seen_by_others(self):
        done = run(["cat", self.path(DOCUMENT)])
        return done.stdout if done.returncode == 0 else None

    def program(self, text):
        """Starts a Python program with the document's path in F; it goes on when it is sent a line."""
        child = subprocess.Popen(
            [sys.executable, "-c", f"import os, sys, time; F = sys.argv[1]\n{text}", self.path(DOCUMENT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.addCleanup(lambda: (child.kill(), child.wait(), child.stdin.close(), child.stdout.close()))
        return child

    def test_rm_commits_inside_the_unlink(self):
        for command in ("rm metadata.json", "unlink metadata.json", "find metadata.json -delete"):
            self.ok(command)
            self.assertNotIn(MEMBER, self.stored_names(), command)
            self.assertEqual(self.commits_made(), 1, command)
            self.assertFalse(os.path.exists(self.path(DOCUMENT)))
            removed = [self.read(f".ckptree/removed/{name}") for name in os.listdir(self.path(".ckptree/removed"))]
            self.assertIn(self.before, removed)
            self.setUp()
            self.assertIn(MEMBER, self.stored_names())

    def test_what_was_refused_before_replaces_nothing(self):
        number = "metadata/number"
        self.ok(f"echo 1 > {number}")
        self.refused(f"echo word > {number}", "Bad message|error")
        child = self.program(f"os.unlink(os.path.join(os.path.dirname(F), {number!r})); print('gone', flush=True)")
        self.assertEqual(child.stdout.readline(), "gone\n")
        self.assertEqual(child.wait(), 0)
        self.assertTrue(wait_until(lambda: "number" not in self.document()))

    def test_an_unlink_hides_the_name_from_the_remover_alone(self):
        child = self.program(
            "os.unlink(F); print(os.path.exists(F), 'metadata.json' in os.listdir(os.path.dirname(F)), flush=True)\n"
            "open(F, 'x').write(sys.stdin.readline()); print('saved', flush=True)"
        )
        self.assertEqual(child.stdout.readline(), "False False\n")
        self.assertEqual(self.seen_by_others(), self.before)
        self.assertEqual(self.commits_made(), 0)
        child.stdin.write('{"version": 5}\n')
        self.assertEqual(child.stdout.readline(), "saved\n")
        self.assertEqual((self.document()["version"], self.commits_made()), (5, 1))
        self.assertEqual(os.listdir(self.path(".ckptree/rejected")), [])

    def test_a_new_one_that_arrives_by_rename_is_a_replacement(self):
        child = self.program(
            "open(F + '~', 'w').write('{\"version\": 6}'); os.unlink(F); os.rename(F + '~', F)\n"
            "print('saved', flush=True)"
        )
        self.assertEqual(child.stdout.readline(), "saved\n")
        self.assertEqual((self.document()["version"], self.commits_made()), (6, 1))

    def test_a_remover_that_exits_without_a_new_one_has_removed_it(self):
        child = self.program("os.unlink(F); sys.stdin.readline()")
        time.sleep(0.2)
        self.assertEqual(self.seen_by_others(), self.before)
        child.stdin.write("\n")
        child.wait()
        self.assertTrue(wait_until(lambda: not os.path.exists(self.path(DOCUMENT)), timeout=0.8))
        self.assertTrue(wait_until(lambda: MEMBER not in self.stored_names(), timeout=0.8))
        self.assertEqual(self.commits_made(), 1)

    def test_a_remover_that_lives_on_has_removed_it_after_a_second(self):
        self.program("os.unlink(F); print(flush=True); sys.stdin.readline()").stdout.readline()
        self.assertEqual(self.seen_by_others(), self.before)
        self.assertTrue(wait_until(lambda: MEMBER not in self.stored_names(), timeout=2.0))
        self.assertTrue(wait_until(lambda: self.seen_by_others() is None, timeout=0.8))

    def test_a_backup_by_rename_then_a_new_file_is_a_replacement(self):
        child = self.program("os.rename(F, F + '~'); open(F, 'w').write('{\"version\": 7}'); print(flush=True)")
        child.stdout.readline()
        self.assertEqual((self.document()["version"], self.commits_made()), (7, 1))
        self.assertEqual(self.read("metadata.json~"), self.before)
        self.ok("rm metadata.json~")

    def test_children_removed_by_one_process_settle_as_one_change(self):
        self.ok("mkdir metadata/big && cd metadata/big && for i in {1..300}; do echo $i > k$i; done")
        self.assertTrue(wait_until(lambda: len(self.stored_document().get("big", {})) == 300))
        self.commits = self.mount.commits()
        self.ok("rm -r metadata/big")
        self.assertNotIn("big", self.document())
        self.assertTrue(wait_until(lambda: "big" not in self.stored_document()))
        self.assertLessEqual(self.commits_made(), 3 * harness.SLOWNESS)

    def test_an_array_saved_by_removal_is_replaced(self):
        np.save(self.folder / "a.npy", np.arange(4.0))
        done = run(["cp", "--remove-destination", str(self.folder / "a.npy"), self.path("arrays/latitudes.npy")])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.commits_made(), 1)
        self.assertEqual(self.stored("archive/anemoi-metadata/latitudes.numpy"), np.arange(4.0).tobytes())

    def test_derived_files_cannot_be_removed(self):
        for name in ("kind", "metadata.path", "arrays.tsv"):
            self.fails("EPERM", os.unlink, self.path(name))
        self.fails("EPERM", os.rmdir, self.path("metadata"))
        self.assertEqual(self.commits_made(), 0)


if __name__ == "__main__":
    harness.main()
