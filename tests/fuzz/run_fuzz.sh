#!/bin/sh
# run_fuzz.sh TARGET CORPUS: a short run of one fuzz target. CKPTREE_FUZZ_SECONDS says how short.
set -eu
found=$(mktemp -d "${TMPDIR:-/var/tmp}/ckptree-fuzz-XXXXXX")
trap 'rm -rf "$found"' EXIT
# -rss_limit_mb: memory is bounded whatever a file claims. -timeout: so is time, per input, in seconds.
# A crash prints its input in base64: keep it as a file in the corpus.
"$1" -max_total_time="${CKPTREE_FUZZ_SECONDS:-20}" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
  -artifact_prefix="$found/" "$found" "$2"
