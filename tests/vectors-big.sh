#!/bin/sh
# SPDX-License-Identifier: MIT
# vectors-big.sh -- the vectors that are too big to commit (make.py --big): a record of 1 GiB, a segment of over 4 GiB,
# 100,000 records. Both readers say the same of them, from files and pipes, and memory follows the largest record
# (vlls) or nothing (readshard.py), not the shard. Minutes; `make check-long` sets BIG=1.
. "$(dirname "$0")/cli/lib.sh"
[ "${BIG:-}" = 1 ] || skip 'BIG=1 is not set (make check-long sets it)'
V=$TOP/spec/vectors
PY=/usr/bin/python3

cat >peak.py <<'END'
import resource, subprocess, sys
rc = subprocess.call(sys.argv[2:], stdin=sys.stdin)
with open(sys.argv[1], "w") as f:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=f)
sys.exit(rc)
END
# reads LIMIT_MIB NAME COMMAND...: exit 0, and its peak stays below
reads() {
    limit=$1
    name=$2
    shift 2
    run 0 "$PY" peak.py peak "$@"
    echo "# $name: $(cat peak) MiB"
    ok "$name: under $limit MiB" test "$(cat peak)" -lt "$limit"
}
# what both say of the whole shard: content id, records, bytes
ours() { awk '{ sub(/.*=/, "", $5); sub(/.*=/, "", $7); print $9, $5, $7 }' "$1"; }
second() { sed -n 's/^{"content_id":"\([0-9a-f]*\)".*"raw_bytes":\([0-9]*\),"records":\([0-9]*\),.*/\1 \3 \2/p' "$1"; }

"$PY" -B "$V/make.py" --big list >names
ok 'three of them' test "$(wc -l <names)" -eq 3
while read -r big; do
    record=0
    case $big in *g) record=1024 ;; esac # MiB of the largest record
    "$PY" -B "$V/make.py" --big "$big" >"$big.tar.zst"
    reads $((record + 128)) "vlls $big" vlls --check "$big.tar.zst"
    ours "$OUT" >want
    ok "$big: a content id" grep -qE '^[0-9a-f]{64} [0-9]+ [0-9]+$' want
    reads $((record + 128)) "vlls $big, a pipe" sh -c 'cat "$1" | vlls --check -' - "$big.tar.zst"
    ours "$OUT" >got
    same want got
    reads 128 "readshard.py $big" "$PY" -B "$TOP/spec/readshard/readshard.py" "$big.tar.zst"
    second "$OUT" >got
    same want got
    vlls --json "$big.tar.zst" >keys
    grep '^{"bytes":' "$OUT" >got
    same keys got
    reads 128 "readfile.py $big" "$PY" -B "$TOP/spec/readshard/readfile.py" "$big.tar.zst"
    second "$OUT" >got
    same want got
    rm "$big.tar.zst"
done <names
