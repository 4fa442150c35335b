"""ckptree migration: new scripts, what a checkpoint has been through, their order."""

import os
import subprocess
import sys

import support
from migration_case import HEAD, MigrationCase


class Scripts(MigrationCase):
    def test_a_new_script_can_be_run_as_it_is(self):
        self.make()
        for flags in ([], ["--with-setup"]):
            answer = self.migration("create", f"Fix-The Keys{len(flags)}", *flags, "--dir", self.scripts)
            self.check(answer, 0)
            self.assertRegex(answer.text, rf"^Created migration {self.scripts}/\d+_fix_the_keys{len(flags)}\n$")
        self.assertIn("Executed 2 migrations", self.sync().text)
        self.check(self.migration("create", "end", "--final", "--dir", self.scripts), 0)
        self.check(self.migration("create", "end", "--final", "--with-setup"), 2,
                   "migration create: a final migration has no setup, for it is never run")

    def test_inspect(self):
        self.script("2_second")
        self.make(("1_first", "0.9.0", self.script("1_first")))
        self.check_text(self.migration("inspect", self.checkpoint, "--dir", self.scripts),
                        "1 registered migration:\n  * 1_first [v0.9.0]\n1 missing migration:\n  + 2_second [v0.9.0]\n"
                        "compatibility group 1 of 1\n")

    def test_what_is_no_script_is_told(self):
        self.make()
        (self.scripts / "README").write_text("left out\n")
        self.assertEqual(self.cat("migrations/compatible"), "yes\n")
        (self.scripts / "12_bad").write_text("#!/bin/sh\n")
        answer = self.migration("inspect", self.checkpoint, "--dir", self.scripts)
        self.assertEqual(answer.returncode, 9)
        self.assertIn(f"{self.scripts}/12_bad: does not say which migration it is", answer.said)

    def test_usage(self):
        self.check(self.migration(), 2, "migration needs one of create, inspect, sync, fix-order")
        self.check(self.migration("inspect", "x"), 2, "migration inspect: expected --dir DIR")
        self.check(self.migration("walk"), 2, "migration walk: expected create, inspect, sync or fix-order")


class FixOrder(MigrationCase):
    def git(self, *arguments):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", self.scripts, *arguments], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def test_new_scripts_come_behind_the_last_merged_one(self):
        self.git("init")
        self.script("10_first")
        self.script("30_merged")
        self.git("add", ".")
        self.git("commit", "-m", "merged")
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")
        self.script("20_mine")
        self.git("add", ".")
        self.git("commit", "-m", "mine")
        self.script("25_untracked")
        names = ["10_first", "20_mine", "25_untracked", "30_merged"]
        answer = self.migration("fix-order", "--dir", self.scripts, "--check")
        self.assertEqual((answer.returncode, answer.text), (1, "Would rename 20_mine to 31_mine.\n"
                                                            "Would rename 25_untracked to 32_untracked.\n"))
        self.assertEqual(sorted(os.listdir(self.scripts)), [".git", *names])
        self.check_text(self.migration("fix-order", "--dir", self.scripts),
                        "Renaming 20_mine to 31_mine.\nRenaming 25_untracked to 32_untracked.\n")
        self.assertEqual(sorted(os.listdir(self.scripts)),
                         [".git", "10_first", "30_merged", "31_mine", "32_untracked"])
        self.check_text(self.migration("fix-order", "--dir", self.scripts), "No migration to rename.\n")

    def test_any_name_is_renamed_and_all_of_them_or_none(self):
        self.git("init")
        self.script("30_merged")
        self.git("add", ".")
        self.git("commit", "-m", "merged")
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")
        for name in "10_früh", "20_same", "32_same":
            self.script(name)
        self.git("add", "10_früh")
        (self.scripts / "31_früh").mkdir()
        self.check(self.migration("fix-order", "--dir", self.scripts), 1,
                   f"{self.scripts}/31_früh: exists; nothing was renamed")
        (self.scripts / "31_früh").rmdir()
        self.check(self.migration("fix-order", "--dir", self.scripts), 0)
        self.assertEqual(sorted(os.listdir(self.scripts)), [".git", "30_merged", "31_früh", "32_same", "33_same"])


if __name__ == "__main__":
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or not support.own_mounts():
        print("SKIP: no /dev/fuse that this user can open, or no mount namespaces")
        sys.exit(77)
    support.main()
