"""Stores that the real Checkpoint wrote, edited through a mount: the real one binds their states and returns the metadata
expected. And a run that commits all the while."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

import numpy as np
import torch
from earth2studio.utils import checkpoint as upstream
from earth2studio.utils.checkpoint import Checkpoint, bind_checkpoint_state

import harness
from harness import Mount, run
from states import METADATA, Every, Noise

STATES = {"every": f"states/{Every.__module__}.Every", "noise": f"states/{Noise.__module__}.Noise"}


def same(one, two):
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, np.ndarray):
        return isinstance(two, np.ndarray) and one.dtype == two.dtype and one.tobytes() == two.tobytes()
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return sorted(one) == sorted(two) and all(same(one[k], two[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    if hasattr(one, "__dataclass_fields__"):
        return same(vars(one), vars(two))
    return one == two or one != one


def write(path, rows=3, **options):
    checkpoint = Checkpoint("forecast", path=path, mode="append", **options)
    for n in range(rows):
        with checkpoint as session:
            session.labels = {"member": n % 2, "lead_time": "label"} if n else {}
            # Binding restores what the last row has; then the model goes on.
            bind_checkpoint_state(Every()).count = n
            bind_checkpoint_state(Noise()).seed = n
            session.write(**{**METADATA, "n": n})


def read(path, row, **options):
    """What a program resumes from: metadata, labels, both states."""
    with Checkpoint("forecast", path=path, mode="append", **options).select(row) as session:
        every, noise = bind_checkpoint_state(Every()), bind_checkpoint_state(Noise())
        assert every.checkpoint_state_loaded and noise.checkpoint_state_loaded
        return session.metadata, session.labels, every.checkpoint_dataclass, noise.checkpoint_dataclass


class InteropTest(unittest.TestCase):
    def setUp(self):
        self.folder = harness.folder / self.id().rsplit(".", 1)[1]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.store = self.folder / "forecast"

    @contextlib.contextmanager
    def mounted(self, options="edit=all", status=(0, 0), path=None):
        mount = Mount(path or self.store, self.folder / "mnt", options)
        try:
            with harness.Watchdog([mount]):
                yield mount
                self.assertEqual(mount.unmount(), status, mount.messages())
        finally:
            mount.kill()

    def sh(self, mount, command):
        done = run(command, cwd=mount.path)
        self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        return done.stdout

    def unchanged(self, row, but=(), count=None):
        """A row is what write() stored, but for some metadata. @return its metadata"""
        metadata, _, every, noise = read(self.store, row)
        count = row if count is None else count
        expected = {name: upstream._CheckpointCodec.normalize_metadata_value(v) for name, v in METADATA.items()}
        for name, value in {**expected, "n": count}.items():
            if name in but:
                continue
            if name == "inner":
                value = vars(value)
            if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
                value = value.item()
            self.assertTrue(same(metadata[name], value), f"{name}: {metadata[name]!r}, not {value!r}")
        self.assertTrue(same(every, Every(count=count)))
        self.assertTrue(same(noise, Noise(seed=count)))
        return metadata

    def test_every_kind_of_value_survives_an_edit_of_another(self):
        write(self.store)
        with self.mounted() as mount:
            self.sh(mount, "echo changed > rows/1/metadata/text; echo 12 > rows/1/metadata/lead_time/value")
            self.sh(mount, "jq -c .member=5 rows/1/labels.json > t && mv t rows/1/labels.json")
        for row in (0, 2):
            self.unchanged(row)
        metadata = self.unchanged(1, but=("text", "lead_time"))
        self.assertEqual((metadata["text"], metadata["lead_time"]), ("changed", np.timedelta64(12, "h")))
        self.assertEqual(read(self.store, 1)[1], {"member": 5, "lead_time": "label"})
        text = (self.store / "catalog.json").read_text()
        self.assertEqual(text, json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n")
        entry = Checkpoint("forecast", path=self.store).catalog[1]
        rebuilt = upstream._entry_from_manifest(
            json.loads((self.store / "commits" / entry.commit_id / "manifest.json").read_text()),
            self.store / "commits" / entry.commit_id)
        one, two = (json.dumps({k: upstream._CheckpointCodec.encode_json_value(v) for k, v in e.metadata.items()},
                               sort_keys=True) for e in (rebuilt, entry))
        self.assertEqual(one, two)

    def test_the_table_shows_what_print_shows(self):
        write(self.store)
        with self.mounted() as mount:
            lines = [line.split("\t") for line in (mount / "catalog.tsv").read_text().splitlines()]
        unescaped = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
        for row, entry in enumerate(Checkpoint("forecast", path=self.store).catalog):
            cells = dict(zip(lines[0], lines[row + 1]))
            for name, value in entry.metadata.items():
                parts = cells[name].split("\\")
                shown, escaped = parts[0], iter(parts[1:])
                for part in escaped:
                    shown += unescaped[part[0]] + part[1:] if part else "\\" + next(escaped)
                self.assertEqual(shown, upstream._display_value(value), name)
            for name, value in entry.labels.items():
                cell = cells["label.lead_time" if name == "lead_time" else name]
                self.assertEqual(cell, upstream._display_value(value), name)

    def test_edits_of_states_bind(self):
        write(self.store)
        every, noise = STATES["every"], STATES["noise"]
        with self.mounted() as mount:
            self.sh(mount, f"cd rows/2/{every}; echo 8 > count; echo 5 > rate; echo text > text; echo false > flag; "
                           "echo '[3, 4]' > pair; echo '[\"y\", 1]' > numbers; echo new > 'inner/name'; "
                           "sed -i s/2024/2025/ when; echo 9 > table/a")
            np.save(mount / f"rows/2/{noise}/noise.npy", np.ones(1000, dtype="f4"))
            np.save(mount / f"rows/2/{every}/mixed/0.npy", np.arange(3) + 1)
        got_every, got_noise = read(self.store, 2)[2:]
        expected = Every(count=8, rate=5.0, text="text", flag=False, pair=(3, 4), numbers=["y", 1.0],
                         when=Every.when.replace(year=2025))
        expected.inner.name, expected.table["a"], expected.mixed[0] = "new", 9, np.arange(3) + 1
        for name, value in vars(expected).items():
            self.assertTrue(same(getattr(got_every, name), value), f"{name}: {getattr(got_every, name)!r}")
        self.assertTrue(same(got_noise, Noise(seed=2, noise=torch.ones(1000))))

    def test_a_row_written_from_a_shell_resumes(self):
        write(self.store)
        with self.mounted() as mount:
            self.sh(mount, f"cp -r latest/. next; echo 9 > next/metadata/n; echo 9 > next/{STATES['noise']}/seed; "
                           f"echo 9 > next/{STATES['every']}/count; mv next rows/")
        self.unchanged(3, count=9)
        checkpoint = Checkpoint("forecast", path=self.store, mode="append")
        self.assertEqual([e.write_count for e in checkpoint.catalog], [1, 2, 3, 4])
        with checkpoint as session:
            session.write(lead_time=np.timedelta64(30, "h"))
        self.assertEqual(checkpoint.catalog[-1].write_count, 5)

    def test_a_new_store_is_one_that_earth2studio_opens(self):
        write(self.folder / "model", rows=1)
        
        with self.mounted("edit=all,create,rank=1,world_size=2") as mount:
            hash_of = {}
            for path in (self.folder / "model" / "commits").glob("*/states/*/metadata.json"):
                state = json.loads(path.read_text())
                hash_of[state["state_id"]] = state["schema_hash"]
            name = f"{Noise.__module__}.Noise"
            np.save(self.folder / "noise.npy", np.ones(5, "f4"))
            self.sh(mount, f"cd next; mkdir states/{name}; echo {name} > states/{name}/state_id; "
                           f"echo {hash_of[name]} > states/{name}/schema_hash; echo 4 > states/{name}/seed; "
                           f"cp {self.folder}/noise.npy states/{name}/; echo '{{\"n\": 1}}' > metadata.json; "
                           "cd ..; mv next rows/")
        with Checkpoint("forecast", path=self.store, rank=1, world_size=2).select(-1) as session:
            noise = bind_checkpoint_state(Noise()).checkpoint_dataclass
            self.assertTrue(same(noise, Noise(seed=4, noise=torch.ones(5))))
            self.assertEqual((session.metadata, session.write_count), ({"n": 1}, 1))

    def test_rows_are_dropped_moved_and_appended(self):
        write(self.store)
        ids = [entry.commit_id for entry in Checkpoint("forecast", path=self.store).catalog]
        with self.mounted() as mount:
            self.sh(mount, f"rm commits/{ids[1]}; ln -sfn rows/0 latest")
        self.assertEqual([e.commit_id for e in Checkpoint("forecast", path=self.store).catalog], [ids[2], ids[0]])
        with self.mounted("edit=all,edits=append") as mount:
            self.sh(mount, "echo appended > rows/0/metadata/text")
        self.assertEqual(self.unchanged(2, but=("text",), count=2)["text"], "appended")
        self.assertEqual(Checkpoint("forecast", path=self.store).catalog[-1].write_count, 4)

    def test_a_damaged_catalog_shows_the_rows_that_upstream_rebuilds(self):
        write(self.store)
        expected = Checkpoint("forecast", path=self.store).catalog
        (self.store / "catalog.json").write_text("{")
        with self.mounted() as mount:
            rows = json.loads((mount / "catalog.json").read_text())["entries"]
            self.assertEqual([row["commit_id"] for row in rows], [entry.commit_id for entry in expected])
            for row, entry in zip(rows, expected):
                encoded = {k: upstream._CheckpointCodec.encode_json_value(v) for k, v in entry.metadata.items()}
                self.assertEqual(json.dumps(row["metadata"], sort_keys=True), json.dumps(encoded, sort_keys=True))

    def test_a_live_run_in_append_mode(self):
        self.live("append")

    def test_a_live_run_that_overwrites(self):
        self.live("overwrite")

    def test_a_live_run_that_keeps_five_rows(self):
        self.live("append", "5")

    def live(self, mode, *history, seconds=float(os.environ.get("CKPTREE_LIVE_SECONDS", "10"))):
        """The run commits in a loop while the mount reads, edits and drops rows."""
        here = pathlib.Path(__file__).resolve().parent
        writer = subprocess.Popen([sys.executable, here / "live_run.py", self.store, mode, str(seconds), *history],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        harness.wait_until(lambda: (self.store / "catalog.json").exists(), timeout=60)
        end = time.time() + seconds
        edits = []  # (tag, commit_id edited)
        with self.mounted(status=(9, 9)) as mount:
            while time.time() < end - 3:  # what is removed settles within a second or two
                self.touch_some_row(mount, edits)
                time.sleep(random.random() * 0.05)
            written, complaints = writer.communicate(timeout=60)
            self.assertEqual((writer.returncode, complaints), (0, ""))
            time.sleep(1)
            rejected = "".join(p.read_text() for p in (mount / ".ckptree/rejected").iterdir())
            # Something refused stays, so that the exit status is one and the same.
            run("echo x > next/metadata.json", cwd=mount.path)
        rows = Checkpoint("live", path=self.store).catalog
        self.assertEqual(rows[-1].metadata["n"], int(written) - 1, "the last commit of the run is lost")
        if mode == "append" and not history:
            self.assertEqual([row.metadata["n"] for row in rows], list(range(int(written))))
        for row in range(len(rows)):  # each is whole
            with Checkpoint("live", path=self.store).select(row) as session:
                bind_checkpoint_state(Noise())
                self.assertEqual(session.metadata["note"], rows[row].metadata["note"])
        there = {row.metadata["note"] for row in rows} | set(rejected.split('"'))
        self.assertEqual([tag for tag in edits if tag not in there], [], "edits that are nowhere")

    def touch_some_row(self, mount, edits):
        tag = f"edit-{len(edits)}-{random.random()}"
        try:
            row = mount / "rows" / random.choice(os.listdir(mount / "rows"))
            document = json.loads((row / "metadata.json").read_text())
            self.assertEqual(sorted(document), ["lead_time", "n", "note"])
            if random.random() < 0.2:
                commit = mount / "commits" / (row / "commit_id").read_text().strip()
                note = json.loads((commit / "metadata.json").read_text())["note"]
                commit.unlink()
                edits[:] = [tag for tag in edits if tag != note]  # dropped on purpose
            if document["note"] == "of the run" and random.random() < 0.4:
                (row / "metadata.json").write_text(json.dumps({**document, "note": tag}))
                edits.append(tag)
        except FileNotFoundError:
            pass  # the run has dropped the row
        except PermissionError:
            pass  # the last row is not dropped
        except OSError as error:
            self.assertEqual(error.errno, 116, error)  # ESTALE


if __name__ == "__main__":
    harness.main()
