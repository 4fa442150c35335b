"""ls, cat and write: the tree of a checkpoint, and edits of it, without a mount."""

import hashlib
import json
import os
import subprocess
import threading
import zipfile

import support
from support import Case, run

MEMBER = "archive/anemoi-metadata/anemoi.json"


class Look(Case):
    def test_ls_lists_the_top(self):
        names = "kind metadata.json metadata metadata.path arrays arrays.tsv tensors tensors.tsv values object imports imports.tsv"
        self.check_text(run("ls", self.sample), names.replace(" ", "\n") + "\n")
        self.assertEqual(run("ls", self.sample, "/").text, run("ls", self.sample).text)

    def test_ls_lists_a_directory_of_values_in_the_order_of_the_document(self):
        self.check_text(run("ls", self.sample, "metadata/config"), "dataloader\ntraining\ndiagnostics\n")
        self.check_text(run("ls", self.sample, "/metadata//config/"), "dataloader\ntraining\ndiagnostics\n")

    def test_ls_names_a_file(self):
        self.check_text(run("ls", self.sample, "metadata/config/training/lr"), "metadata/config/training/lr\n")

    def test_the_long_form_tells_kind_permission_size_and_time(self):
        lines = run("ls", "-l", self.sample).text.splitlines()
        size = len(zipfile.ZipFile(self.sample).read(MEMBER))
        self.assertRegex(lines[1], rf"^-rw- +{size} 2024-01-01 00:00:00 metadata\.json$")
        self.assertRegex(lines[2], r"^drwx +0 2024-01-01 00:00:00 metadata$")
        self.assertRegex(lines[0], r"^-r-- +6 .* kind$")
        self.assertRegex(run("ls", "-l", "-o", "ro", self.sample).text, rf"(?m)^-r-- +{size} .* metadata\.json$")

    def test_cat_prints_a_file(self):
        self.check_text(run("cat", self.sample, "kind"), "torch\n")
        self.check_text(run("cat", self.sample, "metadata/config/training/lr"), "0.000625\n")
        self.check_text(run("cat", self.sample, "metadata.path", "kind"), MEMBER + "\ntorch\n")
        self.assertEqual(run("cat", self.sample, "metadata.json").stdout, zipfile.ZipFile(self.sample).read(MEMBER))

    def test_cat_prints_an_array_as_npy(self):
        data = run("cat", self.sample, "arrays/latitudes.npy").stdout
        self.assertTrue(data.startswith(b"\x93NUMPY"))
        self.assertTrue(data.endswith(zipfile.ZipFile(self.sample).read("archive/anemoi-metadata/latitudes.numpy")))

    def test_the_control_directory_can_be_read(self):
        status = json.loads(run("cat", self.sample, ".ckptree/status.json").text)
        self.assertEqual((status["kind"], status["source"]), ("torch", str(self.sample)))

    def test_what_is_not_there_is_told(self):
        self.check(run("ls", self.sample, "nothing"), 1, f"{self.sample}: nothing: no such file in this checkpoint")
        self.check(run("cat", self.sample, "metadata/x/y"), 1,
                   f"{self.sample}: metadata/x/y: no such file in this checkpoint")
        self.check(run("cat", self.sample, "metadata"), 1, f"{self.sample}: metadata: is a directory")
        self.check(run("cat", self.sample, "../x"), 1, f"{self.sample}: ../x: '..' is no name in the tree")

    def test_a_reader_that_goes_away_ends_cat_with_a_sentence(self):
        subprocess.run([support.make_sample, self.sample, "--points", "1000000"], check=True)
        process = subprocess.Popen([support.ckptree, "cat", self.sample, "arrays/latitudes.npy"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.read(10)
        process.stdout.close()
        with process.stderr as said:
            self.assertEqual(said.read(), b"ckptree: standard output: Broken pipe\n")
        self.assertEqual(process.wait(), 1)


class Write(Case):
    def archive(self):
        with zipfile.ZipFile(self.sample) as archive:
            self.assertIsNone(archive.testzip())
            return {name: archive.read(name) for name in archive.namelist()}

    def test_a_value_is_replaced_and_nothing_else(self):
        before = self.archive()
        self.check(run("write", self.sample, "metadata/config/training/lr", input=b"0.001\n"), 0)
        after = self.archive()
        self.assertEqual(after.pop(MEMBER), before.pop(MEMBER).replace(b"0.000625", b"0.001"))
        self.assertEqual(after, before)

    def test_a_document_is_stored_byte_for_byte(self):
        text = json.dumps({**json.loads(self.archive()[MEMBER]), "note": "é"}, indent=3, ensure_ascii=False).encode()
        self.check(run("write", self.sample, "metadata.json", input=text), 0)
        self.assertEqual(self.archive()[MEMBER], text)

    def test_content_larger_than_memory_is_kept_for_comes_whole(self):
        # 40 MB: more than what write keeps in memory before it spills.
        header = run("cat", self.sample, "arrays/latitudes.npy").stdout[:128].replace(b"(1000,), ", b"(5000000,), ")
        data = os.urandom(8) * 5_000_000
        magic, text = header[:10], header[10:].rstrip(b" \n")
        npy = magic + text.ljust(117) + b"\n" + data
        self.check(run("write", self.sample, "arrays/latitudes.npy", input=npy), 0)
        after = self.archive()
        stored = after["archive/anemoi-metadata/latitudes.numpy"]
        self.assertEqual(hashlib.sha256(stored).digest(), hashlib.sha256(data).digest())
        self.assertEqual(json.loads(after[MEMBER])["supporting_arrays_paths"]["latitudes"]["shape"], [5000000])

    def test_metadata_can_be_added(self):
        subprocess.run([support.make_sample, self.sample, "--no-metadata"], check=True)
        self.check(run("write", self.sample, "metadata.json", input=b'{"version": "1.0"}'), 0)
        self.assertEqual(json.loads(self.archive()[MEMBER])["version"], "1.0")
        self.check(run("write", "-o", "name=other.json,folder=place", self.sample, "metadata.json", input=b"{}"), 0)
        self.assertIn("archive/place/other.json", self.archive())

    def refused(self, path, content, sentence, *options):
        before = self.sample.read_bytes()
        self.check(run("write", *options, self.sample, path, input=content), 9, f"{self.sample}: {sentence}")
        self.assertEqual(self.sample.read_bytes(), before)
        self.assertEqual(os.listdir(self.folder), [self.sample.name])

    def test_an_edit_that_is_not_valid_is_refused_with_line_and_column(self):
        self.refused("metadata.json", b'{"version": "1.0",\n "a": }', "metadata.json:2:7: expected a value, got '}'")
        self.refused("metadata.json", b"", "metadata.json:1:1: expected a value, got the end of the text")
        self.refused("metadata.json", b"[]", "metadata.json: expected a JSON object: the metadata of anemoi is a dict")
        self.refused("metadata.json", b"{}", "metadata.json: must have a key 'version', as the old one has")

    def test_a_value_keeps_its_type(self):
        self.refused("metadata/config/training/lr", b"fast\n",
                     "metadata/config/training/lr: expected a number, got 'fast'")

    def test_what_cannot_be_edited_is_told(self):
        self.refused("kind", b"x", "kind: derived from the checkpoint, cannot be edited")
        self.refused("nothing.txt", b"x", "nothing.txt: nothing can be stored under this name")
        self.refused("/", b"x", "the top: is a directory")
        self.refused("metadata.json", b"{}", "metadata.json: -o ro allows no edits", "-o", "ro")

    def test_hard_links_are_kept_unless_asked(self):
        other = self.folder / "other.ckpt"
        os.link(self.sample, other)
        answer = run("write", self.sample, "metadata/config/training/lr", input=b"1")
        self.assertEqual(answer.returncode, 9)
        self.assertIn("links=split", answer.said)
        self.check(run("write", "-o", "links=split", self.sample, "metadata/config/training/lr", input=b"1"), 0)
        self.check_text(run("cat", self.sample, "metadata/config/training/lr"), "1\n")
        self.check_text(run("cat", other, "metadata/config/training/lr"), "0.000625\n")

    def test_a_symbolic_link_that_leads_to_the_checkpoint_is_kept(self):
        link = self.folder / "link"
        link.symlink_to(self.sample.name)
        self.check(run("write", link, "metadata/config/training/lr", input=b"1"), 0)
        self.assertTrue(link.is_symlink())
        self.check_text(run("cat", self.sample, "metadata/config/training/lr"), "1\n")

    def test_writers_at_the_same_time_lose_nothing_in_silence(self):
        keys = ["lr", "max_epochs", "precision"]
        answers = {}

        def write(key, value):
            answers[key] = run("write", self.sample, f"metadata/config/training/{key}", input=value)

        values = dict(zip(keys, (b"0.5", b"7", b"32")))
        threads = [threading.Thread(target=write, args=item) for item in values.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shown = json.loads(run("cat", self.sample, "metadata.json").text)["config"]["training"]
        expected = {"lr": 0.5, "max_epochs": 7, "precision": "32"}
        for key, answer in answers.items():
            self.assertIn(answer.returncode, (0, 9), answer.said)
            self.assertEqual(shown[key] == expected[key], answer.returncode == 0)
        self.archive()


if __name__ == "__main__":
    support.main()
