#!/bin/sh
# Commits on a real disk: kill -9, a full disk, an I/O error. Each leaves the old checkpoint or the new one, whole, and
# nothing beside it once it was swept. Speaks TAP. Arguments: the programs `committer` and `make_sample`.
set -u
committer=$(realpath "$1") make_sample=$(realpath "$2")
work=$(mktemp -d ./crash-XXXXXX) || exit 99
work=$(realpath "$work")
mounted=
trap 'test -z "$mounted" || umount "$mounted"; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
model=$work/model.pt
tests=0

# report STATUS SENTENCE
report() {
  tests=$((tests + 1))
  if [ "$1" -eq 0 ]; then echo "ok $tests - $2"; else echo "not ok $tests - $2"; fi
}
skip() {
  tests=$((tests + 1))
  echo "ok $tests - $1 # SKIP $2"
}
note() { sed 's/^/# /'; }

temporaries() { find "$(dirname "$model")" -name '.model.pt.ckptree-*' | wc -l; }

# intact NUMBER...: the checkpoint is whole, holds one of the numbers, and nothing is left beside it after a sweep
intact() {
  number=$("$committer" "$model" check 2>"$work/said") || { note <"$work/said"; return 1; }
  "$committer" "$model" sweep >/dev/null || return 1
  [ "$(temporaries)" -eq 0 ] || { echo "# not swept: $(temporaries)"; return 1; }
  for expected; do [ "$number" -eq "$expected" ] && return 0; done
  echo "# holds number $number, expected one of: $*"
  return 1
}

# refused SENTENCE COMMAND...: the command fails, saying so; number 0 is still there, and no temporary, unswept
refused() {
  sentence=$1
  shift
  if "$@" >"$work/out" 2>"$work/said"; then echo "# did not fail"; return 1; fi
  grep -q "$sentence" "$work/said" || { note <"$work/said"; return 1; }
  [ "$(temporaries)" -eq 0 ] || { echo "# left a temporary"; return 1; }
  intact 0
}

# --- kill -9 at any time ---------------------------------------------------------------------------------------------
# kill_often TIMES CHECK...: what was reported is there; the one after it may be. CHECK is one more look each time.
kill_often() {
  times=$1 status=0 left=0 kills=0 last=0
  shift
  while [ $kills -lt "$times" ]; do
    kills=$((kills + 1))
    timeout --foreground -s KILL "0.0$((10 + kills))" "$committer" "$model" commit >"$work/out" 2>"$work/said"
    reported=$(tail -n 1 "$work/out")
    last=${reported:-$last}
    left=$((left + $(temporaries)))
    intact "$last" $((last + 1)) && "$@" || status=1
    last=$number
  done
}

"$committer" "$model" make 300000
kill_often 40 true
report $status "a process killed while it commits leaves the checkpoint old or new ($kills kills, $last commits)"
[ $left -gt 0 ]
report $? "what killed processes left beside it was swept ($left files)"

"$make_sample" "$model" --bytes 300000
whole() { unzip -tqq "$model" >"$work/said" 2>&1 || { note <"$work/said"; return 1; }; }
kill_often 20 whole
report $status "so it does with a checkpoint of torch, which unzip finds whole each time ($kills kills, $last commits)"

# --- readers ---------------------------------------------------------------------------------------------------------
"$committer" "$model" make 300000
"$committer" "$model" commit >"$work/out" 2>"$work/said" &
writer=$!
status=0 before=0 reads=0
while [ $reads -lt 100 ]; do
  reads=$((reads + 1))
  now=$("$committer" "$model" check) || { status=1; break; }
  [ "$now" -ge "$before" ] || status=1
  before=$now
done
kill -9 $writer
wait $writer 2>/dev/null
report $status "a reader beside commits finds a whole checkpoint, never an older one than before ($reads times)"
intact "$before" $(seq "$before" $((before + 50)))
report $? "and the next mount sweeps what the killed writer left"

# --- a full disk -----------------------------------------------------------------------------------------------------
# A limit on file sizes needs no privilege: EFBIG.
"$committer" "$model" make 300000
limited() (ulimit -f 200 && exec "$committer" "$model" commit 1)
refused 'File too large' limited
report $? "a commit over the limit of file sizes fails with EFBIG, and the old checkpoint stays"

mkdir "$work/small"
if mount -t tmpfs -o size=512k none "$work/small" 2>/dev/null; then
  mounted=$work/small
  model=$work/small/model.pt
  "$committer" "$model" make 300000
  refused 'the commit stopped at .*nothing has changed.*No space left on device' "$committer" "$model" commit 1
  report $? "a commit on a full disk fails with ENOSPC, and the old checkpoint stays"
  "$committer" "$model" make 100000
  "$committer" "$model" commit 3 >/dev/null && intact 3
  report $? "and where there is room again the next one succeeds"
  model=$work/model.pt
  umount "$mounted" && mounted=
else
  skip "a commit on a full disk fails with ENOSPC" "no permission to mount a small filesystem; see the injected ENOSPC"
fi

# --- errors and kills at every system call ---------------------------------------------------------------------------
if ! strace -o /dev/null true 2>/dev/null; then
  skip "system calls that fail" "strace is not installed, or may not trace here"
else
  # inject CALL:WHAT: one commit, during which the kernel answers so
  inject() { strace -f -o "$work/trace" -e trace="${1%%:*}" -e inject="$1" "$committer" "$model" commit 1; }

  while read -r injection sentence; do
    "$committer" "$model" make 300000
    refused "$sentence" inject "$injection"
    report $? "$injection fails the commit and leaves the old checkpoint"
  done <<'END'
fsync:error=EIO:when=1 model.pt: the commit stopped at syncing the new file, nothing has changed.*Input/output error
/^rename:error=EIO:when=1 model.pt: the commit stopped at renaming the new file into place, nothing has changed
pwrite64:error=ENOSPC:when=1 No space left on device
pwrite64:error=EDQUOT:when=2 Disk quota exceeded
pwrite64:error=EIO:when=2 Input/output error
ftruncate:error=EIO:when=1 model.pt: the commit stopped at copying the checkpoint
ftruncate:error=EFBIG:when=2 model.pt: the commit stopped at setting the size
fchmod:error=EPERM:when=1 model.pt: the commit stopped at keeping owner, mode and attributes
flock:error=ENOLCK:when=1 No locks available
END

  "$committer" "$model" make 300000
  inject copy_file_range:error=EXDEV 2>/dev/null >"$work/out"
  intact 1
  report $? "a filesystem whose files cannot be copied in the kernel is copied through memory"

  "$committer" "$model" make 300000
  inject fsync:error=EIO:when=2 >"$work/out" 2>"$work/said"
  status=$?
  grep -q 'in place but a power loss may undo it' "$work/said" && [ $status -ne 0 ] && intact 1
  report $? "a directory that cannot be synced is told, with the new checkpoint in place"

  # strace counts each system call by itself. rename is renameat on some architectures.
  status=0 kills=0 old=0 new=0
  for call in openat ioctl flock lseek copy_file_range ftruncate pwrite64 fchmod flistxattr fsync /^rename close; do
    "$committer" "$model" make 300000
    strace -f -o "$work/trace" -e trace="$call" "$committer" "$model" commit 1 >/dev/null
    all=$(grep -c "${call#/^}.*(" "$work/trace") at=0
    while [ $at -lt "$all" ]; do
      at=$((at + 1)) kills=$((kills + 1))
      "$committer" "$model" make 300000
      inject "$call:signal=KILL:when=$at" >/dev/null 2>&1
      intact 0 1 || { echo "# killed at $call number $at"; status=1; }
      [ "$number" -eq 0 ] && old=$((old + 1)) || new=$((new + 1))
    done
  done
  [ $old -gt 10 ] && [ $new -gt 0 ] || status=1
  report $status "a process killed at any system call of a commit leaves the checkpoint old or new ($old old, $new new)"
fi

echo "1..$tests"
