"""ckptree migration sync: what is missing is run and registered, all of it or nothing."""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import support
from migration_case import MigrationCase


def wait_until(is_so):
    end = time.monotonic() + 30
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)


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


if __name__ == "__main__":
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or not support.own_mounts():
        print("SKIP: no /dev/fuse that this user can open, or no mount namespaces")
        sys.exit(77)
    support.main()
