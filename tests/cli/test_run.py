"""ckptree run: a command in a mount of its own, of which nothing stays."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest
import zipfile

import support
from support import Case, run

ROOT = os.geteuid() == 0
LR = "metadata/config/training/lr"
NOBODY, PROJECT = 65534, 4711


class RunCase(Case):
    def setUp(self):
        super().setUp()
        self.tmp = self.folder / "tmp"
        self.tmp.mkdir()
        self.environment = {**os.environ, "TMPDIR": str(self.tmp), "XDG_STATE_HOME": str(self.folder / "state")}

    def run_in(self, *arguments, **options):
        return run("run", *arguments, env=self.environment, **options)

    def sh(self, script, *options, **more):
        return self.run_in(*options, self.sample, "--", "sh", "-c", script, **more)

    def stored(self):
        with zipfile.ZipFile(self.sample) as archive:
            return json.loads(archive.read("archive/anemoi-metadata/anemoi.json"))["config"]["training"]["lr"]

    def nothing_is_left(self):
        end = time.monotonic() + 20
        while os.listdir(self.tmp) and time.monotonic() < end:
            time.sleep(0.005)
        self.assertEqual(os.listdir(self.tmp), [])
        self.assertEqual([name for name in os.listdir(self.folder) if name not in ("tmp", "state")], ["model.ckpt"])

    def start(self, script, *options, **more):
        """The process, once its command has written a first line, and that line."""
        process = subprocess.Popen([support.ckptree, "run", *options, self.sample, "--", "sh", "-c", script],
                                   env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, **more)
        self.addCleanup(process.communicate)
        return process, process.stdout.readline().strip()

    def wait_for_end(self, pid):
        end = time.monotonic() + 20
        status = pathlib.Path(f"/proc/{pid}/status")
        while status.exists() and "State:\tZ" not in status.read_text() and time.monotonic() < end:
            time.sleep(0.005)
        self.assertLess(time.monotonic(), end)


class Run(RunCase):
    def test_the_command_starts_at_the_top_and_ckpt_is_its_path(self):
        answer = self.sh('test "$PWD" = "$CKPT" && cat kind && ls "$CKPT"/metadata.json | wc -l')
        self.check_text(answer, "torch\n1\n")
        self.nothing_is_left()

    def test_edits_are_committed_when_it_returns(self):
        self.check(self.sh(f"echo 0.5 > {LR}"), 0)
        self.assertEqual(self.stored(), 0.5)
        self.nothing_is_left()

    def test_edits_are_one_commit_where_that_is_asked_for(self):
        answer = self.sh(f"echo 0.5 > {LR}; sleep 0.4; cat .ckptree/status.json", "-o", "flush_interval=none")
        self.assertEqual(json.loads(answer.text)["commits"], 0)
        self.assertEqual(self.stored(), 0.5)

    def test_its_exit_status_is_passed_on(self):
        self.check(self.sh(f"echo 0.5 > {LR}; exit 3"), 3)
        self.assertEqual(self.stored(), 0.5)
        self.check(self.sh("kill -TERM $$"), 128 + signal.SIGTERM)
        self.check(self.run_in(self.sample, "--", "no-such-command"), 127, "no-such-command: No such file or directory")
        self.check(self.run_in(self.sample, "--", "/dev/null"), 126, "/dev/null: Permission denied")
        self.nothing_is_left()

    def test_a_refused_edit_is_told_and_fails_a_command_that_did_not(self):
        for script, status in (("printf '[]' > metadata.json; true", 9), ("printf '[]' > metadata.json; exit 4", 4)):
            answer = self.sh(script)
            self.assertEqual(answer.returncode, status)
            self.assertIn(f"ckptree: {self.sample}: refused: metadata.json: ", answer.said)
            self.assertIn(f"their bytes are in {self.folder}/state/ckptree/model.ckpt-", answer.said)
        self.assertEqual(self.stored(), 0.000625)
        self.nothing_is_left()

    def test_options_are_those_of_a_mount(self):
        answer = self.sh(f"echo 0.5 > {LR}", "-o", "ro")
        self.assertEqual((answer.returncode, self.stored()), (2 if "cannot create" in answer.said else 1, 0.000625))
        self.assertIn("Read-only file system", answer.said)
        self.check_text(self.sh('grep " $CKPT " /proc/self/mounts | cut -d " " -f 1,3', "-o",
                                "fsname=Model,subtype=view"), "Model fuse.view\n")

    def test_nobody_else_sees_the_mount(self):
        process, top = self.start("echo $CKPT; sleep 60")
        self.assertNotIn(top, pathlib.Path("/proc/self/mountinfo").read_text())
        self.assertEqual(os.listdir(top), [])
        process.terminate()
        self.assertEqual(process.wait(20), 128 + signal.SIGTERM)
        self.nothing_is_left()

    def test_a_signal_that_comes_before_it_runs_reaches_it(self):
        # Sanitizers want to be loaded before all else: there the moment is hit by luck only.
        module = os.environ.get("SLOW_FORK_MODULE")
        module = {"LD_PRELOAD": module, "SLOW_FORK": "1000"} if module else {}
        command = [support.ckptree, "run", self.sample, "--", "sh", "-c", "touch $TMPDIR/runs; exec sleep 15"]
        process = subprocess.Popen(command, env={**self.environment, **module})
        while not (self.tmp / "runs").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 128 + signal.SIGTERM)
        (self.tmp / "runs").unlink()
        self.nothing_is_left()

    def test_a_run_in_a_run_works(self):
        other = self.tmp / "other.ckpt"
        shutil.copy(self.sample, other)
        inner = f"{support.ckptree} run {other} -- sh -c 'echo 0.25 > {LR}'"
        self.check(self.sh(f"{inner} && {support.ckptree} cat {other} {LR} > {LR}"), 0)
        self.assertEqual(self.stored(), 0.25)

    def test_a_collection_has_more_checkpoints_than_most_systems_allow_open_files(self):
        folder = self.tmp / "collection"
        folder.mkdir()
        for i in range(100):
            shutil.copy(self.sample, folder / f"{i}.ckpt")
        command = [support.ckptree, "run", folder, "--", "sh", "-c", "cat */metadata/config/training/lr | wc -l; ulimit -n"]
        process = subprocess.run(["sh", "-c", 'ulimit -Sn 50; exec "$@"', "sh", *command], env=self.environment,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual((process.stderr, process.stdout.split()), (b"", [b"100", b"50"]))

    def test_what_the_command_left_running_is_ended(self):
        answer = self.sh(f"(trap '' TERM; echo 0.5 > {LR}; exec sleep 60) >/dev/null 2>&1 & sleep 0.2; echo $!")
        self.check(answer, 0)
        self.wait_for_end(int(answer.text))
        self.assertEqual(self.stored(), 0.5)
        self.nothing_is_left()

    def test_a_bad_source_and_a_missing_command_are_told(self):
        self.check(self.run_in(self.folder / "none.pt", "--", "true"), 3, f"{self.folder}/none.pt: "
                   "no such file or directory")
        self.check(self.run_in(self.sample), 2, "run: expected SOURCE and, behind --, a COMMAND")
        self.nothing_is_left()


class Killed(RunCase):
    """Whoever is killed, the others clean up."""

    SCRIPT = f"echo 0.5 > {LR}; echo $$; sleep 60"

    def test_the_owner(self):
        for group in (False, True):
            process, command = self.start(self.SCRIPT, start_new_session=True)
            if group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait()
            self.wait_for_end(int(command))
            self.nothing_is_left()
            self.assertEqual(self.stored(), 0.5)

    def test_the_server(self):
        process, status = self.start(f'echo 0.5 > {LR}; echo $(cat .ckptree/status.json); sleep 0.5')
        os.kill(json.loads(status)["pid"], signal.SIGKILL)
        said = process.communicate(timeout=20)[1]
        self.assertEqual((process.returncode, said), (1, f"ckptree: {self.sample}: the program that served its mount "
                                                      "ended without a word; what it had not committed is lost\n"))
        self.nothing_is_left()

    def test_by_a_terminal(self):
        process, command = self.start(f"trap 'echo 0.25 > {LR}; exit 7' INT; {self.SCRIPT}", start_new_session=True)
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(20), 7)
        self.assertEqual(self.stored(), 0.25)
        self.nothing_is_left()


@unittest.skipUnless(ROOT and support.own_mounts(), "only root can become another user and lend it /dev/fuse")
class WithoutPrivileges(RunCase):
    def as_user(self, *command):
        """As a user who may use /dev/fuse, as on most systems, and has a group that is not his first."""
        for path in (self.folder, self.tmp):
            os.chown(path, NOBODY, NOBODY)
        script = ('mount -t tmpfs lent "$1/tmp" && mknod -m 666 "$1/tmp/fuse" c 10 229 && '
                  'mount --bind "$1/tmp/fuse" /dev/fuse && umount -l "$1/tmp" && cd "$1" && shift && '
                  f'exec setpriv --reuid={NOBODY} --regid={NOBODY} --groups={PROJECT} --bounding-set=-all -- "$@"')
        process = subprocess.run([*support.own_mounts(), "sh", "-c", script, "sh", self.folder, *map(str, command)],
                                 env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, timeout=60)
        process.text, process.said = process.stdout.decode(), process.stderr.decode()
        return process

    def test_it_needs_none_and_the_group_of_the_checkpoint_stays(self):
        os.chown(self.sample, NOBODY, PROJECT)
        self.sample.chmod(0o640)
        program = self.folder / "program"
        shutil.copy(support.ckptree, program)
        before = self.stored()
        answer = self.as_user(program, "run", self.sample, "--", "sh", "-c", f"id -u; echo 0.5 > {LR}; stat -c %u kind")
        if self.as_user("unshare", "--user", "true").returncode == 0:
            self.check_text(answer, f"{NOBODY}\n{NOBODY}\n")
            self.assertEqual(self.stored(), 0.5)
        else:  # in a chroot, or forbidden by the system: told, and nothing was done
            self.assertEqual((answer.returncode, answer.text), (8, ""))
            self.assertIn("no user namespace of its own: ", answer.said)
            self.assertEqual(self.stored(), before)
        status = self.sample.stat()
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o777), (NOBODY, PROJECT, 0o640))
        self.assertEqual(os.listdir(self.tmp), [])


if __name__ == "__main__":
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or not support.own_mounts():
        print("SKIP: no /dev/fuse that this user can open, or no mount namespaces")
        sys.exit(77)
    support.main()
