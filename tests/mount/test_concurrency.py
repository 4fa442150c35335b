"""Readers, mapped readers and savers of every family on one document at once; counts what readers must never see.

"Readers never see a draft, a torn or an empty document, or a missing name."
A version of the document carries a digest of itself, so that a reader can tell a whole one from a mixture.
CKPTREE_STRESS_S (default 15) is the length of the run in seconds.
"""

import collections
import hashlib
import json
import mmap
import multiprocessing
import os
import random
import signal
import subprocess
import tempfile
import time

import harness
import sample
from harness import MountTest

SECONDS = float(os.environ.get("CKPTREE_STRESS_S", "15"))


def version_text(writer, number):
    """One version of the document: its padding makes versions differ in size, its digest tells it is whole."""
    padding = f"{writer} {number} " * random.randrange(50, 3000)
    return json.dumps({"version": 1, "padding": padding, "digest": hashlib.sha1(padding.encode()).hexdigest()}).encode()


def is_whole(text):
    try:
        document = json.loads(text)
        return hashlib.sha1(document["padding"].encode()).hexdigest() == document["digest"]
    except (ValueError, KeyError, TypeError):
        return False


def judge(text, counts):
    counts["reads"] += 1
    if not text:
        counts["empty"] += 1
    elif not is_whole(text):
        counts["torn"] += 1


def read(path, counts):
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        counts[f"failed to open or read: {error.strerror}"] += 1
    else:
        judge(text, counts)


def read_mapped(path, counts):
    try:
        with open(path, "rb") as file:
            view = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    except OSError as error:
        counts[f"failed to open or map: {error.strerror}"] += 1
        return
    except ValueError:  # an empty file cannot be mapped
        counts["empty"] += 1
        return
    first = bytes(view)
    judge(first, counts)
    time.sleep(0.002)  # what was mapped stays as it was, while others save
    if bytes(view) != first:
        counts["changed under a mapping"] += 1
    view.close()


def listed(path, counts):
    counts["reads"] += 1
    if os.path.basename(path) not in os.listdir(os.path.dirname(path)):
        counts["missing from the listing"] += 1
    try:
        if os.stat(path).st_size == 0:
            counts["empty"] += 1
    except OSError as error:
        counts[f"failed to stat: {error.strerror}"] += 1


def save_in_place(path, text):
    with open(path, "wb") as file:
        for at in range(0, len(text), 8192):
            file.write(text[at : at + 8192])


def save_by_rename(path, text):
    fd, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".metadata.json.")
    with open(fd, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    os.rename(name, path)


def save_by_removal(path, text):
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(text)


def save_by_backup(path, text):
    backup = f"{path}.{os.getpid()}~"
    os.rename(path, backup)
    save_in_place(path, text)
    os.unlink(backup)


def save_by_mapping(path, text):
    with open(path, "r+b") as file:
        file.truncate(len(text))
        with mmap.mmap(file.fileno(), len(text)) as view:
            view[:] = text
            view.flush()


def save_by_sponge(path, text):
    done = subprocess.run(["bash", "-c", 'jq -c . | sponge "$1"', "bash", path], input=text, stderr=subprocess.PIPE)
    if done.returncode or done.stderr:
        raise OSError(0, done.stderr.decode())


READERS = [read, read, read_mapped, read_mapped, listed]
SAVERS = [save_in_place, save_by_rename, save_by_removal, save_by_backup, save_by_mapping, save_by_sponge]


def work(function, path, end, results):
    """Repeats one reader or saver until the time is over and reports its counts, also when it is killed by SIGBUS."""
    counts = collections.Counter()
    child = None
    while time.monotonic() < end:
        ours, theirs = multiprocessing.Pipe(False)
        child = multiprocessing.Process(target=repeat, args=(function, path, end, theirs))
        child.start()
        theirs.close()
        try:
            counts.update(ours.recv())
        except EOFError:
            pass
        child.join()
        ours.close()
        if child.exitcode:
            counts["SIGBUS" if child.exitcode == -signal.SIGBUS else f"ended with {child.exitcode}"] += 1
    results.put((function.__name__, counts))


def repeat(function, path, end, pipe):
    counts, number = collections.Counter(), 0
    while time.monotonic() < end:
        if function in SAVERS:
            number += 1
            try:
                function(path, version_text(function.__name__, number))
                counts["saves"] += 1
            except OSError as error:
                counts[f"failed to save: {error.strerror}"] += 1
            time.sleep(random.uniform(0, 0.004))
        else:
            function(path, counts)
    pipe.send(counts)


class Concurrency(MountTest):
    @classmethod
    def make_source(cls, path):
        sample.make(path, {"version": 1}, {})

    def test_no_reader_sees_a_missing_torn_or_empty_document(self):
        path = self.path("metadata.json")
        save_in_place(path, version_text("first", 0))
        commits, end, results = self.mount.commits(), time.monotonic() + SECONDS, multiprocessing.Queue()
        workers = [
            multiprocessing.Process(target=work, args=(function, path, end, results)) for function in READERS + SAVERS
        ]
        for worker in workers:
            worker.start()
        counts = collections.defaultdict(collections.Counter)
        for _ in workers:
            name, counted = results.get(timeout=SECONDS + 60 * harness.SLOWNESS)
            counts[name].update(counted)
        for worker in workers:
            worker.join()

        total = sum(counts.values(), collections.Counter())
        print(
            f"\n{total['reads']} reads, {total['saves']} saves, "
            f"{self.mount.commits() - commits} commits in {SECONDS:.0f} s"
        )
        for name in sorted(counts):
            print(f"  {name:16} " + ", ".join(f"{what}: {count}" for what, count in sorted(counts[name].items())))
        violations = {what: count for what, count in total.items() if what not in ("reads", "saves")}
        self.assertEqual(violations, {})
        for function in READERS:
            self.assertGreater(counts[function.__name__]["reads"], 10, function.__name__)
        for function in SAVERS:
            self.assertGreater(counts[function.__name__]["saves"], 1, function.__name__)
        self.assertTrue(is_whole(self.stored()))
        self.assertTrue(is_whole((self.mount / "metadata.json").read_bytes()))


if __name__ == "__main__":
    harness.main()
