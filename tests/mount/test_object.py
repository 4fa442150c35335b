"""object/: values of the pickled object, edited with the tools that edit files."""

import argparse
import io
import json
import os
import pickle
import zipfile

from harness import MountTest, main


def make_checkpoint():
    """What a training writes around its weights."""
    return {
        "epoch": 11,
        "lr": 0.00015,
        "name": "o96",
        "resume": False,
        "best": None,
        "milestones": [1, 2, 3],
        "hyper_parameters": {"config": argparse.Namespace(depth=4, mask="land"), 7: "seven"},
        "callbacks": {"ModelCheckpoint": {"best_score": 0.25, "dirpath": "/old/place"}},
        "optimizer_states": [{"state": {0: {"step": 10}}, "groups": [0, 1]}],
    }


class ObjectTest(MountTest):
    options = "edit=all"

    @classmethod
    def make_source(cls, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(make_checkpoint(), protocol=2))
            archive.writestr("archive/version", "3\n")

    def stored_object(self):
        """What pickle reads from the checkpoint itself, committed."""
        self.write(".ckptree/flush", "1\n")
        return pickle.load(io.BytesIO(self.stored("archive/data.pkl")))


class Whole(ObjectTest):
    def test_rm_of_all_of_it_removes_nothing(self):
        before, names = self.stored_object(), sorted(os.listdir(self.path("object")))
        for command in ("rm -r object/*", "rm -r object", f"mv object {self.folder}/object"):
            self.refused(command, "Operation not permitted")
            self.assertEqual(sorted(os.listdir(self.path("object"))), names, command)
        self.assertEqual(self.stored_object(), before)


class Values(ObjectTest):
    def check(self, command, change):
        """`command` must make `change` of what is stored, and nothing else."""
        expected = self.stored_object()
        change(expected)
        self.ok(command)
        self.assertEqual(self.stored_object(), expected, command)

    def test_scalars_keep_their_type(self):
        self.check("echo 12 > object/epoch", lambda o: o.update(epoch=12))
        self.check("echo 1 > object/lr", lambda o: o.update(lr=1.0))
        self.check("printf 12 > object/name", lambda o: o.update(name="12"))
        self.check("echo true > object/resume", lambda o: o.update(resume=True))
        self.check("echo '[4, 5]' > object/milestones", lambda o: o.update(milestones=[4, 5]))

    def test_deep_ones_by_sed_and_mv(self):
        callback = "object/callbacks/ModelCheckpoint"
        self.check(f"sed -i s#/old#/new# {callback}/dirpath",
                   lambda o: o["callbacks"]["ModelCheckpoint"].update(dirpath="/new/place"))
        self.check(f"echo 0.5 > {callback}/t~ && mv {callback}/t~ {callback}/best_score",
                   lambda o: o["callbacks"]["ModelCheckpoint"].update(best_score=0.5))
        self.check("echo 8 > object/hyper_parameters/config/depth",
                   lambda o: setattr(o["hyper_parameters"]["config"], "depth", 8))
        self.check("echo VII > object/hyper_parameters/7", lambda o: o["hyper_parameters"].update({7: "VII"}))

    def test_keys_are_added_renamed_and_removed(self):
        self.check("mkdir object/notes && echo me > object/notes/author", lambda o: o.update(notes={"author": "me"}))
        self.check("mv object/notes/author object/notes/writer", lambda o: o.update(notes={"writer": "me"}))
        self.check("rm -r object/notes", lambda o: o.pop("notes"))

    def test_a_whole_part_goes(self):
        size = len(self.stored("archive/data.pkl"))
        self.check("rm -r object/optimizer_states", lambda o: o.pop("optimizer_states"))
        self.assertLess(len(self.stored("archive/data.pkl")), size)

    def test_what_does_not_fit_is_refused_and_changes_nothing(self):
        before, commits = self.stored_object(), self.mount.commits()
        self.refused("echo 1.5 > object/epoch", "Bad message")
        self.assertIn("object/epoch: expected an integer, got 1.5", self.read(".ckptree/last_error"))
        self.refused("echo maybe > object/resume", "Bad message")
        self.refused("rmdir object", "not permitted")
        self.fails("EISDIR", open, self.path("object/callbacks"), "w")
        self.assertEqual((self.stored_object(), self.mount.commits()), (before, commits))
        self.clear_rejected()


class Protection(ObjectTest):
    options = ""

    def test_the_default_shows_and_protects(self):
        self.assertEqual(self.ok("cat object/epoch object/best object/hyper_parameters/config/mask"), "11\nnull\nland\n")
        self.assertEqual(sorted(os.listdir(self.path("object"))), sorted(make_checkpoint()))
        self.assertEqual(json.loads(self.read("object/milestones")), [1, 2, 3])
        self.refused("rm -rf object/callbacks", "not permitted")
        self.assertNotIn("w", self.ok("stat -c %A object/epoch"))
        self.fails("EPERM", open, self.path("object/epoch"), "w")


if __name__ == "__main__":
    main()
