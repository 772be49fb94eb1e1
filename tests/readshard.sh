#!/bin/sh
# SPDX-License-Identifier: MIT
# readshard.sh -- vlls and the second reader (spec/readshard) hold the same of good shards, and refuse the same bad ones.
. "$(dirname "$0")/cli/lib.sh"
PY=/usr/bin/python3
"$PY" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || skip 'no Python 3.8'
PATH=$PATH:${BIN%/bin}/tests
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
readshard() { "$PY" "$TOP/spec/readshard/readshard.py" "$@"; }

# what vlls says of records, segments and the shard, from the lines of readshard
records() { sed -n 's/^\({"bytes":.*\),"sums":{[^}]*}.*}$/\1}/p'; }
segments() { grep '^{"file":' || :; }
shard() { sed -n 's/^{"content_id":"\([0-9a-f]*\)",.*"file_bytes":\([0-9]*\),"frames":\([0-9]*\),"raw_bytes":\([0-9]*\),"records":\([0-9]*\),"segments":\([0-9]*\)}$/segments=\6 records=\5 frames=\3 raw_bytes=\4 file_bytes=\2 \1/p'; }
check() { vlls --check "$1" | cut -f 4- | tr '\t' ' '; }

agree() { # FILE: both readers, from a file and from a pipe
    vlls --json "$1" >vlls.records
    vlls --json --manifest "$1" >vlls.segments
    check "$1" >vlls.shard
    run 0 readshard "$1"
    records <"$OUT" >our.records
    segments <"$OUT" >our.segments
    shard <"$OUT" >our.shard
    same vlls.records our.records
    same vlls.segments our.segments
    same vlls.shard our.shard
    ok "$1: a segment or more" test -s our.shard
    cp "$OUT" file.lines
    run 0 sh -c 'cat "$1" | "$2" "$3" -' - "$1" "$PY" "$TOP/spec/readshard/readshard.py"
    sed "s|\"file\":\"-\"|\"file\":\"$1\"|" "$OUT" >pipe.lines
    same file.lines pipe.lines
}

# ---- good shards of all kinds ----
"$PY" "$TOP/tests/data/make_pairs.py" 8 >pairs.tsv
run 0 vlpack -q -o pairs.tar.zst pairs.tsv
run 0 vlembed -q --text-model hash:32 -o emb.tar.zst pairs.tar.zst
run 0 vltrain-expert -q -n 2 -e 2 --size 16 --model convnet:4x1 --embed-dim 8 --batch 4 -o t.tar.zst pairs.tar.zst emb.tar.zst
run 0 vldistill -q --pairs 4 --batch 2 --inner-steps 2 --iterations 3 --start-max 1 --expert-epochs 1 \
    --real pairs.tar.zst --real emb.tar.zst -o d.tar.zst t.tar.zst
run 0 vlcat -q --seal -o sealed.tar.zst pairs.tar.zst
cat sealed.tar.zst emb.tar.zst t.tar.zst >cat.tar.zst
run 0 vlcat -q -o pairs.tar pairs.tar.zst
run 0 vlcat -q -o t.tar t.tar.zst
run 0 vlcat -q --seal -o sealed.tar pairs.tar.zst
cat sealed.tar t.tar >cat.tar
zstd -dcq cat.tar.zst >dc.tar
run 0 mk_shard none.tar.zst -n 0
long=$(printf "l%.0s" $(seq 1 140))
run 0 mk_shard long.tar.zst -n 3 -s 2 -b 700000 -p "ordner/ä-$long"
zstd -dcq none.tar.zst >none.tar
for f in pairs emb t d sealed cat none long; do agree $f.tar.zst; done
for f in pairs t sealed cat dc none; do agree $f.tar; done
