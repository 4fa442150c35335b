"""Catalogs of Earth2Studio: 5,000 commits through a mount, against Python parsing the manifests and against grep on the
plain directory. Prints figures and ratios, fails for none. Arguments: CKPTREE FOLDER."""

import json
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

ckptree, folder = sys.argv[1], pathlib.Path(sys.argv[2]) / "catalogs"
sys.argv[1:] = [ckptree, str(folder.parent)]

import store

ROWS = 5000


def took(what, action, than=None):
    """Prints how long it took, and how many times as fast as what it is compared with. @return seconds"""
    begin = time.perf_counter()
    action()
    seconds = time.perf_counter() - begin
    print(f"{what:60s} {seconds * 1000:10.1f} ms" + (f"  {than / seconds:8.2f}x" if than else ""), flush=True)
    return seconds


def sh(command):
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


def mount(source, place):
    sh(f"{ckptree} {source} {place} -o edit=all && cat {place}/rows/0/commit_id")


def many_rows():
    source, place = folder / "many", folder / "mnt"
    place.mkdir()
    store.make(source, rows=ROWS)

    def parse():
        for manifest in source.glob("commits/*/manifest.json"):
            json.loads(manifest.read_text())

    parse()  # warms the cache
    python = took(f"Python parses {ROWS} manifests", parse)
    took("Python parses the catalog", lambda: store.catalog(source))
    grep = took("grep -r lead_time on the plain directory", lambda: sh(f"grep -r lead_time {source}/commits"))
    took("mount to first row", lambda: mount(source, place), python)
    try:
        took("cat catalog.tsv, against Python", lambda: sh(f"cat {place}/catalog.tsv"), python)
        took("grep on the catalog.tsv, against grep", lambda: sh(f"grep -c hours {place}/catalog.tsv"), grep)
        took("grep -r lead_time rows/, against grep", lambda: sh(f"grep -r lead_time {place}/rows"), grep)
        took("one edit, until it is durable",
             lambda: sh(f"echo 5 > {place}/rows/17/metadata/lead_time/value; echo 1 > {place}/.ckptree/flush"))
    finally:
        sh(f"{ckptree} umount {place}")


def large_state():
    source, place = folder / "large", folder / "mnt-large"
    place.mkdir()
    store.make(source, rows=1, items=250_000_000)
    before = {path for path in source.rglob("*")}
    sh(f"{ckptree} {source} {place} -o edit=all")
    try:
        took("one edit of a row with 1 GB of states",
             lambda: sh(f"echo 5 > {place}/rows/0/metadata/lead_time/value; echo 1 > {place}/.ckptree/flush"))
    finally:
        sh(f"{ckptree} umount {place}")
    fresh = [path for path in source.rglob("*") if path not in before and path.is_file() and path.stat().st_nlink == 1]
    print(f"new files, beside hard links: {sum(path.stat().st_size for path in fresh)} bytes in {len(fresh)} files")


shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)
try:
    many_rows()
    large_state()
finally:
    shutil.rmtree(folder, ignore_errors=True)
