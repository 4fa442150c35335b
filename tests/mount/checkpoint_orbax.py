"""A small checkpoint as Orbax writes one, v0, made without it: plain zarr files."""

import json

import numpy as np

STEP = {
    "item_handlers": {"state": "x.Handler"},
    "metrics": {},
    "performance_metrics": {},
    "init_timestamp_nsecs": 1778718401651849216,
    "commit_timestamp_nsecs": 1778718403065544708,
    "custom_metadata": {"lr": 0.1, "note": "a text"},
}


def leaf(keys, value_type):
    return {
        "key_metadata": [{"key": str(k), "key_type": 1 if isinstance(k, int) else 2} for k in keys],
        "value_metadata": {"value_type": value_type, "skip_deserialize": False, "write_shape": None},
    }


def make(path, arrays=None):
    arrays = arrays if arrays is not None else {
        ("params", "layer0", "kernel"): np.arange(12, dtype="f4").reshape(3, 4),
        ("layers", 0): np.arange(3, dtype="i8"),
    }
    state = path / "state"
    state.mkdir(parents=True)
    (path / "_CHECKPOINT_METADATA").write_text(json.dumps(STEP))
    tree = {}
    for keys, array in arrays.items():
        tree[repr(keys)] = leaf(keys, "jax.Array")
        folder = state / ".".join(map(str, keys))
        folder.mkdir()
        shape = list(array.shape)
        (folder / ".zarray").write_text(json.dumps({
            "chunks": shape, "compressor": None, "dimension_separator": ".", "dtype": array.dtype.str,
            "fill_value": None, "filters": None, "order": "C", "shape": shape, "zarr_format": 2}))
        (folder / ".".join(["0"] * max(1, len(shape)))).write_bytes(array.tobytes())
    tree["('none',)"] = leaf(["none"], "None")
    (state / "_METADATA").write_text(json.dumps({"tree_metadata": tree, "use_ocdbt": False, "use_zarr3": False}))
    (path / "config").mkdir()
    (path / "config/metadata").write_text('{"q": 1}')
