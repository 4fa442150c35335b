"""What the tests of Earth2Studio's stores share."""

import store
from harness import MountTest

STATE = f"states/{store.STATE}"


class StoreTest(MountTest):
    options = "edit=all"
    source_name = "forecast"

    @classmethod
    def make_source(cls, path):
        store.make(path)

    def catalog(self):
        return store.catalog(self.source)

    def settle(self):
        """What is pending is committed."""
        self.write(".ckptree/flush", "1\n")
