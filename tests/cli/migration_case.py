"""What the tests of ckptree migration share: a training checkpoint, and scripts beside it."""

import hashlib
import os
import pickle
import zipfile

from support import Case, run

HEAD = "#!/bin/sh\n# ckptree: migration=1.0.0 anemoi-models="


class MigrationCase(Case):
    def setUp(self):
        super().setUp()
        self.sample.unlink()
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()
        self.checkpoint = self.folder / "last.ckpt"
        self.environment = {**os.environ, "TMPDIR": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state")}

    def make(self, *registered, **more):
        """A training checkpoint: `registered` is NAME, VERSION, SIGNATURE each. Without tensors, which need torch."""
        migrations = [{"name": name, "metadata": {"versions": {"migration": "1.0.0", "anemoi-models": version}},
                       "signature": signature} for name, version, signature in registered]
        content = {"pytorch-lightning_version": "2.6", "epoch": 1, "migrations": migrations,
                   "hyper_parameters": {"metadata": {"uuid": "u"}}, **more}
        with zipfile.ZipFile(self.checkpoint, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
            archive.writestr("archive/version", "3\n")
            archive.writestr("archive/anemoi-metadata/anemoi.json", '{"version": "1.0"}')
        self.checkpoint.chmod(0o640)
        return self.checkpoint.read_bytes()

    def script(self, name, body="", version="0.9.0", rest=""):
        path = self.scripts / name
        path.write_text(f"{HEAD}{version}{rest}\nset -e\n{body}\n")
        path.chmod(0o755)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def migration(self, *arguments):
        return run("migration", *arguments, env=self.environment)

    def sync(self, *options):
        return self.migration("sync", self.checkpoint, "--dir", self.scripts, *options)

    def cat(self, *paths):
        answer = run("cat", "-o", f"migrations={self.scripts}", self.checkpoint, *paths)
        self.check(answer, 0)
        return answer.text

    def beside(self):
        return sorted(set(os.listdir(self.folder)) - {"scripts", "state"})
