#!/bin/sh
# Installs what the build needs, builds, and shows what ckptree does on a checkpoint that it makes for the purpose.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

build=$(pwd)/build-quickstart
install_packages tests/demo-packages.txt
build "$build" -Dtests=false

work=$(mktemp -d "$build/demo-XXXXXX")
finish() {
  status=$?
  mountpoint -q "$work/mnt" && "$build/src/cli/ckptree" umount "$work/mnt"
  rm -rf "$work"
  exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
"$build/tests/sample/make_sample" "$work/model.ckpt"
mkdir "$work/mnt"
PATH=$build/src/cli:$PATH
cd "$work"

bold='' plain=''
[ -t 1 ] && bold=$(printf '\033[1m') plain=$(printf '\033[0m')
say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
# Prints a command and runs it: it has to succeed, or with `refused` to fail.
run() { printf '$ %s\n' "$*"; sh -c "$*"; }
refused() {
  printf '$ %s\n' "$*"
  if sh -c "$*" 2>&1; then echo "this should have been refused" >&2; exit 1; fi
}

say "A checkpoint as torch.save writes it, mounted:"
run "ckptree model.ckpt mnt"
run "ls mnt mnt/arrays"
run "jq -r .config.dataloader.dataset mnt/metadata.json"
run "cat mnt/metadata/config/training/lr"
run "cat mnt/arrays.tsv"

say "An edit of a file is an edit of the checkpoint:"
run "sed -i 's#/old/path#/new/path#' mnt/metadata.json"
run "echo 0.001 > mnt/metadata/config/training/lr"
run "cp mnt/arrays/latitudes.npy mnt/arrays/copy.npy"

say "What would break it is refused, and readers never saw it:"
refused "echo fast > mnt/metadata/config/training/lr"
run "cat mnt/.ckptree/last_error"
run "cat mnt/metadata/config/training/lr"

say "Unmounting tells whether everything was committed:"
# The refused bytes are kept until somebody has looked at them.
run "rm -f mnt/.ckptree/rejected/*"
run "ckptree umount mnt"

say "The checkpoint holds the edits, and everything else is where it was:"
run "ckptree cat model.ckpt metadata/config/dataloader/dataset metadata/config/training/lr"
run "ckptree ls -l model.ckpt arrays"
