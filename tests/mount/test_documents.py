"""Editing documents: whole, and value by value."""

import json
import os

import harness
import sample
from harness import MountTest, run, wait_until

TRAINING = "metadata/config/training"


class Editing(MountTest):
    """Edits through the tree of values replace the bytes of that value in the document and nothing else."""

    refusals = True

    def edit(self, command, old, new, count=1):
        """`command` must change exactly `old` to `new`, in the mount and in the checkpoint, and be one commit."""
        before = self.read("metadata.json")
        self.assertEqual(before.count(old), 1, f"{old} must stand in the document once")
        self.write(".ckptree/flush", "1\n")  # the edits of the tests before
        commits = self.mount.commits()
        self.ok(command)
        self.assertEqual(self.read("metadata.json"), before.replace(old, new), command)
        self.assertTrue(
            wait_until(lambda: self.mount.commits() > commits, timeout=1.5), "not committed within a second"
        )
        self.assertEqual(self.mount.commits(), commits + 1)
        self.assertEqual(self.stored().decode(), before.replace(old, new))

    def unchanged(self, command, message="."):
        """`command` must be refused with this message and change nothing."""
        self.write(".ckptree/flush", "1\n")  # the edits of the tests before
        before, commits = self.read("metadata.json"), self.mount.commits()
        self.refused(command, message)
        self.assertEqual(self.read("metadata.json"), before, command)
        self.assertEqual(self.mount.commits(), commits)


class Values(Editing):
    def test_echo_sets_a_number(self):
        self.edit(f"echo 0.001 > {TRAINING}/lr", '"lr": 0.00015', '"lr": 0.001')
        self.assertEqual(self.read(f"{TRAINING}/lr"), "0.001\n")

    def test_digits_are_kept_as_they_were_written(self):
        self.edit("echo 1.50e+300 > metadata/seed", "12345678901234567890123", "1.50e+300")

    def test_printf_without_a_newline_sets_a_string(self):
        self.edit("printf %s 2025-01-01 > metadata/timestamp", "2024-02-29T00:00:00Z", "2025-01-01")

    def test_dash_sets_a_string(self):
        self.edit("""sh -c 'echo "say \\"hi\\"" > metadata/uuid'""", '"uuid": "a1b2c3"', r'"uuid": "say \"hi\""')

    def test_sed_in_place_sets_a_value(self):
        self.edit("sed -i s/8/16/ metadata/config/dataloader/batch_size", '"batch_size": 8', '"batch_size": 16')

    def test_null_may_become_anything(self):
        self.edit(f"echo mse > {TRAINING}/loss", '"loss": null', '"loss": "mse"')

    def test_a_list_is_written_as_json(self):
        before = self.document()
        self.ok("""printf '["a",\n"b", "c"]\n' > metadata/config/data/forcing""")
        before["config"]["data"]["forcing"] = ["a", "b", "c"]
        self.assertEqual(json.dumps(self.document()), json.dumps(before))

    def test_a_list_may_come_in_several_writes(self):
        fd = os.open(self.path("metadata/config/data/forcing"), os.O_WRONLY | os.O_TRUNC)
        for part in (b'["x",', b'\n"y"', b']\n'):
            os.write(fd, part)
        os.close(fd)
        self.assertEqual(self.document()["config"]["data"]["forcing"], ["x", "y"])

    def test_write_refuses_what_cannot_begin_a_list(self):
        with open(self.path("metadata/config/data/forcing"), "wb", buffering=0) as file:
            self.fails("EBADMSG", file.write, b"hello")

    def test_close_refuses_a_list_that_does_not_end(self):
        fd = os.open(self.path("metadata/config/data/forcing"), os.O_WRONLY | os.O_TRUNC)
        os.write(fd, b'["x",')
        self.fails("EBADMSG", os.close, fd)

    def test_a_text_of_another_type_is_refused_in_bash(self):
        self.unchanged("echo fast > metadata/config/training/max_epochs", "write error: Bad message")
        self.assertIn("number", self.last_error())
        self.assertIn(b"number", os.getxattr(self.path("metadata/config/training/max_epochs"), "user.ckptree.error"))

    def test_a_text_of_another_type_is_refused_in_dash(self):
        self.unchanged("dash -c 'echo fast > metadata/config/training/max_epochs'", "echo")

    def test_a_text_of_another_type_is_refused_in_busybox(self):
        self.unchanged("busybox sh -c 'echo fast > metadata/config/training/max_epochs'")

    def test_true_is_no_number(self):
        self.unchanged("echo true > metadata/config/training/max_epochs", "Bad message")

    def test_a_boolean_stays_one(self):
        self.unchanged("echo 1 > metadata/config/training/swa", "Bad message")
        self.edit("echo true > metadata/config/training/swa", '"swa": false', '"swa": true')

    def test_a_string_may_read_like_a_number(self):
        self.edit("echo 32 > metadata/config/training/precision", '"precision": "16-mixed"', '"precision": "32"')

    def test_the_same_text_is_no_commit(self):
        self.assertEqual(
            self.commits_after(
                lambda: self.ok(
                    "cat metadata/version > /tmp/v$$; cat /tmp/v$$ > metadata/version; " "rm /tmp/v$$; sleep 0.3"
                )
            ),
            0,
        )

    def test_a_directory_cannot_be_written(self):
        self.fails("EISDIR", open, self.path("metadata/config"), "w")
        self.refused("echo 1 > metadata/config", "Is a directory")


class Keys(Editing):
    def test_a_new_file_takes_the_type_of_its_text(self):
        for text, value in {
            "5": 5,
            "1e-3": 0.001,
            "true": True,
            "null": None,
            "text": "text",
            '"7"': "7",
            "[1, 2]": [1, 2],
            "/a/path": "/a/path",
        }.items():
            self.ok("""cd metadata/config/hidden && printf '%s\\n' "$TEXT" > new""", env={**os.environ, "TEXT": text})
            self.assertEqual(self.document()["config"]["hidden"], {"new": value})
            self.ok("rm metadata/config/hidden/new")
        self.assertEqual(self.document()["config"]["hidden"], {})

    def test_a_new_file_is_no_key_while_it_is_empty(self):
        self.ok("touch metadata/config/hidden/later")
        self.assertEqual(self.document()["config"]["hidden"], {})
        self.ok("echo 1 > metadata/config/hidden/later")
        self.assertEqual(self.document()["config"]["hidden"], {"later": 1})
        self.ok("rm metadata/config/hidden/later")

    def test_a_scratch_name_never_becomes_a_key(self):
        before = self.read("metadata.json")
        self.ok("cd metadata/config && for f in x~ .x.swp sedAbCdEf .#x '#x#'; do echo 1 > $f; cat $f; rm $f; done")
        self.assertEqual(self.read("metadata.json"), before)

    def test_mkdir_makes_an_empty_object(self):
        self.ok("mkdir -p metadata/config/made/below && echo 1 > metadata/config/made/below/x")
        self.assertEqual(self.document()["config"]["made"], {"below": {"x": 1}})
        self.fails("EEXIST", os.mkdir, self.path("metadata/config/made"))
        self.fails("ENOTEMPTY", os.rmdir, self.path("metadata/config/made"))
        self.ok("rm -r metadata/config/made")
        self.assertNotIn("made", self.document()["config"])

    def test_mv_renames_a_key_in_place(self):
        keys = list(self.document()["config"]["training"])
        self.ok(f"mv {TRAINING}/swa {TRAINING}/averaging")
        keys[keys.index("swa")] = "averaging"
        self.assertEqual(list(self.document()["config"]["training"]), keys)
        self.ok(f"mv {TRAINING}/averaging {TRAINING}/swa")

    def test_mv_onto_a_key_is_refused(self):
        self.unchanged(f"mv {TRAINING}/lr {TRAINING}/max_epochs", "File exists")

    def test_mv_of_scratch_onto_a_key_is_a_write(self):
        self.ok(f"echo 7 > {TRAINING}/t~ && mv {TRAINING}/t~ {TRAINING}/max_epochs")
        self.assertEqual(self.document()["config"]["training"]["max_epochs"], 7)

    def test_mv_moves_a_key_to_another_object(self):
        value = self.document()["config"]["dataloader"]["batch_size"]
        self.ok("mv metadata/config/dataloader/batch_size metadata/config/hidden/")
        document = self.document()["config"]
        self.assertEqual(document["hidden"], {"batch_size": value})
        self.assertNotIn("batch_size", document["dataloader"])
        self.ok("mv metadata/config/hidden/batch_size metadata/config/dataloader/")

    def test_encoded_names_are_edited_under_their_key(self):
        self.ok("echo 11 > 'metadata/config/odd names/a%2Fb' && echo 12 > 'metadata/config/odd names/%'")
        names = self.document()["config"]["odd names"]
        self.assertEqual((names["a/b"], names[""]), (11, 12))

    def test_the_version_cannot_be_removed(self):
        self.refused("rm metadata/version", "Bad message")
        self.assertIn("version", self.last_error())
        self.assertIn("version", self.document())

    def test_the_last_item_of_a_list_is_removed_and_the_next_created(self):
        items = "metadata/config/data/normalizer"
        self.ok(f"mkdir {items}/2 && echo c > {items}/2/name")
        self.assertEqual(self.document()["config"]["data"]["normalizer"], [{"name": "a"}, {"name": "b"}, {"name": "c"}])
        with self.assertRaises(OSError):
            os.mkdir(self.path(f"{items}/7"))
        self.ok(f"rm -r {items}/2")
        self.refused(f"rm -r {items}/0")
        self.assertEqual(self.document()["config"]["data"]["normalizer"][-1], {"name": "b"})

    def test_an_item_that_is_not_the_next_is_refused(self):
        self.unchanged("echo c > metadata/config/data/normalizer/7", "Invalid argument")
        self.assertIn("normalizer/7: the next item of this list is 2", self.last_error())
        self.unchanged("echo c > scratch; mv scratch metadata/config/data/normalizer/7")

    def test_many_edits_of_one_program_are_a_handful_of_commits(self):
        self.ok("mkdir metadata/many && for i in {1..200}; do echo $i > metadata/many/k$i; done")
        self.assertEqual(len(self.document()["many"]), 200)
        wait_until(lambda: self.mount.status()["pending"] == 0)
        commits = self.mount.commits()
        self.ok("cd metadata/many && for i in {1..200}; do mv k$i m$i; done && cd .. && cp -r many copy")
        self.assertTrue(wait_until(lambda: len(self.stored_document().get("copy", {})) == 200))
        self.ok("rm -r metadata/many metadata/copy")
        self.assertTrue(
            wait_until(lambda: "many" not in self.stored_document() and "copy" not in self.stored_document())
        )
        self.assertLess(self.mount.commits() - commits, 25 * harness.SLOWNESS)


class WholeDocuments(Editing):
    """ "An edit stores the bytes that were written, exactly."""

    def store(self, text):
        """Writes a text by cp. @return (exit status, stderr)"""
        new = self.folder / "new.json"
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        done = run(["cp", str(new), self.path("metadata.json")])
        return done.returncode, done.stderr

    def document_with(self, rest):
        index = json.dumps(self.document()["supporting_arrays_paths"])
        return f'{{"version": 1, "supporting_arrays_paths": {index}, {rest}}}'

    def test_python_s_json_is_kept_byte_for_byte(self):
        for rest in (
            '"a": NaN, "b": -Infinity, "c": 123456789012345678901234567890',
            '"a":1,"a" :2',
            r'"\ud800": "\udfff"',
            '"deep": ' + "[" * 500 + "]" * 500,
            '"€": "\u2028"',
            '"spaces" :\n\t1 \r\n',
            '"e": 1E5, "z": -0.0',
        ):
            text = self.document_with(rest)
            self.assertEqual(self.store(text), (0, ""), rest)
            self.assertEqual(self.read("metadata.json"), text)
            self.assertEqual(self.stored(), text.encode())

    def test_what_is_no_document_is_refused_and_the_reason_told(self):
        for text, reason in {
            "{": r"1:2",
            '{"version": 1, }': r"1:15|1:16",
            '{"version": 1\n"x": 2}': r"2:1",
            "": None,
            "[1]": "object",
            '{"a": 1}': "version",
            '\ufeff{"version": 1}': "BOM|byte order mark",
            b'{"version": "\xff"}': "UTF-8",
            '{"version": 01}': r"1:\d+",
            "{'version': 1}": r"1:2",
            '{"version": "\t"}': r"1:\d+",
            '{"version": 1} x': r"1:\d+",
            '{"version": 1}\0': r"1:15",
        }.items():
            before = self.read("metadata.json")
            status, errors = self.store(text)
            if reason is not None:  # a text that is only emptied is no edit yet: cp succeeds
                self.assertEqual(status, 1, text)
                self.assertIn("Bad message", errors)
                self.assertRegex(self.last_error(), reason, text)
                self.assertRegex(os.getxattr(self.path("metadata.json"), "user.ckptree.error").decode(), reason)
                kept = wait_until(
                    lambda: [
                        name
                        for name in self.rejected()
                        if (self.mount / ".ckptree/rejected" / name).read_bytes() in (text, str(text).encode())
                    ]
                )
                self.assertTrue(kept, f"{text}: its bytes are not in rejected/")
            self.assertEqual(self.read("metadata.json"), before, text)
            self.assertEqual(self.stored().decode(), before)
            wait_until(self.rejected, timeout=0.3)
            self.clear_rejected()

    def test_the_index_of_arrays_is_kept_right_whatever_the_text_says(self):
        index = self.document()["supporting_arrays_paths"]
        for text in (
            '{"version": 1}',
            '{"version": 1, "supporting_arrays_paths": {}}',
            '{"supporting_arrays_paths": {"latitudes": 5}, "version": 1}',
        ):
            self.assertEqual(self.store(text), (0, ""))
            self.assertEqual(self.stored_document(), {"version": 1, "supporting_arrays_paths": index})
            self.assertEqual(self.document()["supporting_arrays_paths"], index)

    def test_mv_of_a_bad_text_leaves_both_names(self):
        before = self.read("metadata.json")
        self.write("draft~", "{")
        self.refused("mv -f draft~ metadata.json", "Bad message")
        self.assertEqual((self.read("metadata.json"), self.read("draft~")), (before, "{"))
        self.assertTrue(wait_until(self.rejected))
        os.unlink(self.path("draft~"))

    def test_a_document_of_a_megabyte_is_saved(self):
        text = self.document_with('"long": "' + "x" * 1_000_000 + '"')
        self.assertEqual(self.store(text), (0, ""))
        self.assertEqual(self.stored().decode(), text)


class Broken(MountTest):
    """ "A stored document that is broken is shown as stored, its directory fails with EUCLEAN, and a good document can
    replace it.\" """

    @classmethod
    def make_source(cls, path):
        sample.make(path, b'{"version": 1,')

    def test_it_is_shown_and_can_be_replaced(self):
        self.assertEqual(self.read("metadata.json"), '{"version": 1,')
        self.fails("EUCLEAN", os.listdir, self.path("metadata"))
        self.assertEqual(self.read("kind"), "torch\n")
        self.ok("""echo '{"version": 1, "good": true}' > metadata.json""")
        self.assertEqual(self.read("metadata/good"), "true\n")
        self.assertIs(self.stored_document()["good"], True)


if __name__ == "__main__":
    harness.main()
