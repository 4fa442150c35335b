"""A source of several checkpoints: a directory of steps of Orbax, a collection."""

import json
import os
import shutil

import support
from support import Case, run


def make_step(path, checkpointable="state"):
    """The least that is a checkpoint of Orbax, with one tree of one value, which is None."""
    (path / checkpointable).mkdir(parents=True)
    (path / "_CHECKPOINT_METADATA").write_text('{"custom_metadata": {"lr": 0.1}}')
    leaf = {"key_metadata": [{"key": "w", "key_type": 2}],
            "value_metadata": {"value_type": "None", "skip_deserialize": False}}
    tree = {"tree_metadata": {"('w',)": leaf}, "use_zarr3": False}
    (path / checkpointable / "_METADATA").write_text(json.dumps(tree))


class Nested(Case):
    def setUp(self):
        super().setUp()
        self.run_folder = self.folder / "run"
        for step in (1, 20):
            make_step(self.run_folder / str(step))


class Places(Nested):
    def test_a_failure_names_the_step(self):
        self.check(run("cat", self.run_folder, "steps/20/custom_metadata/nothing"), 1,
                   f"{self.run_folder}: steps/20/custom_metadata/nothing: no such file in this checkpoint")
        self.check(run("ls", self.run_folder, "latest/nothing"), 1,
                   f"{self.run_folder}: steps/20/nothing: no such file in this checkpoint")
        refused = run("write", self.run_folder, "steps/20/custom_metadata/lr", input=b"x\n")
        self.assertEqual(refused.returncode, 9)
        self.assertIn(f"{self.run_folder}: steps/20/custom_metadata/lr: ", refused.said)

    def test_a_failure_names_the_checkpoint_of_a_collection(self):
        self.check(run("cat", self.folder, "run/steps/1/nothing"), 1,
                   f"{self.folder}: run/steps/1/nothing: no such file in this checkpoint")
        self.check(run("cat", self.folder, "model.ckpt/nothing"), 1,
                   f"{self.folder}: model.ckpt/nothing: no such file in this checkpoint")


class Links(Nested):
    def test_a_link_is_listed_through(self):
        whole = run("ls", self.run_folder, "steps/20").text
        self.assertIn("custom_metadata.json\n", whole)
        for path in ("latest", "latest/", "./latest/."):
            self.check_text(run("ls", self.run_folder, path), whole)
        self.check_text(run("ls", self.run_folder, "latest/pytree"), "w\n")
        self.check_text(run("ls", self.run_folder / "1", "pytree"), "w\n")

    def test_the_long_form_shows_a_link_and_lists_through_one_with_a_slash(self):
        self.assertRegex(run("ls", "-l", self.run_folder, "latest").text, r"^lr--.* latest -> steps/20\n$")
        self.assertEqual(run("ls", "-l", self.run_folder, "latest/").text,
                         run("ls", "-l", self.run_folder, "steps/20").text)
        self.assertRegex(run("ls", "-l", self.run_folder, "latest/pytree/").text, r"^-r--.* w\n$")


class Data(Nested):
    def test_where_values_are_not_shown_it_is_told_how_they_are(self):
        hint = "no such file in this checkpoint, which is shown without values/; -o data shows it"
        self.check(run("cat", self.run_folder, "steps/20/checkpointables/state/values/w.npy"), 1,
                   f"{self.run_folder}: steps/20/checkpointables/state/values/w.npy: {hint}")
        self.check(run("ls", self.folder, "model.ckpt/values"), 1, f"{self.folder}: model.ckpt/values: {hint}")
        self.check(run("ls", "-o", "nodata", self.sample, "values"), 1, f"{self.sample}: values: {hint}")
        self.check(run("cat", "-o", "data", self.run_folder, "steps/20/values/x.npy"), 1,
                   f"{self.run_folder}: steps/20/checkpointables/state/values/x.npy: no such file in this checkpoint")
        self.check(run("ls", self.sample, "values/nothing"), 1,
                   f"{self.sample}: values/nothing: no such file in this checkpoint")


class Checkpointables(Nested):
    def test_a_step_without_the_one_that_is_named_fails_alone(self):
        make_step(self.run_folder / "30", "other")
        option = ("-o", "checkpointable=state", self.run_folder)
        self.check_text(run("ls", *option, "steps"), "1\n20\n30\n")
        self.check_text(run("ls", *option, "steps/20/pytree"), "w\n")
        self.check(run("ls", *option, "steps/30"), 1,
                   f"{self.run_folder}: {self.run_folder}/30: -o checkpointable=state: "
                   "no checkpointable of this name has a tree; expected one of: other")

    def test_one_that_no_step_has_is_refused(self):
        make_step(self.run_folder / "30", "other")
        self.check(run("ls", "-o", "checkpointable=nope", self.run_folder), 1,
                   f"{self.run_folder}: -o checkpointable=nope: no checkpointable of this name has a tree; "
                   "expected one of: other, state")
        self.check(run("ls", "-o", "checkpointable=none", self.run_folder / "1"), 1,
                   f"{self.run_folder}/1: -o checkpointable=none: no tree is the checkpoint's own; "
                   "expected one of: state")

    def test_before_the_first_step_any_is_taken(self):
        (self.run_folder / "metadata").mkdir()
        (self.run_folder / "metadata/_ROOT_METADATA").write_text("{}")
        for step in ("1", "20"):
            shutil.rmtree(self.run_folder / step)
        self.check_text(run("ls", "-o", "checkpointable=nope", self.run_folder, "steps"), "")


class Kinds(Nested):
    def test_a_source_of_another_kind_is_refused(self):
        step = self.run_folder / "1"
        for kind, source, expected, taken in (
            ("orbax-steps", step, "a directory of steps of Orbax, which has checkpoints under their numbers", "orbax"),
            ("orbax", self.run_folder, "a checkpoint of Orbax, which has orbax.checkpoint, _CHECKPOINT_METADATA or "
             "_METADATA, or directories with _METADATA", "orbax-steps"),
            ("earth2studio", step, "a store of Earth2Studio, which has catalog.json, commits or rank_NNNNNN", "orbax"),
        ):
            self.check(run("ls", "-o", f"kind={kind}", source), 4,
                       f"{source}: expected {expected}; without -o kind={kind} it is taken for {taken}")

    def test_steps_of_old_versions_are_taken_for_steps_when_asked(self):
        for step in (1, 20):
            (self.run_folder / f"{step}/_CHECKPOINT_METADATA").unlink()
        self.check_text(run("ls", "-o", "kind=orbax-steps", self.run_folder, "steps"), "1\n20\n")
        self.check_text(run("ls", "-o", "kind=collection", self.run_folder), "1\n20\n")


class Unreadable(Nested):
    def test_a_step_that_may_not_be_read_is_listed(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be somebody else")
        (self.run_folder / "20").chmod(0o700)
        self.assertEqual(self.run_as_nobody("ls", self.run_folder, "steps").stdout, b"1\n20\n")
        self.check(self.run_as_nobody("ls", self.run_folder, "steps/20"), 8,
                   f"{self.run_folder}: {self.run_folder}/20: Permission denied")


if __name__ == "__main__":
    support.main()
