"""The command around a real mount: in the background and not, unmounted in every way, from mount(8) and /etc/fstab."""

import json
import os
import pathlib
import re
import shlex
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


def entry_of(path):
    """The fields of the topmost mount on `path`, or nothing."""
    found = None
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[4] == str(path):
            kind, source = fields[fields.index("-") + 1:][:2]
            found = {"type": kind, "source": source, "options": fields[5].split(",")}
    return found


class MountCase(Case):
    def setUp(self):
        super().setUp()
        self.mnt = self.folder / "mnt"
        self.mnt.mkdir()
        os.environ["XDG_STATE_HOME"] = str(self.folder / "state")
        self.addCleanup(self.let_go)

    def let_go(self):
        """Whatever a failed test left mounted."""
        while entry_of(self.mnt):
            subprocess.run(["umount", "-l", self.mnt] if ROOT else ["fusermount3", "-uz", self.mnt], check=True)

    def mount(self, *options):
        self.check(run(*options, self.sample, self.mnt), 0)

    def stored(self):
        with zipfile.ZipFile(self.sample) as archive:
            return json.loads(archive.read("archive/anemoi-metadata/anemoi.json"))["config"]["training"]["lr"]

    def pid(self):
        return json.loads((self.mnt / ".ckptree/status.json").read_text())["pid"]

    def alive(self, pid):
        try:
            # An orphan that ended stays a zombie where nobody collects it, as in many containers.
            return not re.search(r"^State:\s+Z", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
        except OSError:
            return False

    def wait_for_end(self, pid):
        end = time.monotonic() + 20
        while self.alive(pid) and time.monotonic() < end:
            time.sleep(0.005)
        self.assertFalse(self.alive(pid))


class Background(MountCase):
    def test_the_mount_serves_when_the_command_returns(self):
        self.mount()
        self.assertEqual((self.mnt / LR).read_text(), "0.000625\n")
        self.assertEqual(entry_of(self.mnt)["type"], "fuse.ckptree")
        self.assertEqual(entry_of(self.mnt)["source"], str(self.sample))
        self.assertTrue({"nodev", "nosuid"} <= set(entry_of(self.mnt)["options"]))
        self.check(run("umount", self.mnt), 0)
        self.assertIsNone(entry_of(self.mnt))

    def test_relative_paths_are_those_of_the_caller(self):
        self.check(run("model.ckpt", "mnt", cwd=self.folder), 0)
        (self.mnt / LR).write_text("0.5\n")
        self.check(run("umount", "mnt", cwd=self.folder), 0)
        self.assertEqual(self.stored(), 0.5)

    def test_the_server_holds_neither_terminal_nor_folder(self):
        self.mount()
        pid = self.pid()
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        for number in range(3):
            self.assertEqual(os.readlink(f"/proc/{pid}/fd/{number}"), "/dev/null")
        self.assertEqual(os.getsid(pid), pid)
        self.check(run("umount", self.mnt), 0)
        self.wait_for_end(pid)

    def test_options_reach_the_mount(self):
        self.mount("-o", "ro,umask=027,uid=12,gid=34,fsname=Model,subtype=view,noexec,noatime,x-gvfs-hide")
        entry = entry_of(self.mnt)
        self.assertEqual((entry["type"], entry["source"]), ("fuse.view", "Model"))
        self.assertTrue({"ro", "noexec", "noatime"} <= set(entry["options"]))
        status = (self.mnt / "metadata.json").stat()
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o037), (12, 34, 0))
        with self.assertRaises(OSError) as refused:
            (self.mnt / "metadata.json").write_text("{}")
        self.assertEqual(refused.exception.errno, 30)  # EROFS
        self.check(run("umount", self.mnt), 0)

    def test_a_second_mount_on_the_same_place_is_refused(self):
        self.mount()
        self.check(run(self.sample, self.mnt), 6, f"{self.mnt}: busy: {self.sample} is mounted there (fuse.ckptree)")
        self.check(run("umount", self.mnt), 0)

    def test_what_a_killed_commit_left_is_swept(self):
        self.mount()
        self.check(run("umount", self.mnt), 0)
        self.assertEqual(sorted(os.listdir(self.folder)), ["mnt", "model.ckpt"])


class Unmount(MountCase):
    def test_pending_edits_are_committed_and_nothing_is_said(self):
        self.mount("-o", "flush_interval=none")
        (self.mnt / LR).write_text("0.25\n")
        self.assertEqual(self.stored(), 0.000625)
        self.check(run("umount", self.mnt), 0)
        self.assertEqual(self.stored(), 0.25)

    def test_a_busy_mount_stays_and_loses_nothing(self):
        self.mount("-o", "flush_interval=none")
        with open(self.mnt / "kind") as held:
            (self.mnt / LR).write_text("0.25\n")
            self.check(run("umount", self.mnt), 6,
                       f"{self.mnt}: busy: a program has a file open or its working directory there; "
                       "it stays mounted and nothing is lost")
            self.assertEqual(held.read(), "torch\n")
            self.assertEqual((self.mnt / LR).read_text(), "0.25\n")
        self.check(run("umount", self.mnt), 0)
        self.assertEqual(self.stored(), 0.25)

    def test_rejected_edits_are_moved_and_told(self):
        self.mount()
        with self.assertRaises(OSError):
            (self.mnt / "metadata.json").write_text('{"version": ')
        answer = run("umount", self.mnt)
        self.assertEqual(answer.returncode, 9, answer.said)
        self.assertIn(str(self.folder / "state/ckptree"), answer.said)
        kept = [p.read_text() for p in (self.folder / "state/ckptree").rglob("*") if p.is_file()]
        self.assertIn('{"version": ', kept)
        self.assertEqual(self.stored(), 0.000625)

    def test_rejected_edits_that_were_looked_at_are_not_told(self):
        self.mount()
        with self.assertRaises(OSError):
            (self.mnt / "metadata.json").write_text('{"version": ')
        rejected = self.mnt / ".ckptree/rejected"
        for name in os.listdir(rejected):
            if (rejected / name).exists():
                (rejected / name).unlink()
        self.check(run("umount", self.mnt), 0)

    def test_a_mount_whose_server_was_killed_is_removed(self):
        self.mount()
        os.kill(self.pid(), signal.SIGKILL)
        while True:  # until the kernel has noticed
            try:
                os.stat(self.mnt)
            except OSError:
                break
        self.check(run(self.sample, self.mnt), 6,
                   f"{self.mnt}: busy: the mount of a program that is gone; remove it with: ckptree umount {self.mnt}")
        self.check(run("umount", self.mnt), 1,
                   f"{self.mnt}: unmounted, but the program that served it was gone already; "
                   "what it had not committed is lost")
        self.assertIsNone(entry_of(self.mnt))
        self.mount()
        self.check(run("umount", self.mnt), 0)

    def test_plain_umount_commits_as_well(self):
        self.mount("-o", "flush_interval=none")
        (self.mnt / LR).write_text("0.25\n")
        pid = self.pid()
        subprocess.run(["umount", self.mnt] if ROOT else ["fusermount3", "-u", self.mnt], check=True)
        self.wait_for_end(pid)
        self.assertEqual(self.stored(), 0.25)

    def test_a_folder_in_a_mount_is_no_mount(self):
        self.mount()
        self.check(run("umount", self.mnt / "metadata"), 6, f"{self.mnt}/metadata: not a mount of ckptree")
        self.check(run("umount", self.mnt), 0)


class Foreground(MountCase):
    def start(self, *options):
        server = subprocess.Popen([support.ckptree, "-f", *options, self.sample, self.mnt], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 20
        while not entry_of(self.mnt) and server.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        self.assertTrue(entry_of(self.mnt))
        return server

    def test_signals_commit_and_unmount(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start("-o", "flush_interval=none")
            value = f"0.{int(number)}"
            (self.mnt / LR).write_text(value + "\n")
            server.send_signal(number)
            self.assertEqual(server.communicate(timeout=20), ("", ""))
            self.assertEqual(server.returncode, 0)
            self.assertIsNone(entry_of(self.mnt))
            self.assertEqual(self.stored(), float(value))

    def test_the_exit_status_tells_about_rejected_edits(self):
        server = self.start()
        with self.assertRaises(OSError):
            (self.mnt / "metadata.json").write_text("[]")
        answer = run("umount", self.mnt)
        self.assertEqual(answer.returncode, 9)
        said = server.communicate(timeout=20)[1]
        self.assertEqual(server.returncode, 9)
        self.assertIn(str(self.folder / "state/ckptree"), said)


class Readme(MountCase):
    def test_the_session_at_its_top_is_what_happens(self):
        text = (support.top / "README.md").read_text()
        session = [line[4:] for line in text.split("## Quick start")[0].splitlines() if line.startswith("    ")]
        script = "".join(f"echo {shlex.quote(line)}\n{line[2:]}\n" for line in session if line.startswith("$ "))
        path = f"{os.path.dirname(support.ckptree)}:{os.environ['PATH']}"
        process = subprocess.run(["bash"], cwd=self.folder, input=script, env={**os.environ, "PATH": path},
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        # A terminal's bash does not count lines.
        self.assertEqual(re.sub(r"bash: line \d+: ", "bash: ", process.stdout).splitlines(), session)
        self.assertEqual(process.returncode, 0)


UNSHARE = support.own_mounts()


@unittest.skipUnless(ROOT and UNSHARE, "needs root, for mount(8), and a mount namespace, for another /sbin")
class MountProgram(MountCase):
    """mount(8) finds its helpers in /sbin. A mount namespace of its own gets a /sbin with ours, or without."""

    def script(self, body, helper):
        sbin = self.folder / "sbin"
        sbin.mkdir()
        for name in ("mount.fuse3", "mount.fuse"):
            source = pathlib.Path("/sbin") / name
            if source.exists():
                shutil.copy2(source.resolve(), sbin / name)
        if helper:
            template = (support.top / "src/cli/mount.fuse.ckptree.in").read_text()
            (sbin / "mount.fuse.ckptree").write_text(template.replace("@CKPTREE@", support.ckptree))
            (sbin / "mount.fuse.ckptree").chmod(0o755)
        # mount(8) runs its helpers without a PATH; the shell's own has this folder.
        (sbin / "ckptree").symlink_to(support.ckptree)
        fstab = self.folder / "fstab"
        fstab.write_text(f"{self.sample} {self.mnt} fuse.ckptree nofail,x-systemd.requires=network.target,ro 0 0\n")
        environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                       "LIBMOUNT_FSTAB": str(fstab), "SRC": str(self.sample), "MNT": str(self.mnt)}
        process = subprocess.run([*UNSHARE, "sh", "-euc", f'mount --bind "{sbin}" /usr/sbin\n{body}'],
                                 env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        return process.stdout

    LOOK = 'cat "$MNT/kind"; grep " $MNT " /proc/self/mounts; ckptree umount "$MNT"'

    def test_by_hand_with_our_helper(self):
        out = self.script('mount -t fuse.ckptree -o noatime,edit=all "$SRC" "$MNT"\n' + self.LOOK, helper=True)
        self.assertRegex(out, rf"^torch\n{re.escape(str(self.sample))} {self.mnt} fuse.ckptree \S*noatime")

    def test_by_hand_through_mount_fuse(self):
        out = self.script('mount -t fuse.ckptree -o ro "$SRC" "$MNT"\n' + self.LOOK, helper=False)
        self.assertRegex(out, rf"^torch\n{re.escape(str(self.sample))} {self.mnt} fuse.ckptree ro")

    def test_from_fstab(self):
        for helper in (True, False):
            out = self.script('mount "$MNT"\n' + self.LOOK, helper)
            self.assertRegex(out, rf"^torch\n\S+ {self.mnt} fuse.ckptree ro")
            shutil.rmtree(self.folder / "sbin")

    def test_a_refused_option_fails_the_mount_with_our_sentence(self):
        out = self.script('! mount -t fuse.ckptree -o edit=some "$SRC" "$MNT" 2>&1', helper=True)
        self.assertIn("ckptree: -o edit=some: expected documents or all\n", out)

    def test_a_faked_mount_does_nothing(self):
        self.script('mount -f -t fuse.ckptree "$SRC" "$MNT"; ! grep " $MNT " /proc/self/mounts', helper=True)

    def test_the_connection_may_be_handed_over_as_a_descriptor(self):
        # mount.fuse3 opens /dev/fuse and mounts, gives up every privilege, and hands on /dev/fd/N.
        for helper in (True, False):
            out = self.script('mount -t fuse.ckptree -o ro,drop_privileges "$SRC" "$MNT"\n'
                              'grep CapEff /proc/$(jq .pid "$MNT/.ckptree/status.json")/status\n' + self.LOOK, helper)
            self.assertIn("CapEff:\t0000000000000000\ntorch\n", out)
            shutil.rmtree(self.folder / "sbin")


if __name__ == "__main__":
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("SKIP: no /dev/fuse that this user can open")
        sys.exit(77)
    support.main()
