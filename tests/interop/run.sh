#!/bin/sh
# The suite `interop`: what the real torch, anemoi-utils, Earth2Studio and Orbax wrote, edited through a mount, read by
# them again.
# Arguments: CKPTREE FOLDER. The virtual environment is made once, in FOLDER/venv.
#
# Where the libraries cannot be installed it ends with 77 and a sentence, or, with CKPTREE_REQUIRE_INTEROP=1, fails.
set -u
here=$(dirname "$(realpath "$0")")
ckptree=$1
folder=$2
venv=$folder/venv

cannot() {
  echo "SKIP: $1" >&2
  [ "${CKPTREE_REQUIRE_INTEROP:-0}" = 1 ] && exit 1
  exit 77
}

if ! cat "$here/requirements.txt" "$here/no-deps.txt" | cmp -s - "$venv/installed.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv" >"$folder/venv.log" 2>&1 || cannot "python3 -m venv failed, see $folder/venv.log"
  # torch first and by itself: together with the others pip may choose a build that fetches gigabytes.
  torch=$(grep '^torch==' "$here/requirements.txt")
  for wanted in "$torch" "-r$here/requirements.txt"; do
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$wanted" >>"$folder/venv.log" 2>&1 ||
      cannot "pip install $wanted failed, see $folder/venv.log"
  done
  # Of these one module each is wanted; what their packages ask for is gigabytes that the modules do not import.
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "-r$here/no-deps.txt" \
    >>"$folder/venv.log" 2>&1 || cannot "pip install -r no-deps.txt failed, see $folder/venv.log"
  cat "$here/requirements.txt" "$here/no-deps.txt" >"$venv/installed.txt"
fi

result=0
for suite in test_interop test_object test_tensors test_migrations test_stores test_orbax; do
  PYTHONDONTWRITEBYTECODE=1 TQDM_DISABLE=1 "$venv/bin/python" "$here/$suite.py" "$ckptree" "$folder"
  status=$?
  [ $status -eq 77 ] && cannot "no /dev/fuse"
  [ $status -ne 0 ] && result=$status
done
exit $result
