"""Checkpoints that the real Orbax wrote through its v0 and v1 APIs and its CheckpointManager: leaf by leaf and value by
value as the library tells of them, and after an edit the library reads what the edit says."""

import collections
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

import jax
import jax.numpy as jnp
import ml_dtypes  # noqa: F401 (names of types for numpy)
import numpy as np
import orbax.checkpoint as v0
from orbax.checkpoint._src.metadata.sharding import from_jax_sharding
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from orbax.checkpoint import v1 as ocp

import harness
from harness import Mount


def tree():
    mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("x", "y"))
    sharded = NamedSharding(mesh, PartitionSpec("x", "y"))
    return {
        "params": {
            "layer0": {
                "kernel": jax.device_put(np.arange(64 * 48, dtype="f4").reshape(64, 48), sharded),
                "bias": jnp.arange(5, dtype=jnp.bfloat16),
            },
            "a/b": jnp.ones((3,), jnp.int8),
            ".hid": jnp.ones(2),
            "x.npy": {"y": jnp.ones(1)},
        },
        "list": [jnp.zeros((2, 2)), {"w": np.arange(7, dtype="i8")}],
        "many": [jnp.full((2,), i) for i in range(12)],
        "big": jnp.arange(300_000, dtype=jnp.int32),
        "f8": jnp.arange(4).astype(jnp.float8_e4m3fn),
        "c": jnp.array([1 + 2j, 3]),
        "i4": jnp.array([1, 2, 3], jnp.int4),
        "rank0": jnp.array(7.0),
        "flags": jnp.array([True, False]),
        "n": 3,
        "x": 2.5,
        "empty": {},
        "empty_list": [],
        "none": None,
    }


def shell(command, **options):
    done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, done.stderr


def encoded(key):
    text = str(key).replace("%", "%25").replace("/", "%2F")
    return "%2E" + text[1:] if text.startswith(".") else text


def leaves(value, path=()):
    """Path and leaf, as shown; empty containers and None are no leaves here."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else None
    if items is None:
        if value is not None:
            yield path, value
        return
    for key, inner in items:
        yield from leaves(inner, path + (encoded(key),))


def names_below_values(path):
    *above, last = path
    return "/".join([name[:-4] + "%2Enpy" if name.endswith(".npy") else name for name in above] + [last + ".npy"])


class Comparison(unittest.TestCase):
    agreed = collections.Counter()  # what was compared and equal, of all tests

    @classmethod
    def tearDownClass(cls):
        print(", ".join(f"{n} {what}" for what, n in sorted(cls.agreed.items())), "agreed with Orbax", file=sys.stderr)

    def setUp(self):
        self.folder = harness.folder / "orbax"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def mounted(self, source, options=""):
        mount = Mount(source, self.folder / f"mnt-{source.name}", options)
        try:
            yield mount
        finally:
            ended = mount.unmount()
        self.assertEqual(ended, (0, 0), mount.messages())
        self.agreed["checkpoints"] += 1

    def compare_values(self, mount, top, saved):
        seen = 0
        for path, leaf in leaves(saved):
            stored = np.load(mount / f"{top}values/{names_below_values(path)}")
            wanted = np.asarray(leaf)
            self.assertEqual(stored.shape, wanted.shape, path)
            if isinstance(leaf, (int, float)):
                self.assertEqual(stored[()], leaf, path)
            else:
                self.assertEqual(stored.tobytes(), wanted.tobytes(), path)
            seen += 1
        self.assertEqual(seen, len(list(leaves(saved))))
        self.agreed["values"] += seen

    def compare_metadata(self, mount, top, known, saved):
        """`known`: the tree of metadata of the library, v0 or v1."""
        known = dict(leaves(getattr(known, "tree", known)))
        self.assertEqual(set(known), {path for path, _ in leaves(saved)})
        self.assertGreater(len(known), 0)
        for path, leaf in known.items():
            self.agreed["leaves"] += 1
            shown = json.loads((mount / f"{top}{'/'.join(path)}").read_text())
            if isinstance(leaf, (int, float)):  # v1 shows scalars so
                self.assertEqual(shown["type"], "ScalarMetadata", path)
                continue
            self.assertEqual(tuple(shown["shape"]), tuple(leaf.shape), path)
            self.assertEqual(np.dtype(shown["dtype"]), np.dtype(leaf.dtype), path)
            if shown["type"] == "ScalarMetadata":
                continue
            storage = getattr(leaf, "storage", None) or getattr(leaf, "storage_metadata", None)
            if storage is not None:
                self.assertEqual(tuple(shown["storage"]["chunk_shape"]), tuple(storage.chunk_shape), path)
                wanted = None if storage.write_shape is None else list(storage.write_shape)
                self.assertEqual(shown["storage"]["write_shape"], wanted, path)
                self.agreed["storages"] += 1
            sharding = getattr(leaf, "sharding", None) or getattr(leaf, "sharding_metadata", None)
            if sharding is None:
                self.assertIsNone(shown["sharding"], path)
            else:
                if isinstance(sharding, jax.sharding.Sharding):
                    sharding = from_jax_sharding(sharding)
                self.assertEqual(json.loads(shown["sharding"]["serialized"]), json.loads(sharding.to_serialized_string()))
                self.agreed["shardings"] += 1

    def test_v1(self):
        source = self.folder / "v1"
        saved = tree() | {"s": "häl\tlo"}
        ocp.save(source, saved, custom_metadata={"lr": 0.1, "note": "ü"})
        known = ocp.metadata(source)
        strings = {"s": known.metadata.pop("s")}
        self.assertEqual(strings, {"s": "string"})
        with self.mounted(source) as mount:
            values = {k: v for k, v in saved.items() if k != "s"}
            self.compare_metadata(mount, "pytree/", known.metadata, values)
            self.compare_values(mount, "", values)
            self.assertEqual(json.loads((mount / "pytree/s").read_text())["value"], "häl\tlo")
            self.assertEqual(json.loads((mount / "pytree/n").read_text())["value"], 3)
            self.assertEqual(json.loads((mount / "pytree/x").read_text())["value"], 2.5)
            self.assertEqual(json.loads((mount / "pytree/none").read_text())["type"], "None")
            self.assertEqual(os.listdir(mount / "pytree/empty"), [])
            self.assertEqual(json.loads((mount / "custom_metadata.json").read_text()), known.custom_metadata)
            shown = json.loads((mount / "metadata.json").read_text())
            self.assertEqual(shown["init_timestamp_nsecs"], known.init_timestamp_nsecs)
            self.assertEqual(shown["commit_timestamp_nsecs"], known.commit_timestamp_nsecs)
            before = os.stat(source).st_mtime_ns
            shell(f"cd {mount.path} && echo 0.25 > custom_metadata/lr && echo new > custom_metadata/run && echo 1 > .ckptree/flush")
        self.assertEqual(os.stat(source).st_mtime_ns, before)
        self.assertEqual(ocp.metadata(source).custom_metadata, {"lr": 0.25, "note": "ü", "run": "new"})
        loaded = ocp.load(source)
        back = dict(leaves(loaded))
        for path, leaf in leaves(saved):
            self.assertEqual(np.asarray(back[path]).tobytes(), np.asarray(leaf).tobytes(), path)

    def test_v0_direct(self):
        source = self.folder / "direct"
        saved = tree()
        with v0.StandardCheckpointer() as checkpointer:
            checkpointer.save(source, saved)
            checkpointer.wait_until_finished()
            known = checkpointer.metadata(source)
        with self.mounted(source) as mount:
            self.compare_metadata(mount, "pytree/", getattr(known, "item_metadata", known), saved)
            self.compare_values(mount, "", saved)
            shell(f"cp /dev/stdin {mount.path}/custom_metadata.json", input='{"a": [1, 2.50], "b": null}\n')
        with v0.StandardCheckpointer() as checkpointer:
            self.assertEqual(checkpointer.metadata(source).custom_metadata, {"a": [1, 2.5], "b": None})
        self.assertEqual(ocp.metadata(source, checkpointable_name=None).custom_metadata, {"a": [1, 2.5], "b": None})

    def test_a_manager(self):
        source = self.folder / "steps"
        options = v0.CheckpointManagerOptions(step_prefix="ck", step_format_fixed_length=6)

        def manager():
            return v0.CheckpointManager(source, item_names=("state", "extra"), metadata={"root": 1}, options=options)

        with manager() as m:
            for step in (1, 5):
                state = {"w": jnp.arange(4.0) * step, "layers": [jnp.ones(2)] * 12}
                m.save(step, args=v0.args.Composite(state=v0.args.StandardSave(state), extra=v0.args.JsonSave({"q": step})),
                       custom_metadata={"step": step})
            m.wait_until_finished()
            known = m.metadata(5)
        with self.mounted(source, "data") as mount:
            self.assertEqual(sorted(os.listdir(mount / "steps")), ["ck_000001", "ck_000005"])
            self.assertEqual(os.readlink(mount / "latest"), "steps/ck_000005")
            self.assertEqual(os.readlink(mount / "steps/1"), "ck_000001")
            step = pathlib.Path(mount.path) / "steps/ck_000005"
            saved = {"w": jnp.arange(4.0) * 5, "layers": [jnp.ones(2)] * 12}
            self.compare_metadata(mount, "latest/pytree/", known.item_metadata["state"], saved)
            self.compare_values(mount, "latest/", saved)
            self.assertEqual(json.loads((step / "checkpointables/extra/data.json").read_text()), {"q": 5})
            shell(f"cd {mount.path} && echo 7 > latest/custom_metadata/step && echo 2 > custom_metadata/root && "
                "echo 1 > latest/.ckptree/flush && echo 1 > .ckptree/flush")
        with manager() as m:
            self.assertEqual(m.metadata(5).custom_metadata, {"step": 7})
            self.assertEqual(m.metadata(1).custom_metadata, {"step": 1})
            self.assertEqual(m.metadata().custom_metadata, {"root": 2})
            restored = m.restore(5, args=v0.args.Composite(state=v0.args.StandardRestore(), extra=v0.args.JsonRestore()))
            self.assertEqual(restored["extra"], {"q": 5})

    def test_every_layout_of_arrays(self):
        """In a database or in plain directories, zarr 2 and 3, in the chunks of the writer or in small ones."""
        saved = tree()
        for ocdbt in True, False:
            for zarr3 in True, False:
                for chunk_bytes in None, 256:
                    with self.subTest(ocdbt=ocdbt, zarr3=zarr3, chunk_bytes=chunk_bytes):
                        source = self.folder / f"layout-{ocdbt}-{zarr3}-{chunk_bytes}"
                        how = jax.tree_util.tree_map(lambda _: v0.SaveArgs(chunk_byte_size=chunk_bytes), saved)
                        handler = v0.PyTreeCheckpointHandler(use_ocdbt=ocdbt, use_zarr3=zarr3)
                        with v0.Checkpointer(handler) as checkpointer:
                            checkpointer.save(source, args=v0.args.PyTreeSave(saved, save_args=how))
                            known = checkpointer.metadata(source)
                        with self.mounted(source) as mount:
                            self.compare_metadata(mount, "pytree/", getattr(known, "item_metadata", known), saved)
                            self.compare_values(mount, "", saved)

    def test_without_shardings_the_rest_is_shown(self):
        source = self.folder / "bare"
        saved = {"w": jnp.arange(6.0).reshape(2, 3)}
        with v0.StandardCheckpointer() as checkpointer:
            checkpointer.save(source, saved)
        (source / "_sharding").unlink()
        with self.mounted(source) as mount:
            self.compare_values(mount, "", saved)
            shown = json.loads((mount / "pytree/w").read_text())
            self.assertEqual((shown["shape"], shown["sharding"]), ([2, 3], None))

    def test_a_leaf_alone_and_random_keys(self):
        source = self.folder / "one"
        ocp.save_checkpointables(source, {"aaa": jnp.arange(3.0), "key": {"rng": jax.random.key(1)}})
        with self.mounted(source) as mount:
            self.assertEqual(os.readlink(mount / "pytree"), "checkpointables/aaa/tree")
            np.testing.assert_array_equal(np.load(mount / "values/%.npy"), np.arange(3.0))
            shown = json.loads((mount / "checkpointables/key/tree/rng").read_text())
            self.assertEqual(shown["random_key_impl"], "threefry2x32")


if __name__ == "__main__":
    harness.main()
