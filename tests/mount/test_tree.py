"""What a mount of a torch checkpoint shows: names, bytes, sizes, times, permission bits, inode numbers, attributes."""

import json
import os
import stat
import time
import zipfile

import numpy as np

import harness
import sample
from harness import MountTest, run

LONG_KEY = "k" * 300
JULY_2020 = 1593600000
METADATA = {
    **sample.METADATA,
    "names": {
        "sedABCDEF": 1,
        "x.swp": 2,
        "#a#": 3,
        ".#a": 4,
        "..": 5,
        "\x7f": 6,
        "plain": 7,
        "dots.in.name": 8,
        "größe": 9,
        LONG_KEY: 10,
        "\ud800": 11,
    },
    "texts": {
        "two lines": "a\nb",
        "newline at the end": "a\n",
        "empty": "",
        "number": "12",
        "surrogate": "\ud800",
        "tab": "a\tb",
        "euro": "€",
    },
    "lists": {"empty": [], "mixed": [1, "two", None, True, 2.50], "nested": [[1, 2], [3]]},
}


class Tree(MountTest):
    @classmethod
    def make_source(cls, path):
        sample.make(path, METADATA)
        os.utime(path, (JULY_2020, JULY_2020))

    def test_the_top_lists_what_the_table_says(self):
        self.assertEqual(
            sorted(os.listdir(self.mount.path)),
            ["arrays", "arrays.tsv", "imports", "imports.tsv", "kind", "metadata", "metadata.json", "metadata.path", "object", "tensors"]
            + ["tensors.tsv", "values"],
        )

    def test_the_derived_files_say_what_the_checkpoint_is(self):
        self.assertEqual(self.read("kind"), "torch\n")
        self.assertEqual(self.read("metadata.path"), "archive/anemoi-metadata/anemoi.json\n")

    def test_the_document_is_shown_byte_for_byte(self):
        self.assertEqual((self.mount / "metadata.json").read_bytes(), self.stored())

    def test_arrays_are_numpy_files(self):
        self.assertEqual(
            sorted(os.listdir(self.path("arrays"))), ["cutout_mask.npy", "lam", "latitudes.npy", "longitudes.npy"]
        )
        self.assertEqual(os.listdir(self.path("arrays/lam")), ["mask.npy"])
        for name in ("cutout_mask", "latitudes", "longitudes"):
            shown = np.load(self.mount / f"arrays/{name}.npy")
            self.assertEqual(shown.dtype, sample.ARRAYS[name].dtype)
            np.testing.assert_array_equal(shown, sample.ARRAYS[name])
        np.testing.assert_array_equal(np.load(self.mount / "arrays/lam/mask.npy"), sample.ARRAYS["lam"]["mask"])

    def test_arrays_can_be_mapped(self):
        view = np.load(self.mount / "arrays/latitudes.npy", mmap_mode="r")
        self.assertIsInstance(view, np.memmap)
        np.testing.assert_array_equal(view, sample.ARRAYS["latitudes"])

    def test_the_table_of_arrays_is_a_tsv(self):
        self.assertEqual(
            self.read("arrays.tsv").splitlines(),
            [
                "name\tdtype\tshape\tnbytes\tmember",
                "latitudes\tfloat64\t181\t1448\tarchive/anemoi-metadata/latitudes.numpy",
                "longitudes\tfloat32\t180\t720\tarchive/anemoi-metadata/longitudes.numpy",
                "cutout_mask\tbool\t4x6\t24\tarchive/anemoi-metadata/cutout_mask.numpy",
                "lam/mask\tint16\t3x3\t18\tarchive/anemoi-metadata/lam/mask.numpy",
            ],
        )

    def test_a_value_is_a_file_with_one_final_newline(self):
        for name, text in {
            "config/training/lr": "0.00015",
            "config/training/swa": "false",
            "config/training/loss": "null",
            "config/training/precision": "16-mixed",
            "seed": "12345678901234567890123",
            "nan": "NaN",
            "infinity": "Infinity",
            "texts/two lines": "a\nb",
            "texts/newline at the end": "a\n",
            "texts/empty": "",
            "texts/number": "12",
            "texts/tab": "a\tb",
            "texts/euro": "€",
            "texts/surrogate": r'"\ud800"',
        }.items():
            self.assertEqual(self.read(f"metadata/{name}"), text + "\n", name)

    def test_an_attribute_tells_a_string_from_a_number(self):
        kind = lambda name: os.getxattr(self.path(f"metadata/{name}"), "user.ckptree.type")
        self.assertEqual(kind("texts/number"), b"string")
        self.assertEqual(kind("config/training/lr"), b"number")
        self.assertEqual(self.ok("getfattr --only-values -n user.ckptree.type metadata/seed"), "number")
        self.fails("ENODATA", os.getxattr, self.path("metadata/seed"), "user.other")

    def test_a_list_of_scalars_is_one_file_with_an_item_a_line(self):
        text = self.read("metadata/config/data/forcing")
        self.assertEqual(json.loads(text), ["cos_latitude", "sin_latitude"])
        self.assertEqual(len([line for line in text.splitlines() if "latitude" in line]), 2)
        self.assertEqual(json.loads(self.read("metadata/lists/mixed")), [1, "two", None, True, 2.5])
        self.assertIn("2.5", self.read("metadata/lists/mixed"))
        self.assertEqual(json.loads(self.read("metadata/lists/empty")), [])

    def test_any_other_list_is_a_directory_of_indices(self):
        self.assertEqual(sorted(os.listdir(self.path("metadata/config/data/normalizer"))), ["0", "1"])
        self.assertEqual(self.read("metadata/config/data/normalizer/1/name"), "b\n")
        self.assertEqual(json.loads(self.read("metadata/lists/nested/0")), [1, 2])

    def test_keys_that_cannot_be_file_names_are_encoded(self):
        self.assertEqual(
            set(os.listdir(self.path("metadata/config/odd names"))),
            {"a%2Fb", "100%25", "%2Edot", "%", "tab%09here", "%62ackup~"},
        )
        names = set(os.listdir(self.path("metadata/names")))
        self.assertLessEqual(
            {"%73edABCDEF", "%78.swp", "%23a#", "%2E#a", "%2E.", "%7F", "%ED%A0%80", "plain", "dots.in.name", "größe"},
            names,
        )
        [cut] = [name for name in names if name.startswith("kkk")]
        self.assertLessEqual(len(cut), 255)
        self.assertEqual(os.getxattr(self.path(f"metadata/names/{cut}"), "user.ckptree.key"), LONG_KEY.encode())
        self.assertEqual(self.read(f"metadata/names/{cut}"), "10\n")

    def test_keys_keep_the_order_of_the_document(self):
        self.assertEqual(os.listdir(self.path("metadata/config")), list(METADATA["config"]))

    def test_sizes_are_exact(self):
        for directory, _, names in os.walk(self.mount.path):
            for name in names:
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    self.assertEqual(os.stat(path).st_size, len(file.read()), path)

    def test_names_lead_where_the_listing_says(self):
        for directory, directories, names in os.walk(self.mount.path):
            for entry in os.scandir(directory):
                self.assertEqual(entry.is_dir(), entry.name in directories, entry.path)
                self.assertEqual(entry.inode(), os.lstat(entry.path).st_ino, entry.path)
            self.assertEqual(len(set(directories + names)), len(directories + names), directory)

    def test_times_are_those_of_the_member_or_of_the_file(self):
        with zipfile.ZipFile(self.source) as archive:
            member = time.mktime(archive.getinfo("archive/anemoi-metadata/anemoi.json").date_time + (0, 0, -1))
        for name in ("metadata.json", "metadata/config/training/lr", "metadata"):
            self.assertAlmostEqual(os.stat(self.path(name)).st_mtime, member, delta=2, msg=name)
        self.assertEqual(os.stat(self.path("kind")).st_mtime, JULY_2020)

    def test_only_what_can_be_edited_has_a_write_permission_bit(self):
        for name, writable in {
            "kind": False,
            "metadata.path": False,
            "arrays.tsv": False,
            "metadata.json": True,
            "metadata/seed": True,
            "metadata/config": True,
            "arrays": True,
            "arrays/latitudes.npy": True,
            "metadata": True,
        }.items():
            self.assertEqual(bool(os.stat(self.path(name)).st_mode & 0o222), writable, name)
            self.assertTrue(os.stat(self.path(name)).st_mode & 0o400, name)

    def test_nobody_gets_more_permission_than_the_checkpoint_gives(self):
        self.assertEqual(os.stat(self.path("metadata.json")).st_mode & ~os.stat(self.source).st_mode & 0o777, 0)

    def test_inode_numbers_are_stable(self):
        def numbers():
            return {
                os.path.join(at, name): os.lstat(os.path.join(at, name)).st_ino
                for at, directories, files in os.walk(self.mount.path)
                for name in directories + files
            }

        before = numbers()
        run(["sh", "-c", "echo 2 > /proc/sys/vm/drop_caches"])
        self.assertEqual(numbers(), before)
        self.assertEqual(len(set(before.values())), len(before))

    def test_directories_count_links_as_tools_expect(self):
        self.assertTrue(stat.S_ISDIR(os.stat(self.path("metadata")).st_mode))
        self.assertEqual(os.stat(self.path("kind")).st_nlink, 1)

    def test_absent_names_are_absent(self):
        for name in (
            "nothing",
            "metadata/nothing",
            "metadata/config/training/lr/x",
            "arrays/nothing.npy",
            "arrays/latitudes",
            "tensors.tsv.x",
        ):
            with self.assertRaises(OSError, msg=name):
                os.stat(self.path(name))
        self.fails("ENAMETOOLONG", os.stat, self.path("n" * 256))
        self.fails("ENOTDIR", os.listdir, self.path("metadata.json"))

    def test_the_filesystem_tells_its_size(self):
        self.assertGreater(os.statvfs(self.mount.path).f_bsize, 0)
        self.assertEqual(os.statvfs(self.mount.path).f_namemax, 255)


class Control(MountTest):
    """ ".ckptree/ is the control directory. It can be opened, and is not listed.\" """

    def test_it_is_not_listed_and_can_be_opened(self):
        self.assertNotIn(".ckptree", os.listdir(self.mount.path))
        self.assertTrue(os.path.isdir(self.path(".ckptree")))
        self.assertLessEqual(
            {
                "status.json",
                "last_error",
                "rejected",
                "removed",
                "flush_interval",
                "pending",
                "flush",
                "discard",
                "raw",
            },
            set(os.listdir(self.path(".ckptree"))),
        )
        self.assertEqual(self.ok("find . -path '*ckptree*'"), "")

    def test_the_status_says_what_is_mounted(self):
        status = self.mount.status()
        self.assertLessEqual(
            {
                "kind",
                "layout",
                "source",
                "generation",
                "commits",
                "pending",
                "strategy",
                "free",
                "warnings",
                "progress",
            },
            set(status),
        )
        self.assertEqual((status["kind"], status["commits"], status["pending"]), ("torch", 0, 0))
        self.assertEqual(status["source"], str(self.source))
        self.assertTrue(self.read(".ckptree/status.json").endswith("}\n"))

    def test_raw_shows_the_members_under_their_own_names(self):
        with zipfile.ZipFile(self.source) as archive:
            for name in archive.namelist():
                self.assertEqual((self.mount / ".ckptree/raw" / name).read_bytes(), archive.read(name), name)

    def test_nothing_has_been_rejected_removed_or_left_pending(self):
        self.assertEqual(os.listdir(self.path(".ckptree/rejected")), [])
        self.assertEqual(os.listdir(self.path(".ckptree/removed")), [])
        self.assertEqual(self.read(".ckptree/pending"), "")
        self.assertEqual(self.read(".ckptree/flush_interval"), "auto\n")


class ReadOnly(MountTest):
    """ "-o ro allows nothing.\" """

    options = "ro"

    def test_nothing_has_a_write_permission_bit(self):
        for directory, directories, names in os.walk(self.mount.path):
            for name in directories + names:
                path = os.path.join(directory, name)
                self.assertEqual(os.stat(path).st_mode & 0o222, 0, path)

    def test_every_edit_is_refused_with_erofs(self):
        self.fails("EROFS", open, self.path("metadata.json"), "w")
        self.fails("EROFS", open, self.path("new"), "w")
        self.fails("EROFS", os.unlink, self.path("metadata.json"))
        self.fails("EROFS", os.mkdir, self.path("metadata/x"))
        self.fails("EROFS", os.rename, self.path("metadata/seed"), self.path("metadata/x"))

    def test_it_reads(self):
        self.assertEqual(self.document()["seed"], sample.METADATA["seed"])
        self.ok("cat kind metadata.json metadata/config/training/lr arrays.tsv arrays/latitudes.npy > /dev/null")


class Owners(MountTest):
    """ "-o umask, uid, gid": who owns what is shown, and what may be done with it."""

    options = "umask=077,uid=1234,gid=4321"

    def test_every_file_has_the_owner_and_the_bits_asked_for(self):
        for name in ("", "kind", "metadata.json", "metadata", "metadata/config/training/lr", "arrays/latitudes.npy"):
            found = os.stat(self.path(name))
            self.assertEqual((found.st_uid, found.st_gid, found.st_mode & 0o077), (1234, 4321, 0), name)


class WithoutMetadata(MountTest):
    """ "arrays/: empty without metadata"; test -e metadata.path is has_metadata."""

    @classmethod
    def make_source(cls, path):
        sample.make(path, metadata=None)

    def test_there_is_no_document_and_no_array(self):
        self.assertFalse(os.path.exists(self.path("metadata.path")))
        self.assertFalse(os.path.exists(self.path("metadata.json")))
        self.assertFalse(os.path.exists(self.path("metadata")))
        self.assertEqual(os.listdir(self.path("arrays")), [])
        self.assertEqual(self.read("arrays.tsv"), "name\tdtype\tshape\tnbytes\tmember\n")
        self.assertEqual(self.read("kind"), "torch\n")


class DeprecatedName(MountTest):
    """ "ai-models.json where only that exists.\" """

    @classmethod
    def make_source(cls, path):
        sample.make(path, metadata=None)
        sample.save_metadata(path, {"version": 1}, sample.ARRAYS, name="ai-models.json")

    def test_it_is_the_metadata(self):
        self.assertEqual(self.read("metadata.path"), "archive/anemoi-metadata/ai-models.json\n")
        self.assertEqual(self.document()["version"], 1)
        np.testing.assert_array_equal(np.load(self.mount / "arrays/latitudes.npy"), sample.ARRAYS["latitudes"])

    def test_an_explicit_name_turns_the_fallback_off(self):
        other = self.mount_at("named", options="name=anemoi.json,ro")
        self.assertFalse(os.path.exists(other / "metadata.path"))
        other = self.mount_at("deprecated", options="name=ai-models.json,ro")
        self.assertTrue(os.path.exists(other / "metadata.path"))


class TwoOfThatName(MountTest):
    """ "With several members of that name it lists them and metadata.json fails with ENOTUNIQ.\" """

    @classmethod
    def make_source(cls, path):
        sample.make(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("archive/elsewhere/anemoi.json", '{"version": 2}')

    def test_the_path_lists_both_and_the_document_fails(self):
        self.assertEqual(
            self.read("metadata.path"), "archive/anemoi-metadata/anemoi.json\narchive/elsewhere/anemoi.json\n"
        )
        self.fails("ENOTUNIQ", self.read, "metadata.json")


class WithoutChecksums(MountTest):
    """set_crc32_options(False) stores 0 as every crc. Python's zipfile refuses to read that; torch does not care."""

    @classmethod
    def make_source(cls, path):
        sample.make(path, crc=False)

    def test_it_is_shown_and_edited(self):
        self.assertEqual(self.document()["version"], "1.0.0")
        self.ok("sed -i s#/old/path#/new/path# metadata.json")
        self.assertEqual(self.stored_document()["config"]["dataloader"]["dataset"], "/new/path/era5.zarr")


if __name__ == "__main__":
    harness.main()
