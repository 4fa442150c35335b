"""imports/ and migrations/ against the real torch and the real Migrator of anemoi-models: what we register it reads as
registered, and its own scripts, redone as scripts over the tree, give the checkpoint that they give."""

import collections
import os
import pathlib
import sys
import types
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

import torch
import torch._weights_only_unpickler as weights_only
from anemoi.models.migrations import MIGRATION_PATH, MigrationMetadata, Migrator
from anemoi.models.migrations.migrator import MissingAttribute, _load_ckpt
from anemoi.utils.config import DotDict

import harness
from harness import run

SCHEMAS = "anemoi.training.schemas"
NAMES = sorted(path.stem for path in MIGRATION_PATH.glob("*.py") if path.stem != "__init__")

# anemoi's scripts, by the name that they have without the seconds, over the tree.
SCRIPTS = {
    "initial": "",
    "deprecate_eda": f"case $1 in setup) rm -r imports/{SCHEMAS}.datamodule;; esac",
    "chunking_fix": """
        case $1 in migrate)
          config=object/hyper_parameters/config/model/processor
          per_chunk=$(( $(cat $config/num_layers) / $(cat $config/num_chunks) ))
          ls tensors | grep '^model.model.processor.proc.[0-9]*.blocks.' | while IFS=. read -r a b c d i e j rest; do
            mv "tensors/$a.$b.$c.$d.$i.$e.$j.$rest" "tensors/$a.$b.$c.$d.$((i * per_chunk + j)).$rest"
          done
        esac""",
    "hardware_schema_update": f"""
        case $1 in setup)
          old=imports/{SCHEMAS}.hardware new=imports/{SCHEMAS}.system
          mkdir $new
          mv $old/HardwareSchema $new/HardwareSchema
          mv $old/FilesSchema $new/InputSchema
          mv $old/PathsSchema $new/OutputSchema
          mv -T $old $new
        esac""",
    "refactor_mapper": """
        case $1 in migrate)
          for block in encoder processor decoder; do
            model=tensors/model.model
            mv $model.$block.trainable.trainable $model.${block}_graph_provider.trainable.trainable
            rm $model.$block.edge_inc
          done
        esac""",
    "move_to_multiple_datasets": """
        case $1 in migrate)
          for prefix in model.pre_processors model.post_processors model.model.node_attributes model.model.encoder \\
              model.model.encoder_graph_provider model.model.decoder model.model.decoder_graph_provider; do
            for old in tensors/$prefix.*; do
              mv "$old" "tensors/$prefix.data.${old#tensors/$prefix.}"
            done
          done
          cd object/hyper_parameters
          for name in data_indices statistics statistics_tendencies supporting_arrays; do
            mkdir wrapped
            mv $name wrapped/data
            mv wrapped $name
          done
        esac""",
    "fuse_multiple_perdataset_graphs": """
        case $1 in migrate)
          nodes=tensors/model.model.node_attributes
          for name in $(ls object/hyper_parameters/graph_data); do
            mv $nodes.$name.latlons_data $nodes.latlons_$name
            mv $nodes.$name.trainable_tensors.data.trainable $nodes.trainable_tensors.$name.trainable
            mv $nodes.$name.latlons_hidden $nodes.latlons_hidden
            mv $nodes.$name.trainable_tensors.hidden.trainable $nodes.trainable_tensors.hidden.trainable
          done
        esac""",
}


class Modules:
    """Modules with classes that exist for a while, as those of an old anemoi-training."""

    def __init__(self, **modules):
        self.modules = {f"{SCHEMAS}.{name}": types.ModuleType(f"{SCHEMAS}.{name}") for name in modules}
        for (name, module), classes in zip(self.modules.items(), modules.values()):
            for c in classes.split():
                setattr(module, c, type(c, (), {"__module__": name}))

    def __enter__(self):
        sys.modules.update(self.modules)
        return self

    def __exit__(self, *_):
        for name in [name for name in sys.modules if name.startswith(SCHEMAS)]:
            del sys.modules[name]

    def make(self, module, name, **state):
        made = getattr(self.modules[f"{SCHEMAS}.{module}"], name)()
        made.__dict__.update(state)
        return made


def old():
    return Modules(datamodule="DataModuleSchema Loader", hardware="HardwareSchema FilesSchema PathsSchema Other")


def new():
    return Modules(system="HardwareSchema InputSchema OutputSchema Other")


def save(path, registered=1):
    """A training checkpoint of anemoi before most of its migrations."""
    torch.manual_seed(0)
    keys = ["model.pre_processors.processors.normalizer._norm_mul",
            "model.post_processors.processors.normalizer._norm_add"]
    keys += [f"model.model.{block}.{name}" for block in ("encoder", "processor", "decoder")
             for name in ("trainable.trainable", "edge_inc")]
    keys += ["model.model.encoder.proj.weight", "model.model.decoder.proj.weight"]
    keys += [f"model.model.processor.proc.{i}.blocks.{j}.lin.{name}" for i in range(2) for j in range(3)
             for name in ("weight", "bias")]
    keys += [f"model.model.node_attributes.{name}" for name in
             ("latlons_data", "latlons_hidden", "trainable_tensors.data.trainable",
              "trainable_tensors.hidden.trainable")]
    with old() as o:
        migrator = Migrator()
        checkpoint = {
            "epoch": 3, "pytorch-lightning_version": "2.6.0",
            "state_dict": collections.OrderedDict((key, torch.randn(2, 3)) for key in keys),
            "migrations": [m.serialize() for m in migrator._grouped_migrations[-1][:registered]],
            "hyper_parameters": {
                "config": DotDict(model={"processor": {"num_layers": 6, "num_chunks": 2}},
                                  data=o.make("datamodule", "DataModuleSchema", kept=[1, 2]),
                                  hardware=o.make("hardware", "HardwareSchema",
                                                  files=o.make("hardware", "FilesSchema", a=1),
                                                  paths=o.make("hardware", "PathsSchema", b=2),
                                                  other=o.make("hardware", "Other"))),
                "data_indices": {"a": 1}, "statistics": {"mean": [1.0]}, "statistics_tendencies": {},
                "supporting_arrays": {}, "graph_data": {"data": {"x": 1}}, "metadata": {"uuid": "u"}},
        }
        torch.save(checkpoint, path)


def plain(value):
    """Something to compare: objects as the name of their class and their attributes."""
    if isinstance(value, torch.Tensor):
        return ("tensor", value.dtype, value.tolist())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "__dict__"):
        return (type(value).__name__, plain(vars(value)))
    return value


class Migrations(unittest.TestCase):
    def setUp(self):
        self.folder = harness.folder / self.id().rsplit(".", 1)[1]
        self.folder.mkdir()
        self.path = self.folder / "last.ckpt"
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()

    def write_scripts(self):
        versions = {m.name: m.metadata.versions["anemoi-models"] for m in Migrator()._grouped_migrations[-1]}
        for name in NAMES:
            script = self.scripts / name
            script.write_text(f"#!/bin/sh\n# ckptree: migration=1.0.0 anemoi-models={versions[name]}\nset -e\n"
                              f"{SCRIPTS[name.partition('_')[2]]}\n")
            script.chmod(0o755)

    def command(self, *arguments):
        done = run([harness.ckptree, *map(str, arguments)])
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def status(self, directory):
        table = self.command("cat", "-o", f"migrations={directory}", self.path, "migrations/status.tsv")
        return {line.split("\t")[0]: line.split("\t")[-1] for line in table.splitlines()[1:]}

    def test_anemoi_s_scripts_over_the_tree_give_what_they_give(self):
        save(self.path)
        self.write_scripts()
        with new():
            _, expected, ops = Migrator().sync(self.path)
        self.assertEqual([op.migration.name for op in ops], NAMES[1:])
        out = self.command("migration", "sync", self.path, "--dir", self.scripts)
        self.assertIn(f"Executed {len(NAMES) - 1} migrations:", out)
        with new():
            found = torch.load(self.path, weights_only=False)
        self.assertEqual(set(found["state_dict"]), set(expected["state_dict"]))
        for key, value in expected["state_dict"].items():
            self.assertTrue(torch.equal(found["state_dict"][key], value), key)
        hyper, theirs = found["hyper_parameters"], expected["hyper_parameters"]
        history, their_history = (h["metadata"].pop("migrations")["history"] for h in (hyper, theirs))
        self.assertEqual(plain(hyper), plain(theirs))
        self.assertIs(type(hyper["config"].data), MissingAttribute)
        self.assertEqual(hyper["config"].data.kept, [1, 2])
        self.assertEqual(type(hyper["config"].hardware.files).__name__, "InputSchema")
        self.assertEqual([(h["type"], h["name"]) for h in history], [(h["type"], h["name"]) for h in their_history])
        print(f"{len(expected['state_dict'])} tensors and {len(ops)} migrations agree")

        # The real Migrator takes them for its own.
        with new():
            registered, missing, extra = Migrator().inspect(self.path)
        self.assertEqual(([m.name for m in registered], missing, extra), (NAMES, [], []))
        for mine, its in zip(registered, Migrator()._grouped_migrations[-1]):
            self.assertIsInstance(mine.metadata, MigrationMetadata)
            self.assertEqual(mine.metadata, its.metadata)
        self.assertEqual(set(self.status(self.scripts).values()) - {"changed"}, {"registered"})

    def test_what_is_missing_and_extra_is_what_the_migrator_says(self):
        for registered in (0, 1, 4, len(NAMES)):
            save(self.path, registered)
            for edit in ("", f"rm migrations/registered/{NAMES[1]}", "sed s/%s/other/ migrations/registered/%s > $T/o; "
                         "cp $T/o migrations/registered/other" % (NAMES[0], NAMES[0])):
                if edit and registered < 3:
                    continue
                with self.subTest(registered=registered, edit=edit):
                    if edit:
                        done = run([harness.ckptree, "run", "-o", "edit=all", str(self.path), "--", "sh", "-ec", edit],
                                   env={**os.environ, "T": str(self.folder)})
                        self.assertEqual((done.returncode, done.stderr), (0, ""))
                    with old():
                        known, missing, extra = Migrator().inspect(self.path)
                    status = self.status(MIGRATION_PATH)
                    behind = {name for name, state in status.items() if state in ("extra", "out-of-order")}
                    self.assertEqual(behind, set(extra))
                    lacks = {name for name, state in status.items() if state == "missing"} | behind & set(NAMES)
                    self.assertEqual(lacks, {m.name for m in missing})
                    self.assertEqual(len([s for s in status.values() if s != "missing"]), len(known))

    def test_registered_by_hand(self):
        save(self.path, 0)
        text = ('{"name": "1_x", "metadata": {"versions": {"migration": "1.0.0", "anemoi-models": "0.9"}, '
                '"final": true}, "signature": "s"}')
        command = [harness.ckptree, "write", "-o", "edit=all", str(self.path), "migrations/registered/1_x"]
        done = run(command, input=text)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with old():
            checkpoint = _load_ckpt(self.path)
            found = Migrator().registered_migrations(checkpoint)
        self.assertEqual([(m.name, m.metadata, m.signature) for m in found],
                         [("1_x", MigrationMetadata({"migration": "1.0.0", "anemoi-models": "0.9"}, True), "s")])
        self.assertEqual(checkpoint["hyper_parameters"]["metadata"]["migrations"]["history"],
                         [{"type": "migrate", "name": "1_x", "signature": "s"}])


class WeightsOnly(unittest.TestCase):
    def test_the_table_says_what_torch_takes(self):
        folder = harness.folder / "weights-only"
        folder.mkdir()
        names = sorted(weights_only._get_allowed_globals())
        others = ["builtins.eval", "os.system", "torch.load", "torch.nn.modules.linear.Linear", "collections.deque"]

        opcodes = "".join("c{}\n{}\n".format(*name.rsplit(".", 1)) for name in names + others).encode()
        path = folder / "names.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("names/data.pkl", b"\x80\x02](" + opcodes + b"e.")
            archive.writestr("names/version", "3\n")
        done = run([harness.ckptree, "cat", str(path), "imports.tsv"])
        self.assertEqual(done.returncode, 0, done.stderr)
        said = {f"{module}.{name}": last for module, name, _, last in
                (line.split("\t") for line in done.stdout.splitlines()[1:])}
        self.assertEqual({name for name, last in said.items() if last == "true"}, set(names))
        self.assertEqual({name for name, last in said.items() if last == "false"}, set(others))


if __name__ == "__main__":
    harness.main()
