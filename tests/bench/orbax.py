"""Times the tree of a checkpoint of Orbax with many arrays, against reading its files whole; prints milliseconds.

usage: orbax.py CKPTREE FOLDER [--leaves 5000]
"""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

import numpy as np

import checkpoint_orbax


def milliseconds(action, repeat=5):
    took = []
    for _ in range(repeat):
        begin = time.perf_counter()
        action()
        took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ckptree")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--leaves", type=int, default=5000)
    given = parser.parse_args()
    source = given.folder / "orbax-bench"
    shutil.rmtree(source, ignore_errors=True)
    arrays = {("params", f"layer{i:05}", "kernel"): np.full((4, 4), i, "f4") for i in range(given.leaves)}
    checkpoint_orbax.make(source, arrays)

    def ckptree(*arguments):
        subprocess.run([given.ckptree, *arguments], check=True, stdout=subprocess.DEVNULL, timeout=300)

    floor = milliseconds(lambda: [p.read_bytes() for p in source.rglob("*") if p.is_file()])
    print(f"{given.leaves} leaves, each file read once: {floor:.0f} ms")
    for what, arguments in {
        "the top": ("ls", str(source)),
        "tree/ listed": ("ls", str(source), "checkpointables/state/tree/params"),
        "arrays.tsv": ("cat", str(source), "checkpointables/state/arrays.tsv"),
        "one array": ("cat", str(source), "values/params/layer00001/kernel.npy"),
    }.items():
        print(f"{what}: {milliseconds(lambda: ckptree(*arguments)):.0f} ms")
    edit = milliseconds(lambda: subprocess.run([given.ckptree, "write", str(source), "custom_metadata/lr"], check=True,
                                               input=f"{time.time()}\n", text=True, timeout=60))
    print(f"one edit of custom_metadata: {edit:.0f} ms")
    shutil.rmtree(source)


if __name__ == "__main__":
    main()
