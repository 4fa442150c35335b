"""What the tree of a checkpoint of Orbax costs, beside Orbax and tensorstore themselves; prints ratios.

usage: orbax.py CKPTREE FOLDER [--python PYTHON] [--leaves 20000] [--mebibytes 1024]

PYTHON has orbax-checkpoint and jax: it writes the checkpoints, and is the peer. By default it is the one that the suite
`interop` made; without it this ends with 77. The floor is reading the same files. Times are medians, in seconds; memory is the largest resident size of the process.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

WRITE = """
import sys, numpy as np, orbax.checkpoint as ocp
path, leaves, mebibytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if mebibytes:
    tree = {'w': np.random.default_rng(0).standard_normal(mebibytes << 18, dtype='f4')}
else:
    tree = {f'layer{i:05}': {'kernel': np.full((4, 4), i, 'f4')} for i in range(leaves)}
with ocp.StandardCheckpointer() as saver:
    saver.save(path, tree)
"""

# The shapes and types of all leaves, as the library tells them.
METADATA = """
import sys, jax, orbax.checkpoint as ocp
tree = ocp.StandardCheckpointer().metadata(sys.argv[1]).item_metadata
leaves = jax.tree_util.tree_leaves(getattr(tree, 'tree', tree))
for leaf in leaves:
    print(leaf.name, leaf.dtype, leaf.shape, sep='\\t')
"""

# The array, and the seconds that reading it took once everything is imported.
READ = """
import sys, time, numpy as np, tensorstore as ts
begin = time.perf_counter()
array = ts.open({'driver': 'zarr', 'kvstore': {'driver': 'ocdbt', 'base': 'file://' + sys.argv[1]}, 'path': 'w'},
                open=True).result().read().result()
print(time.perf_counter() - begin, array.nbytes)
"""


def measured(command, repeat):
    """@return seconds (median), bytes of memory (median), the last output"""
    took, memory = [], []
    for _ in range(repeat):
        with tempfile.TemporaryFile() as out:
            begin = time.perf_counter()
            process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            took.append(time.perf_counter() - begin)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0, f"{command}: exit status {process.returncode}"
            memory.append(usage.ru_maxrss << 10)
            out.seek(0)
            text = out.read()
    return statistics.median(took), statistics.median(memory), text


def say(what, took, memory, than=None):
    ratio = f"  {took / than:7.3f} of the peer" if than else ""
    print(f"{what:44} {took:8.3f} s {memory >> 20:6} MiB{ratio}")


def written(given, name, leaves, mebibytes):
    path = given.folder / name
    if not path.exists():
        subprocess.run([given.python, "-c", WRITE, path, str(leaves), str(mebibytes)], check=True,
                       stderr=subprocess.DEVNULL)
    return path


def read_all(path):
    return ["sh", "-c", 'find "$1" -type f -exec cat {} + | wc -c', "sh", path]


def many_leaves(given):
    path = written(given, "many", given.leaves, 0)
    print(f"{given.leaves} leaves, their shapes and types")
    peer, memory, text = measured([given.python, "-c", METADATA, path], 3)
    assert text.count(b"\n") == given.leaves, f"the library tells of {text.count(bytes(10))} leaves"
    say("peer: metadata() in a fresh Python", peer, int(memory))
    table = "checkpointables/default/arrays.tsv" if (path / "default").exists() else "arrays.tsv"
    ours, memory, text = measured([given.ckptree, "cat", path, table], 5)
    assert text.count(b"\n") == given.leaves + 1, "rows of arrays.tsv"
    say("ckptree cat arrays.tsv", ours, int(memory), peer)
    top, memory, _ = measured([given.ckptree, "ls", path], 5)
    say("ckptree ls", top, int(memory), peer)
    floor, memory, _ = measured(read_all(path), 5)
    say("floor: all files read once", floor, int(memory), peer)


def one_large(given):
    path = written(given, f"large-{given.mebibytes}", 0, given.mebibytes)
    item = path / "default" if (path / "default").exists() else path
    print(f"one array of {given.mebibytes} MiB")
    peer, memory, text = measured([given.python, "-c", READ, item], 3)
    inner = float(text.split()[0])
    say("peer: tensorstore in a fresh Python", peer, int(memory))
    say("  of that, the read alone", inner, int(memory))
    values = "checkpointables/default/values/w.npy" if item != path else "values/w.npy"
    ours, memory, text = measured(["sh", "-c", '"$1" cat -o data "$2" "$3" | wc -c', "sh", given.ckptree, path, values], 3)
    assert int(text) > given.mebibytes << 20, f"{int(text)} bytes"
    say("ckptree cat", ours, int(memory), peer)
    print(f"{'':44} {ours / inner:.3f} of the read alone")
    floor, memory, _ = measured(read_all(path), 3)
    say("floor: all files read once", floor, int(memory), peer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ckptree", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--python", type=pathlib.Path, help="one that has orbax-checkpoint, jax and tensorstore")
    parser.add_argument("--leaves", type=int, default=20_000)
    parser.add_argument("--mebibytes", type=int, default=1024)
    given = parser.parse_args()
    given.python = given.python or given.folder.resolve().parent / "interop/venv/bin/python"
    if not given.python.exists():
        print(f"SKIP: no {given.python}; 'meson test --suite interop' makes it", file=sys.stderr)
        sys.exit(77)
    given.ckptree, given.folder = given.ckptree.resolve(), given.folder.resolve() / "orbax-bench"
    given.folder.mkdir(parents=True, exist_ok=True)
    many_leaves(given)
    one_large(given)
    shutil.rmtree(given.folder)


if __name__ == "__main__":
    main()
