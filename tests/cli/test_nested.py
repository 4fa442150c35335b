"""A source of several checkpoints: a directory of steps of Orbax, a collection."""

import json

import support
from support import Case, run


def make_step(path, checkpointable="state"):
    """The least that is a checkpoint of Orbax, with one tree of one value, which is None."""
    (path / checkpointable).mkdir(parents=True)
    (path / "_CHECKPOINT_METADATA").write_text('{"custom_metadata": {"lr": 0.1}}')
    leaf = {"key_metadata": [{"key": "w", "key_type": 2}],
            "value_metadata": {"value_type": "None", "skip_deserialize": False}}
    (path / checkpointable / "_METADATA").write_text(json.dumps({"tree_metadata": {"('w',)": leaf}, "use_zarr3": False}))


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


if __name__ == "__main__":
    support.main()
