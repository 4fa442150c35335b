#!/bin/sh
# A hundred commits, a refused one and a sweep under the address and undefined behaviour sanitizers: exit status as
# expected, no word from them. Argument: the program `committer`, built with them.
set -eu
committer=$(realpath "$1")
work=$(mktemp -d ./sanitizers-XXXXXX)
trap 'rm -rf "$work"' EXIT
export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=print_stacktrace=1
silent() {
  status=0
  "$@" >"$work/out" 2>"$work/said" || status=$?
  [ $status -eq "$expected" ] && ! grep -E 'Sanitizer|runtime error' "$work/said" && return
  echo "$*: exit status $status, expected $expected" >&2
  cat "$work/said" >&2
  exit 1
}
expected=0
silent "$committer" "$work/model.pt" make 200000
silent "$committer" "$work/model.pt" commit 100
silent "$committer" "$work/model.pt" check
[ "$(cat "$work/out")" = 100 ]
ln "$work/model.pt" "$work/other.pt"
expected=1
silent "$committer" "$work/model.pt" commit 1
grep -q 'has 2 hard links' "$work/said"
expected=0
touch "$work/.model.pt.ckptree-commit-1-0"
mkdir -p "$work/.model.pt.ckptree-scratch-1/a/b/c"
silent "$committer" "$work/model.pt" sweep
[ "$(cat "$work/out")" = 2 ]
