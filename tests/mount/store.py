"""Stores of Earth2Studio as its Checkpoint writes them, without it: catalog, manifests, states."""

import hashlib
import json
import uuid

import numpy as np

STATE = "my.module.Noise"


def hashed(text):
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def hours(n):
    return {"kind": "np_timedelta64", "unit": "h", "value": n}


def write_row(store, number, labels=None, items=8, metadata=None):
    """One commit. @return its row of the catalog"""
    commit_id = f"commit_{number:08d}_{uuid.uuid4().hex[:12]}"
    commit = store / "commits" / commit_id
    state = commit / "states" / hashed(STATE)
    state.mkdir(parents=True)
    np.save(state / "noise.npy", np.arange(items, dtype="f4") + number)
    fields = {
        "noise": {"kind": "tensor", "path": "noise.npy", "dtype": "float32", "shape": [items]},
        "seed": {"kind": "int", "value": number},
        "when": {"kind": "datetime", "value": "2024-01-01T06:00:00"},
    }
    write_json(state / "metadata.json", {"state_id": STATE, "schema_hash": "ab" * 32, "fields": fields})
    (commit / "metadata").mkdir()
    np.save(commit / "metadata" / f"{hashed('array')}.npy", np.arange(3))
    shared = {
        "commit_id": commit_id, "labels": labels or {}, "write_count": number, "rank": 0, "world_size": 1,
        "saved_at": f"2024-01-01T00:00:{number:02d}+00:00" if number < 60 else f"2025-{number}",
    }
    array = {"kind": "ndarray", "path": f"{hashed('array')}.npy", "dtype": "int64", "shape": [3]}
    write_json(commit / "manifest.json", {
        **shared, "version": 1, "checkpoint": "forecast", "mode": "append",
        "metadata": {"lead_time": hours(6 * number), "note": {"kind": "str", "value": "a text"}, "array": array},
        "states": {STATE: {"path": f"states/{hashed(STATE)}", "schema_hash": "ab" * 32}},
    })
    label = {"kind": "ndarray_label", "dtype": "int64", "shape": [3], "values": [0, 1, 2]}
    return {
        **shared, "metadata": {"lead_time": hours(6 * number), "note": "a text", "array": label},
        "metadata_keys": ["lead_time", "note", "array"], "state_ids": [STATE],
    }


def make(store, rows=3, **options):
    store.mkdir(parents=True)
    write_json(store / "catalog.json", {
        "version": 1, "entries": [write_row(store, n + 1, **options) for n in range(rows)]
    })


def catalog(store):
    return json.loads((store / "catalog.json").read_text())["entries"]


def manifest(store, row):
    return json.loads((store / "commits" / catalog(store)[row]["commit_id"] / "manifest.json").read_text())
