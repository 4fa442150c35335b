"""ckptree migration: scripts over the tree, and what a checkpoint has been through."""

import fcntl
import hashlib
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import time
import unittest
import zipfile

import support
from support import Case, run

HEAD = "#!/bin/sh\n# ckptree: migration=1.0.0 anemoi-models="


def wait_until(is_so):
    end = time.monotonic() + 30
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)


class MigrationCase(Case):
    def setUp(self):
        super().setUp()
        self.sample.unlink()
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()
        self.checkpoint = self.folder / "last.ckpt"
        self.environment = {**os.environ, "TMPDIR": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state")}

    def make(self, *registered, **more):
        """A training checkpoint: `registered` is NAME, VERSION, SIGNATURE each. Without tensors, which need torch."""
        migrations = [{"name": name, "metadata": {"versions": {"migration": "1.0.0", "anemoi-models": version}},
                       "signature": signature} for name, version, signature in registered]
        content = {"pytorch-lightning_version": "2.6", "epoch": 1, "migrations": migrations,
                   "hyper_parameters": {"metadata": {"uuid": "u"}}, **more}
        with zipfile.ZipFile(self.checkpoint, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
            archive.writestr("archive/version", "3\n")
            archive.writestr("archive/anemoi-metadata/anemoi.json", '{"version": "1.0"}')
        self.checkpoint.chmod(0o640)
        return self.checkpoint.read_bytes()

    def script(self, name, body="", version="0.9.0", rest=""):
        path = self.scripts / name
        path.write_text(f"{HEAD}{version}{rest}\nset -e\n{body}\n")
        path.chmod(0o755)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def migration(self, *arguments):
        return run("migration", *arguments, env=self.environment)

    def sync(self, *options):
        return self.migration("sync", self.checkpoint, "--dir", self.scripts, *options)

    def cat(self, *paths):
        answer = run("cat", "-o", f"migrations={self.scripts}", self.checkpoint, *paths)
        self.check(answer, 0)
        return answer.text

    def beside(self):
        return sorted(set(os.listdir(self.folder)) - {"scripts", "state"})


class Sync(MigrationCase):
    def test_what_is_missing_is_run_and_registered_as_one_commit(self):
        old = self.make(("1_first", "0.8.0", self.script("1_first", version="0.8.0")))
        second = self.script("2_second", 'case $1 in setup) echo 2 > object/epoch;; migrate) '
                             'test "$(cat object/epoch)" = 3; echo 4 > object/epoch;; esac', "0.9.0")
        third = self.script("3_third", 'test "$(pwd)" = "$CKPT"; case $1 in setup) test "$(cat object/epoch)" = 2; '
                            'echo 3 > object/epoch;; migrate) test -e migrations/registered/2_second;; esac', "0.10.0")
        self.check_text(self.sync(), f"The checkpoint as it was: {self.folder}/last-v0.8.0-1.ckpt\n"
                        "Executed 2 migrations:\n  + 2_second [v0.9.0]\n  + 3_third [v0.10.0]\n")
        self.assertEqual(self.beside(), ["last-v0.8.0-1.ckpt", "last.ckpt"])
        kept = self.folder / "last-v0.8.0-1.ckpt"
        self.assertEqual((kept.read_bytes(), kept.stat().st_mode & 0o777), (old, 0o640))
        self.assertEqual(self.cat("object/epoch", "metadata/version"), "4\n1.0\n")
        self.assertEqual(self.cat("migrations/status.tsv"), "name\tversion\tfinal\tgroup\tstate\n"
                         "1_first\t0.8.0\tfalse\t0\tregistered\n2_second\t0.9.0\tfalse\t0\tregistered\n"
                         "3_third\t0.10.0\tfalse\t0\tregistered\n")
        history = "object/hyper_parameters/metadata/migrations/history"
        self.assertEqual(self.cat(*(f"{history}/{i}/{key}" for i in (0, 1) for key in ("type", "name", "signature"))),
                         f"migrate\n2_second\n{second}\nmigrate\n3_third\n{third}\n")
        self.check_text(self.sync(), "compatible: nothing is missing\n")

    def test_a_dry_run_runs_and_keeps_nothing(self):
        old = self.make()
        self.script("1_first", "echo 7 > object/epoch; echo ran $1 >&2")
        answer = self.sync("--dry-run")
        self.assertEqual((answer.returncode, answer.said), (0, "ran setup\nran migrate\n"))
        self.assertEqual(answer.text, "Would execute 1 migration:\n  + 1_first [v0.9.0]\n")
        self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_a_script_that_fails_leaves_the_checkpoint_as_it_was(self):
        old = self.make()
        self.script("1_first", "echo 7 > object/epoch")
        self.script("2_second", "case $1 in migrate) exit 5;; esac")
        self.check(self.sync(), 1, f"{self.scripts}/2_second: migrate ended with exit status 5; nothing was changed")
        self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_so_does_an_edit_that_is_refused(self):
        old = self.make()
        self.script("1_first", "echo 7 > object/epoch; printf '[]' > metadata.json || true")
        answer = self.sync()
        self.assertEqual(answer.returncode, 1)
        self.assertIn(f"{self.scripts}/1_first: setup: an edit was refused; nothing was changed: metadata.json: ",
                      answer.said)
        self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_so_does_the_death_of_the_program(self):
        old = self.make()
        self.script("1_first", "echo 7 > object/epoch; kill -KILL $PPID; sleep 60")
        self.assertEqual(self.sync().returncode, -9)
        wait_until(lambda: self.beside() == ["last.ckpt"])
        self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_a_name_that_is_taken_is_told_and_nothing_is_changed(self):
        old = self.make()
        self.script("1_first")
        (self.folder / "last-v0.ckpt").touch()
        self.check(self.sync(), 1, f"{self.folder}/last-v0.ckpt: exists already, and is not the checkpoint as it is "
                   "now, which a migration keeps under this name; move it away")
        self.assertEqual(self.checkpoint.read_bytes(), old)

    def test_a_copy_that_a_killed_run_left_is_taken(self):
        old = self.make()
        self.script("1_first")
        kept = self.folder / "last-v0.ckpt"
        shutil.copy(self.checkpoint, kept)  # of another time
        kept.chmod(0o600)
        self.check(self.sync(), 0)
        self.assertEqual((kept.read_bytes(), kept.stat().st_mode & 0o777), (old, 0o640))

    def test_the_copy_is_beside_the_checkpoint_whatever_version_it_names(self):
        first = self.script("1_first")
        self.script("2_second")
        (self.folder / "last-v..").mkdir()
        for version, name in ("../../x", "%2E.%2F..%2Fx-1"), ("", "%-1"), ("a\0b", "a%00b-1"):
            with self.subTest(version=version):
                old = self.make(("1_first", version, first))
                self.assertEqual(self.sync().returncode, 0)
                self.assertEqual((self.folder / f"last-v{name}.ckpt").read_bytes(), old)

    def test_what_only_looks_like_one_is_not(self):
        old = self.make()
        self.script("1_first")
        kept = self.folder / "last-v0.ckpt"
        kept.write_bytes(bytes(len(old)))
        os.utime(kept, ns=(0, self.checkpoint.stat().st_mtime_ns))
        self.assertEqual(self.sync().returncode, 1)
        self.assertEqual((self.checkpoint.read_bytes(), kept.read_bytes()), (old, bytes(len(old))))

    def test_killed_between_copy_and_commit_it_can_be_run_again(self):
        old = self.make()
        self.script("1_first", "echo 7 > object/epoch")
        kept = self.folder / "last-v0.ckpt"
        with open(self.checkpoint) as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # the commit waits for it
            command = [support.ckptree, "migration", "sync", self.checkpoint, "--dir", self.scripts]
            sync = subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL)
            children = pathlib.Path(f"/proc/{sync.pid}/task/{sync.pid}/children")
            wait_until(kept.exists)
            server = int(children.read_text().split()[0])
            os.kill(sync.pid, signal.SIGKILL)  # first: it would take the copy away when the server is gone
            os.kill(server, signal.SIGKILL)
            sync.wait()
        self.assertEqual((self.checkpoint.read_bytes(), kept.read_bytes()), (old, old))
        self.check(self.sync(), 0)
        self.assertEqual((self.cat("object/epoch"), kept.read_bytes()), ("7\n", old))
        # Where both were killed nobody was left to remove the empty folder of the mount.
        self.assertEqual([name for name in self.beside() if not name.startswith("ckptree-")],
                         ["last-v0.ckpt", "last.ckpt"])

    def test_another_program_s_change_while_scripts_run_ends_it(self):
        for change in "object/epoch", "metadata/version":  # what the script edits, and something else
            for when in "setup", "migrate":
                with self.subTest(change=change, when=when):
                    self.make()
                    self.script("1_first", f"echo 7 > object/epoch; case $1 in {when}) "
                                f"echo 3 | {support.ckptree} write -o edit=all {self.checkpoint} {change};; esac; "
                                "sleep 0.1")
                    self.script("2_second", "echo 8 > object/other || true")
                    answer = self.sync()
                    self.assertNotEqual(answer.returncode, 0)
                    self.assertRegex(answer.said, "another program")
                    self.assertEqual(self.beside(), ["last.ckpt"])
                    self.assertEqual(self.cat("object/epoch", "metadata/version"),
                                     "3\n1.0\n" if change == "object/epoch" else "1\n3\n")

    def test_so_does_a_removal_or_a_rename_that_is_refused_whatever_the_script_makes_of_it(self):
        old = self.make()
        for edit in "rm tensors.tsv", "mv arrays.tsv object/x", "ln -sf x tensors.tsv", "echo > tensors.tsv", \
                    "rmdir tensors", "rm -r tensors":
            with self.subTest(edit=edit):
                self.script("1_first", f"echo 7 > object/epoch; {edit} || true")
                self.script("2_second", "echo 8 > object/epoch")
                answer = self.sync()
                self.assertEqual(answer.returncode, 1)
                self.assertIn(f"{self.scripts}/1_first: setup: an edit was refused; nothing was changed: ", answer.said)
                self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_what_fails_anywhere_is_no_refusal(self):
        self.make()
        self.script("1_first", "mkdir -p new; echo x > new/y; rmdir new 2>/dev/null || true; "
                    "rm none 2>/dev/null || true; mv -n new/y object/epoch 2>/dev/null || true; touch new; "
                    "chmod 600 tensors.tsv || true")
        answer = self.sync()
        self.assertEqual(answer.returncode, 0, answer.said)

    def test_a_script_cannot_take_back_what_others_did_or_commit_it(self):
        old = self.make()
        for when in "setup", "migrate":
            for word in "discard", "flush", "flush_interval":
                with self.subTest(when=when, word=word):
                    self.script("1_first", "echo 7 > object/epoch")
                    self.script("2_second", f"case $1 in {when}) echo 1 > .ckptree/{word} || true; exit 0;; esac")
                    answer = self.sync()
                    self.assertEqual(answer.returncode, 1)
                    self.assertIn(f"2_second: {when}: an edit was refused; nothing was changed: .ckptree/{word}: all "
                                  "that is done in this mount is one commit, which is made at its end\n", answer.said)
                    self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_nor_hide_that_an_edit_was_refused(self):
        old = self.make()
        self.script("1_first", "printf '[]' > metadata.json || true; rm -f .ckptree/rejected/* || true")
        self.assertEqual(self.sync().returncode, 1)
        self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_nor_unregister_another(self):
        old = self.make()
        self.script("1_first", "echo 7 > object/epoch")
        self.script("2_second", "case $1 in migrate) rm migrations/registered/1_first;; esac")
        self.check(self.sync(), 1, "1_first: a later script took back what it did; nothing was changed")
        self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_a_dry_run_commits_nothing_of_what_still_runs_either(self):
        old = self.make()
        self.script("1_first", "(exec 3> object/epoch; printf 9 >&3; exec sleep 60) > /dev/null 2>&1 & sleep 0.3")
        self.sync("--dry-run")
        self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_what_cannot_be_registered_is_told(self):
        old = self.make(migrations="none of anemoi's")
        self.script("1_first")
        answer = self.sync()
        self.assertEqual(answer.returncode, 1)
        self.assertNotIn(str(self.folder / "ckptree"), answer.said)
        self.assertRegex(answer.said, "last.ckpt|1_first")
        self.assertEqual((self.checkpoint.read_bytes(), self.beside()), (old, ["last.ckpt"]))

    def test_scripts_of_anemoi_are_recognised_and_not_run(self):
        self.make(("1_python", "0.8.0", "of another Python"))
        python = 'metadata = MigrationMetadata(\n    versions={\n        "migration": "1.0.0",\n        ' \
                 '"anemoi-models": "%s",\n    },\n)\n'
        (self.scripts / "__init__.py").touch()
        (self.scripts / "1_python.py").write_text(python % "0.8.0")
        self.script("2_ours", "echo 7 > object/epoch")
        (self.scripts / "3_theirs.py").write_text(python % "0.10.0")
        self.script("4_ours")
        self.assertEqual(self.cat("migrations/status.tsv").splitlines()[1:],
                         ["1_python\t0.8.0\tfalse\t0\tunverified", "2_ours\t0.9.0\tfalse\t0\tmissing",
                          "3_theirs\t0.10.0\tfalse\t0\tmissing", "4_ours\t0.9.0\tfalse\t0\tmissing"])
        self.check(self.sync(), 1, f"{self.checkpoint}: stops before 3_theirs, a Python script of anemoi-models: run "
                   "'anemoi-models migration sync', or write it over the tree")
        self.assertEqual(self.cat("object/epoch"), "7\n")
        self.check(self.sync(), 1, f"{self.checkpoint}: stops before 3_theirs, a Python script of anemoi-models: run "
                   "'anemoi-models migration sync', or write it over the tree")

    def test_extra_migrations_and_old_checkpoints_are_refused(self):
        self.script("1_first")
        self.script("2_second")
        self.script("3_third")
        self.make(("1_first", "0.9.0", ""), ("3_third", "0.9.0", ""), ("4_other", "0.9.0", ""))
        self.check(self.sync(), 1, f"{self.checkpoint}: cannot be migrated: extra migrations are registered "
                   "(3_third, 4_other)")
        self.assertEqual([line.split("\t")[-1] for line in self.cat("migrations/status.tsv").splitlines()[1:]],
                         ["changed", "out-of-order", "extra", "missing"])
        self.script("5_final", version="1.0.0", rest=" final")
        self.assertEqual(self.cat("migrations/compatible", "migrations/first_incompatible_version"),
                         "no: it is too old: use a version of anemoi-models before 1.0.0\n1.0.0\n")
        self.check(self.sync(), 1, f"{self.checkpoint}: cannot be migrated: it is too old: use a version of "
                   "anemoi-models before 1.0.0")

    def test_only_training_checkpoints_are_migrated(self):
        subprocess.run([support.make_sample, self.checkpoint, "--bytes", "65536"], check=True)
        self.script("1_first")
        self.check(self.sync(), 1, f"{self.checkpoint}: migrations: not a training checkpoint: the pickled object has "
                   "neither 'migrations' nor 'pytorch-lightning_version'; migrate the training checkpoint, and make "
                   "the inference one from it")


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
