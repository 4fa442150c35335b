"""count.py BROKEN LOG...: adds up the tests in meson's logs and prints `N passed, N failed`.

A program that speaks TAP counts as many tests as it names test cases, a Python one as many as it says it ran, any
other as one. BROKEN is how many parts did not end well: they fail the run even where no log tells why.
"""

import json
import os
import re
import sys


def cases(entry):
    """Test cases of one program: how many there are, how many of them failed."""
    output, errors = entry.get("stdout", ""), entry.get("stderr", "")
    failed = set()
    names, current = set(), None
    for line in output.splitlines():
        if line.startswith("# "):
            current = line
            names.add(line)
        elif line.startswith("not ok"):
            failed.add(current)
    if names:
        return len(names), len(failed)
    ran = re.findall(r"^Ran (\d+) tests? in", errors + output, re.M)
    if ran:
        wrong = re.findall(r"(?:failures|errors)=(\d+)", errors + output)
        return int(ran[-1]), sum(map(int, wrong))
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
