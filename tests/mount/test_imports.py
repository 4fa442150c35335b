"""imports/: the classes and functions of a pickle under other names, with the tools that do such things to files."""

import collections
import ctypes
import io
import json
import os
import pickle
import sys
import types
import zipfile

from harness import MountTest, libc, main

RENAME_EXCHANGE = 2
PLACEHOLDER = "anemoi.models.migrations.migrator.MissingAttribute"


class _Classes:
    """Modules that exist while a pickle is written."""

    def __init__(self, **modules):
        self.modules, self.classes = {}, {}
        for module, names in modules.items():
            module = module.replace("_", ".")
            made = self.modules[module] = types.ModuleType(module)
            for name, base in names.items():
                made.__dict__[name] = type(name, (base,), {"__module__": module})
                self.classes[name] = made.__dict__[name]

    def __enter__(self):
        self.modules["old"] = types.ModuleType("old")
        sys.modules.update(self.modules)
        return self.classes

    def __exit__(self, *_):
        for name in self.modules:
            del sys.modules[name]


def make_pickle():
    """Objects of old.a: First (two), Second; of old.b: First, Third, Items (a list), Mapping (a dict); a set."""
    with _Classes(old_a={"First": object, "Second": object},
                  old_b={"Third": object, "Items": list, "Mapping": dict, "Fourth": object}) as c:
        objects = {}
        for name, made in c.items():
            objects[name] = made()
            objects[name].__dict__.update(name=name, value=[1, {"deep": name}])
        objects["again"] = c["First"]()
        objects["Items"].append(1)
        objects["Mapping"]["key"] = 2
        return pickle.dumps({"epoch": 1, "objects": objects, "set": {1, 2}, "class": c["Second"],
                             "ordered": collections.OrderedDict(a=1)}, protocol=2)


class _Loader(pickle.Unpickler):
    """Loads with stand-ins for classes that are nowhere, which remember their names."""

    found = None

    def find_class(self, module, name):
        if module in ("__builtin__", "collections"):
            return super().find_class(module, name)
        self.found.add(f"{module}.{name}")
        base = {"Items": list, "Mapping": dict}.get(name, object)
        return type(name, (base,), {"__init__": lambda self, *a, **k: None, "dotted": f"{module}.{name}"})


class ImportsTest(MountTest):
    options = "edit=all"

    @classmethod
    def make_source(cls, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", make_pickle())
            archive.writestr("archive/version", "3\n")

    def load(self):
        """What is stored, and the names that it took to load it."""
        loader = _Loader(io.BytesIO(self.stored("archive/data.pkl")))
        loader.found = set()
        return loader.load(), loader.found

    def names(self):
        return {f"{module}.{name}" for module in os.listdir(self.path("imports"))
                for name in os.listdir(self.path(f"imports/{module}"))}

    def flush(self):
        self.write(".ckptree/flush", "1")


class Shown(ImportsTest):
    options = ""

    def test_a_directory_per_module_and_a_file_per_name(self):
        self.assertEqual(self.ok("ls imports"), "builtins\ncollections\nold.a\nold.b\n")
        self.assertEqual(self.ok("ls imports/old.b"), "Fourth\nItems\nMapping\nThird\n")
        self.assertEqual(json.loads(self.read("imports/old.a/First")),
                         {"module": "old.a", "name": "First", "uses": 2, "weights_only": False})

    def test_names_are_those_of_python_3(self):
        self.assertIn(b"c__builtin__\nset\n", self.stored("archive/data.pkl"))
        self.assertEqual(json.loads(self.read("imports/builtins/set"))["weights_only"], True)

    def test_the_table(self):
        self.assertEqual(self.read("imports.tsv"), "module\tname\tuses\tweights_only\n"
                         "builtins\tset\t1\ttrue\ncollections\tOrderedDict\t1\ttrue\n"
                         "old.a\tFirst\t2\tfalse\nold.a\tSecond\t2\tfalse\n"
                         "old.b\tFourth\t1\tfalse\nold.b\tItems\t1\tfalse\nold.b\tMapping\t1\tfalse\n"
                         "old.b\tThird\t1\tfalse\n")

    def test_nothing_can_be_edited_without_being_asked_for(self):
        self.refused("mv imports/old.a/First imports/old.b/", "Operation not permitted")
        self.refused("rm -f imports/old.a/First", "Operation not permitted")
        self.assertNotIn("w", self.ok("stat -c %A imports/old.a/First"))


class Names(ImportsTest):
    def test_1_a_name_moves_into_a_new_module(self):
        self.ok("mkdir -p imports/new.c; sleep 0.4; mv imports/old.a/First imports/new.c/Renamed")
        self.flush()
        value, found = self.load()
        self.assertIn("new.c.Renamed", found)
        self.assertNotIn("old.a.First", found)
        self.assertEqual(value["objects"]["First"].dotted, "new.c.Renamed")
        self.assertEqual(value["objects"]["again"].dotted, "new.c.Renamed")
        self.assertEqual(value["objects"]["First"].value, [1, {"deep": "First"}])
        self.assertEqual(self.names() & {"new.c.Renamed", "old.a.First"}, {"new.c.Renamed"})

    def test_2_onto_an_existing_name_both_are_it(self):
        self.ok("mv imports/new.c/Renamed imports/old.a/Second")
        self.flush()
        value, found = self.load()
        self.assertEqual(value["objects"]["First"].dotted, "old.a.Second")
        self.assertEqual(value["class"].dotted, "old.a.Second")
        self.assertEqual(json.loads(self.read("imports/old.a/Second"))["uses"], 4)

    def test_3_an_emptied_module_stays_until_it_is_removed(self):
        self.assertEqual(self.ok("sleep 0.4; ls imports/new.c; rmdir imports/new.c"), "")
        self.assertNotIn("new.c", os.listdir(self.path("imports")))

    def test_4_chains_and_two_starts_to_one_end(self):
        self.ok("mv imports/old.b/Third imports/old.b/Step; mv imports/old.b/Step imports/old.b/End; "
                "mv imports/old.b/Fourth imports/old.b/End")
        self.flush()
        value, found = self.load()
        for name in ("Third", "Fourth"):
            self.assertEqual(value["objects"][name].dotted, "old.b.End")
            self.assertEqual(value["objects"][name].name, name)

    def test_5_swaps(self):
        a, b = (self.path(f"imports/{name}").encode() for name in ("old.a/Second", "old.b/End"))
        self.assertEqual(libc.renameat2(-100, a, -100, b, RENAME_EXCHANGE), 0, os.strerror(ctypes.get_errno()))
        self.flush()
        value, _ = self.load()
        self.assertEqual(value["objects"]["Third"].dotted, "old.a.Second")
        self.assertEqual(value["objects"]["Second"].dotted, "old.b.End")

    def test_6_a_loop_is_a_handful_of_commits(self):
        before = self.mount.commits()
        self.ok("cd imports/old.a; for i in $(seq 50); do mv Second S$i; mv S$i Second; done; "
                "echo > ../../.ckptree/flush")
        self.assertLess(self.mount.commits() - before, 10)


class Modules(ImportsTest):
    def test_1_a_module_is_renamed(self):
        self.ok("mv imports/old.b imports/new.b")
        self.flush()
        _, found = self.load()
        self.assertEqual(found, {"old.a.First", "old.a.Second", "new.b.Third", "new.b.Items", "new.b.Mapping",
                                 "new.b.Fourth"})

    def test_2_onto_an_existing_one_they_are_merged(self):
        self.ok("mv imports/old.a imports/new.b")
        self.flush()
        value, found = self.load()
        self.assertEqual(found, {f"new.b.{n}" for n in ("First", "Second", "Third", "Items", "Mapping", "Fourth")})
        self.assertEqual(value["objects"]["Second"].dotted, "new.b.Second")
        self.assertEqual(sorted(os.listdir(self.path("imports"))), ["builtins", "collections", "new.b"])
        self.assertEqual(len(os.listdir(self.path("imports/new.b"))), 6)

    def test_3_modules_are_swapped(self):
        self.ok("mkdir imports/empty && mv imports/new.b/First imports/empty/")
        a, b = (self.path(f"imports/{name}").encode() for name in ("new.b", "empty"))
        self.assertEqual(libc.renameat2(-100, a, -100, b, RENAME_EXCHANGE), 0, os.strerror(ctypes.get_errno()))
        self.flush()
        self.assertIn("new.b.First", self.load()[1])
        self.assertIn("empty.Second", self.load()[1])

    def test_4_what_has_no_meaning_is_refused(self):
        self.refused("mkdir imports/new.b/below", "Operation not permitted")
        self.refused("mv imports/new.b/First imports/First", "Operation not permitted")
        self.refused("mv imports/new.b object/", "Operation not permitted|cannot move")
        self.refused("rmdir imports/new.b", "Directory not empty")
        self.assertIn("new.b.First", self.names())


class Removed(ImportsTest):
    def test_1_objects_keep_their_state(self):
        self.ok("rm imports/old.a/First")
        self.flush()
        value, found = self.load()
        self.assertIn(PLACEHOLDER, found)
        self.assertNotIn("old.a.First", found)
        self.assertEqual(value["objects"]["First"].value, [1, {"deep": "First"}])
        self.assertEqual(json.loads(self.read("imports/" + PLACEHOLDER.replace(".Missing", "/Missing")))["uses"], 2)

    def test_2_what_the_placeholder_cannot_be_is_refused(self):
        self.refused("rm imports/old.b/Items", "Operation not permitted")
        self.assertEqual(self.last_error(), "imports/old.b/Items: cannot be removed: an object of it holds items, "
                         "which its placeholder could not take\n")
        self.refused("rm imports/old.b/Mapping", "Operation not permitted")
        self.refused("rm imports/anemoi.models.migrations.migrator/MissingAttribute", "Operation not permitted")

    def test_3_a_whole_module_goes(self):
        self.ok("rm -r imports/old.a")
        self.assertNotIn("old.a", os.listdir(self.path("imports")))
        self.ok("rm imports/old.b/T* imports/old.b/F*")
        self.flush()
        self.assertEqual(self.load()[1], {PLACEHOLDER, "old.b.Items", "old.b.Mapping"})


class EachAtOnce(ImportsTest):
    options = "edit=all,flush_interval=1,missing=my.own.Gone"

    def test_rm_r_ends_in_an_empty_directory(self):
        self.ok("rm -r imports/old.a && mkdir imports/x && rmdir imports/x")
        self.assertEqual(self.load()[1], {"my.own.Gone", "old.b.Third", "old.b.Items", "old.b.Mapping", "old.b.Fourth"})


class Unmounted(ImportsTest):
    """What nobody moved a name into does not fail the unmount."""

    def test_an_empty_module(self):
        self.ok("mkdir imports/new; mv imports/old.a/First imports/old.a/Second imports/old.b/")


class NotEditable(ImportsTest):
    @classmethod
    def make_source(cls, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"(lp0\ncold\nName\np1\na.")  # protocol 0 is read, not written
            archive.writestr("archive/version", "3\n")

    def test_it_is_shown_and_says_why(self):
        self.assertEqual(self.ok("ls imports/old"), "Name\n")
        self.refused("mv imports/old/Name imports/old/Other", "Operation not permitted")


if __name__ == "__main__":
    main()
