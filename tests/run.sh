#!/bin/sh
# Installs what the tests need, builds, and runs them. Arguments go to `meson test`, e.g. --suite unit.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

build=${CKPTREE_BUILD:-build-quickstart}
install_packages tests/demo-packages.txt tests/packages.txt tests/mount/packages.txt
# shellcheck disable=SC2086  # a list of options of meson setup
build "$build" -Dtests=true ${CKPTREE_SETUP:-}

# Python leaves no compiled files in the source tree.
export PYTHONDONTWRITEBYTECODE=1
status=0
meson test -C "$build" --print-errorlogs "${@:---no-suite=interop}" </dev/null || status=$?
# A test that was killed may leave its mount.
top=$(pwd)
while left=$(awk -v top="$top/$build/" 'index($2, top) == 1 { print $2; exit }' /proc/mounts) && [ -n "$left" ]; do
  echo "left mounted: $left" >&2
  status=1
  umount -l "$left" 2>/dev/null || fusermount3 -uz "$left"
done
exit $status
