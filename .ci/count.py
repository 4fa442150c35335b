"""count.py BROKEN LOG...: adds up the tests in meson's logs and prints `N passed, N failed`.

A program counts as many tests as it says it ran, in the words of Catch2, unittest or TAP; any other as one. BROKEN
is how many parts did not end well: they fail the run even where no log tells why.
"""

import json
import os
import re
import sys


def cases(entry):
    """Test cases of one program: how many there are, how many of them failed."""
    said = entry.get("stdout", "") + entry.get("stderr", "")
    # Catch2: "All tests passed (244 assertions in 11 test cases)", or "test cases: 11 | 10 passed | 1 failed".
    if found := re.search(r"^All tests passed \(\d+ assertions? in (\d+) test cases?\)", said, re.M):
        return int(found[1]), 0
    if found := re.search(r"^test cases: +(\d+)(?: \|.*?(\d+) failed)?", said, re.M):
        return int(found[1]), int(found[2] or 0)
    # Python's unittest.
    if found := re.findall(r"^Ran (\d+) tests? in", said, re.M):
        return int(found[-1]), sum(map(int, re.findall(r"\b(?:failures|errors)=(\d+)", said)))
    # TAP.
    if points := re.findall(r"^(not )?ok \d+", said, re.M):
        return len(points), sum(map(bool, points))
    return 1, 0


def main():
    broken, logs = int(sys.argv[1]), sys.argv[2:]
    passed = failed = skipped = 0
    for log in logs:
        if not os.path.exists(log):
            print(f"{log}: missing: nothing of it ran")
            failed += 1
            continue
        with open(log) as lines:
            for entry in map(json.loads, lines):
                total, wrong = cases(entry)
                if entry["result"] in ("OK", "EXPECTEDFAIL"):
                    passed += total
                elif entry["result"] == "SKIP":
                    skipped += 1
                    print(f"skipped: {entry['name']}")
                else:
                    wrong = min(total, max(1, wrong))
                    passed, failed = passed + total - wrong, failed + wrong
                    print(f"{entry['result'].lower()}: {entry['name']}")
    # A skipped test is for machines that lack something; this one is to have everything.
    failed += skipped
    failed = max(failed, broken)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


main()
