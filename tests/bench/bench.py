"""Times ckptree against what people use today and against the floor, on the same files in the same run; prints ratios.

usage: bench.py CKPTREE FOLDER [--sizes 0.1,1,4.5] [--python PYTHON] [--only edit,mount,read,tensors]

For each size in GB, on the filesystem of FOLDER and (as root) on a loop-mounted XFS that can reflink:

  edit     the floor is a clone of the file (reflink, else copy_file_range), an edit of its end, fsync, rename, fsync of
           the folder; ckptree saves metadata.json through the mount; replace_metadata needs PYTHON with anemoi-utils
           (default: that of the interop suite, when it is there); fuse-zip commits when it is unmounted
  mount    from the start of the process to the first listing
  read     open, read, close of a document of 300 KB; the largest member from beginning to end; against a plain file
  memory   the largest resident size the daemon had
  tensors  a checkpoint of 100,000 of them is listed, against torch.load(mmap=True) where PYTHON has torch
"""

import argparse
import fcntl
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

import sample

FICLONE = 0x40049409
BLOCK = 1 << 20
TAIL = b"x" * 300_000  # what a floor edit writes: as much as a document


def timed(action, repeat=5, before=lambda: None):
    """Median seconds of `action()`, each after an untimed `before()`."""
    took = []
    for _ in range(repeat):
        before()
        begin = time.perf_counter()
        action()
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def show(what, seconds, against=None, than="", goal=""):
    """One line: the figure, its ratio to another one, and the goal."""
    ratio = f"{seconds / against:10.2f} x {than}" if against else ""
    print(f"  {what:44} {seconds * 1e3:12.3f} ms {ratio:34} {goal}".rstrip(), flush=True)


class Daemon:
    """A mount by any program that has -f, timed from its start to the first listing."""

    def __init__(self, command, point, unmount):
        self.point, self.unmount_command = pathlib.Path(point), unmount
        self.point.mkdir(exist_ok=True)
        begin = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.listdir(point):
            if self.process.poll() is not None:
                raise RuntimeError(f"{' '.join(map(str, command))}: exit status {self.process.returncode}")
        self.mount_s = time.perf_counter() - begin

    def memory(self):
        """Bytes: the largest resident size so far."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) << 10

    def unmount(self):
        subprocess.run(self.unmount_command, check=True, stderr=subprocess.DEVNULL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.unmount()


class Bench:
    def __init__(self, arguments):
        self.ckptree, self.python, self.only = arguments.ckptree, arguments.python, arguments.only.split(",")
        self.fuse_zip = shutil.which("fuse-zip")

    def ckptree_mount(self, source, point, options=None):
        return Daemon(
            [self.ckptree, source, point, "-f"] + (["-o", options] if options else []),
            point,
            [self.ckptree, "umount", point],
        )

    def fuse_zip_mount(self, source, point):
        return Daemon([self.fuse_zip, "-f", source, point], point, ["fusermount3", "-u", point])

    def run(self, folder, sizes):
        for size in sizes:
            source = folder / f"{size}GB.ckpt"
            make(source, size)
            print(f"\n{size} GB on {filesystem(folder)}, {len(sample.members(source, data=False))} members")
            try:
                if "edit" in self.only:
                    self.edits(source)
                if "mount" in self.only:
                    self.mounts(source)
                if "read" in self.only:
                    self.reads(source)
            finally:
                source.unlink()

    def tensors(self, folder):
        """Listing the tensors of a checkpoint that has very many."""
        source, count = folder / "tensors.ckpt", 100_000
        views = {f"model.layers.{i}.weight": sample.View(i, 0, (2, 2), (2, 1)) for i in range(count)}
        sample.torch_save(source, [bytes(16)] * count, tensors=views)
        print(f"\n{count:,} tensors on {filesystem(folder)}")
        with self.ckptree_mount(source, folder / "mnt") as mount:
            show("ckptree: start to first listing of the top", mount.mount_s)
            for place in ("tensors", "values"):
                names = os.listdir(mount.point / place)
                assert len(names) == count
                show(f"ckptree: names of {place}/", timed(lambda: os.listdir(mount.point / place), 3))
                sizes = lambda: sum(entry.stat().st_size for entry in os.scandir(mount.point / place))
                show(f"ckptree: names and sizes of {place}/", timed(sizes, 3), goal="goal 1 s")
            command = ["ls", "-l", mount.point / "tensors"]
            seconds = timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL), 1)
            show("ckptree: ls -l tensors/, and 200,000 getxattr", seconds)
            show("ckptree: tensors.tsv", timed(lambda: read_whole(mount.point / "tensors.tsv"), 3))
            print(f"  {'ckptree: memory of the daemon':44} {mount.memory() / 2**20:12.1f} MiB")
        script = (
            "import re, sys, time, torch; memory = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', "
            "open('/proc/self/status').read())[1])\n"
            "before = memory(); begin = time.perf_counter(); loaded = torch.load(sys.argv[1], mmap=True)\n"
            "print(time.perf_counter() - begin, before, memory())"
        )
        command = [self.python or sys.executable, "-c", script, source]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode != 0:
            print("  torch.load(mmap=True): not measured, there is no Python with torch (--python)")
        else:
            seconds, before, after = map(float, done.stdout.split())
            show("torch.load(mmap=True)", seconds)
            print(f"  {'torch: its memory, of which for the load':44} {after / 2**10:12.1f} MiB", end=" ")
            print(f"{(after - before) / 2**10:10.1f} MiB")
        source.unlink()

    def edits(self, source):
        floor = timed(lambda: clone_floor(source), 3)
        show("floor: clone, sync, rename", floor)
        with self.ckptree_mount(source, source.parent / "mnt") as mount:
            document = json.loads((mount.point / "metadata.json").read_text())
            number = iter(range(1000))

            def prepare():
                document["uuid"] = f"edit {next(number)}"
                self.text = json.dumps(document)

            def save():
                (mount.point / "metadata.json").write_text(self.text)

            goal = "goal 1.2, or 5 ms where there are reflinks"
            show("ckptree: first edit", timed(save, 1, prepare), floor, "the floor", goal)
            edit = timed(save, 9, prepare)
            show("ckptree: later edits", edit, floor, "the floor")
            memory = mount.memory()
            (mount.point / ".ckptree/flush_interval").write_text("1\n")
            show(
                "ckptree: one value",
                timed(lambda: (mount.point / "metadata/seed").write_text(f"{next(number)}\n"), 3),
                floor,
                "the floor",
            )
        print(f"  {'ckptree: memory of the daemon':44} {memory / 2**20:12.1f} MiB {'':33} goal 32 MiB and the document")
        self.replace_metadata(source, edit)
        if self.fuse_zip:
            copy = source.with_suffix(".fuse-zip")
            shutil.copyfile(source, copy)

            def save_with_fuse_zip():
                with self.fuse_zip_mount(copy, source.parent / "peer") as mount:
                    [path] = mount.point.glob("*/anemoi-metadata/anemoi.json")
                    path.write_text(json.dumps(document))

            seconds = timed(save_with_fuse_zip, 1)
            show("fuse-zip: one edit and its unmount", seconds, edit, "ckptree")
            copy.unlink()

    def replace_metadata(self, source, edit):
        if not self.python:
            print("  anemoi replace_metadata: not measured, there is no Python with anemoi-utils (--python)")
            return
        copy = source.with_suffix(".anemoi")
        shutil.copyfile(source, copy)
        script = (
            "import re, sys, time; from anemoi.utils.checkpoints import load_metadata, replace_metadata\n"
            "m = load_metadata(sys.argv[1]); m['uuid'] = 'new'; begin = time.perf_counter()\n"
            "replace_metadata(sys.argv[1], m)\n"
            "print(time.perf_counter() - begin, re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
        )
        said = subprocess.run(
            [self.python, "-c", script, copy], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ).stdout
        seconds, kib = said.split()
        show("anemoi: replace_metadata", float(seconds), edit, "ckptree")
        print(f"  {'anemoi: its memory':44} {int(kib) / 2**10:12.1f} MiB")
        copy.unlink()

    def mounts(self, source):
        def once(make_mount):
            took = []
            for _ in range(11):
                with make_mount(source, source.parent / "mnt") as mount:
                    took.append(mount.mount_s)
            return statistics.median(took)

        ours = once(self.ckptree_mount)
        show("ckptree: start to first listing", ours, goal="goal 2 ms")
        if self.fuse_zip:
            show("fuse-zip: start to first listing", once(self.fuse_zip_mount), ours, "ckptree")

    def reads(self, source):
        plain = source.parent / "document.json"
        with self.ckptree_mount(source, source.parent / "mnt") as mount:
            shutil.copyfile(mount.point / "metadata.json", plain)
            native = timed(lambda: read_whole(plain), 2000)
            show("plain file: open+read+close of 300 KB", native)
            show(
                "ckptree: the same",
                timed(lambda: read_whole(mount.point / "metadata.json"), 2000),
                native,
                "a plain file",
                "goal 2.5",
            )
            value = mount.point / "metadata/config/training/lr"
            show("ckptree: one value", timed(lambda: read_whole(value), 500))
            show(
                "ckptree: stat",
                timed(lambda: os.stat(mount.point / "metadata.json"), 2000),
                timed(lambda: os.stat(plain), 2000),
                "a plain file",
                "goal native",
            )
        with self.ckptree_mount(source, source.parent / "mnt", "ro") as mount:
            show(
                "ckptree -o ro: the same",
                timed(lambda: read_whole(mount.point / "metadata.json"), 2000),
                native,
                "a plain file",
                "goal 1.2",
            )
            [member] = (mount.point / ".ckptree/raw").glob("*/data/0")
            cold, native = sequential(source, cold=[source]), sequential(source)
            for what, speed, plain_speed, goal in (
                ("first", sequential(member), native, 0.40),
                ("again", sequential(member), native, 0.65),
                ("cold", sequential(member, cold=[source, member]), cold, 0.85),
            ):
                print(
                    f"  {'ckptree: sequential read, ' + what:44} {speed / 1e9:12.2f} GB/s "
                    f"{speed / plain_speed:8.2f} x {'a plain file':21} goal {goal:.2f}"
                )
        if self.fuse_zip:
            with self.fuse_zip_mount(source, source.parent / "peer") as mount:
                [path] = mount.point.glob("*/anemoi-metadata/anemoi.json")
                show(
                    "fuse-zip: open+read+close",
                    timed(lambda: read_whole(path), 200),
                    timed(lambda: read_whole(plain), 500),
                    "a plain file",
                )
        plain.unlink()


def make(path, gigabytes):
    """A checkpoint of that size: ten storages of real data, an array, a document of 300 KB.

    The document and the array are written as torch writes its members: fuse-zip answers EIO for those of Python's
    zipfile, whose mode says no file type.
    """
    block = os.urandom(BLOCK)
    each = max(1, int(gigabytes * 1e9 / 10 / BLOCK))
    folder, arrays = "anemoi-metadata", {"latitudes": sample.ARRAYS["latitudes"]}
    document = {
        "version": 1,
        "uuid": "0",
        "seed": 1,
        "config": {"training": {"lr": 0.001}},
        "variables": [f"variable {i:06}" for i in range(14_500)],
        "supporting_arrays_paths": sample.index_of(f"archive/{folder}", arrays),
    }
    records = [(f"{folder}/anemoi.json", json.dumps(document).encode())]
    records += [(f"{folder}/{name}.numpy", array.tobytes()) for name, array in arrays.items()]
    sample.torch_save(path, [block * each] * 10, records=records)
    with open(path) as file:
        os.fsync(file.fileno())


def clone_floor(path):
    """The least a commit by clone can do: a copy that shares what it can, its end written, all of it durable."""
    clone = path.with_suffix(".floor")
    with open(path, "rb") as old, open(clone, "wb") as new:
        size = os.fstat(old.fileno()).st_size
        try:
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
        except OSError:
            left = size
            while left:
                left -= os.copy_file_range(old.fileno(), new.fileno(), left)
        os.pwrite(new.fileno(), TAIL, size)
        os.ftruncate(new.fileno(), size)
        os.fsync(new.fileno())
    os.rename(clone, path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def read_whole(path):
    fd = os.open(path, os.O_RDONLY)
    while os.read(fd, BLOCK):
        pass
    os.close(fd)


def sequential(path, cold=()):
    """Bytes a second, after the page cache has forgotten the files `cold`."""
    for name in cold:
        with open(name, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    buffer, size = bytearray(BLOCK), 0
    with open(path, "rb", buffering=0) as file:
        begin = time.perf_counter()
        while count := file.readinto(buffer):
            size += count
        return size / (time.perf_counter() - begin)


def filesystem(folder):
    return subprocess.run(["stat", "-fc", "%T", folder], stdout=subprocess.PIPE, text=True).stdout.strip()


class ReflinkFilesystem:
    """An XFS in a file, mounted below `folder`; None where that is not allowed."""

    def __init__(self, folder, gigabytes):
        self.image, self.point = folder / "xfs.img", folder / "xfs"
        self.size = int((gigabytes * 4 + 1) * 1e9)

    def __enter__(self):
        self.point.mkdir(exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(self.size)
        for command in (
            ["mkfs.xfs", "-q", "-m", "reflink=1", self.image],
            ["mount", "-o", "loop", self.image, self.point],
        ):
            try:
                done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            except OSError as error:
                done = subprocess.CompletedProcess(command, 1, stderr=str(error))
            if done.returncode:
                print(f"\nno filesystem with reflinks: {command[0]}: {done.stderr.strip()}")
                return None
        return self.point

    def __exit__(self, *_):
        subprocess.run(["umount", self.point], stderr=subprocess.DEVNULL)
        self.image.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ckptree")
    parser.add_argument("folder")
    parser.add_argument("--sizes", default=os.environ.get("CKPTREE_BENCH_SIZES", "0.1,1"))
    parser.add_argument("--python", help="a Python that has anemoi-utils")
    parser.add_argument("--only", default="edit,mount,read,tensors")
    arguments = parser.parse_args()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("SKIP: no /dev/fuse that this user can open")
        sys.exit(77)
    arguments.ckptree = os.path.abspath(arguments.ckptree)
    folder = pathlib.Path(arguments.folder).resolve()
    interop = folder.parent / "interop/venv/bin/python"
    if not arguments.python and interop.exists():
        arguments.python = str(interop)
    work = folder / f"bench-{os.getpid()}"
    work.mkdir(parents=True)
    sizes = [float(size) for size in arguments.sizes.split(",")]
    try:
        bench = Bench(arguments)
        if "tensors" in bench.only:
            bench.tensors(work)
        if bench.only == ["tensors"]:
            return
        bench.run(work, sizes)
        with ReflinkFilesystem(work, max(sizes)) as point:
            if point:
                bench.run(point, sizes)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
