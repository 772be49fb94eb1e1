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
readfile() { "$PY" "$TOP/spec/readshard/readfile.py" "$@"; }

# what vlls says of records, segments and the shard, from the lines of readshard
records() { grep '^{"bytes":' || :; }
segments() { grep '^{"file":' || :; }
shard() { sed -n 's/^{"content_id":"\([0-9a-f]*\)",.*"file_bytes":\([0-9]*\),"frames":\([0-9]*\),"raw_bytes":\([0-9]*\),"records":\([0-9]*\),"segments":\([0-9]*\)}$/segments=\6 records=\5 frames=\3 raw_bytes=\4 file_bytes=\2 \1/p'; }
check() { vlls --check "$1" | cut -f 4- | tr '\t' ' '; }

agree() { # FILE: both readers, from a file and from a pipe
    vlls --json "$1" >vlls.records
    vlls --json --manifest "$1" >vlls.segments
    check "$1" >vlls.shard
    run 0 readfile "$1"
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

# both readers over a folder of files: the same records until something fails, the same shards whole
both() { # FOLDER
    vlls --json "$1"/* >vlls.lines 2>vlls.err || :
    readfile "$1"/* >our.lines 2>our.err || :
    records <our.lines >our.records
    same vlls.lines our.records
    { vlls --check "$1"/* 2>/dev/null || :; } | sed -n 's/\tok\t.*//p' | sort >vlls.whole
    sed -n 's/^{"content_id":.*"file":"\([^"]*\)".*/\1/p' our.lines | sort >our.whole
    same vlls.whole our.whole
    ok "$1: as many refused by both" test "$(wc -l <vlls.err)" -eq "$(wc -l <our.err)"
}

# ---- the reader is one a person reads in a sitting ----
ok 'readshard.py has under 300 lines' test "$(wc -l <"$TOP/spec/readshard/readshard.py")" -lt 300
run 1 grep -n '^.\{100\}' "$TOP"/spec/readshard/*.py
out_is ''

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

# ---- arrays: a tensor is the same as .vlt and as .npy, and as NumPy reads it ----
run 0 vlcat -q --plain -o t.npy.tar.zst t.tar.zst
arrays() { readfile --tensors "$1" | sed -n 's/\.vlt"/.npy"/g; s/.*"key":\("[^"]*"\).*"tensors":/\1 /p'; }
arrays t.tar.zst >vlt.lines
arrays t.npy.tar.zst >npy.lines
same vlt.lines npy.lines
ok 'six snapshots' test "$(grep -c '^"expert-000[01]/snap-000[0-2]" {".*\["<f4",\[[0-9,]*\],"[0-9a-f]\{64\}"\]' vlt.lines)" -eq 6
arrays d.tar.zst >d.lines
if "$PY" -c 'import numpy' 2>/dev/null; then
    mkdir x
    zstd -dcq d.tar.zst | tar -xf - -C x
    "$PY" -c '
import hashlib, json, numpy, sys
n = 0
for line in open("d.lines"):
    key, arrays = line.rstrip().split(" ", 1)
    for ext, (dtype, shape, sha) in json.loads(arrays[:-1]).items():
        a = numpy.load("x/%s.%s" % (json.loads(key), ext))
        assert (a.dtype.str, list(a.shape), hashlib.sha256(a.tobytes()).hexdigest()) == (dtype, shape, sha), ext
        n += 1
print(n)' >"$OUT"
    ok 'NumPy reads the same arrays' test "$(cat "$OUT")" -ge 9
fi
run 0 vlcat -q --key 'expert-0000/*' -o key.tar.zst t.tar.zst
run 0 readfile --tensors key.tar.zst
run 0 mk_shard gap.tar.zst -n 1 -k trajectory
"$PY" - t.tar.zst >gap.tar.zst <<'END'
import sys
sys.path.insert(0, sys.argv[0] and "%s/spec/readshard" % __import__("os").environ["TOP"])
from readfile import walk_tables
with open(sys.argv[1], "rb") as f:
    whole = f.read()
starts = sorted(walk_tables(whole)) + [len(whole)]
sys.stdout.buffer.write(whole[:starts[1]] + whole[starts[2]:])      # without the second snapshot
END
run 0 readshard gap.tar.zst
run 1 readfile --tensors gap.tar.zst
err_like "^readshard: gap.tar.zst: record 'expert-0000/snap-0002': [a-z0-9.]+.vlt: .vlt whose reference"

# ---- damage: cuts and flipped bits ----
run 0 mk_shard two.tar.zst -n 3 -s 2 -b 100
run 0 vlcat -q -o two.tar two.tar.zst
for f in two.tar.zst two.tar; do
    "$PY" "$TOP/tests/data/damage.py" $f cut-$f 40 150
    both cut-$f
    ok 'few are whole' test "$(wc -l <our.whole)" -le 9
done
for f in d.tar.zst t.tar cat.tar.zst; do
    "$PY" "$TOP/tests/data/damage.py" $f cut-$f 8 16
    both cut-$f
done
: >vlls.pipe
: >our.pipe
for f in cut-two.tar.zst/*[05]0-* cut-two.tar/*[05]0-* cut-two.tar/cut-*00; do # as pipes
    { cat "$f" | vlls --json - 2>/dev/null || echo refused; } >>vlls.pipe
    { cat "$f" | readshard - 2>/dev/null || echo refused; } |
        grep '^refused$\|^{"bytes":' >>our.pipe
done
same vlls.pipe our.pipe
ok 'pipes were refused' test "$(grep -c refused our.pipe)" -ge 5

# ---- what agrees with its sums and breaks one rule each ----
run 0 "$PY" "$TOP/tests/data/mk_odd.py" odd
both odd/good
ok 'all good ones are read' test "$(wc -l <our.whole)" -eq "$(ls odd/good | wc -l)"
both odd/bad
ok 'no bad one is read' test ! -s our.whole
ok 'each has one line' test "$(wc -l <our.err)" -eq "$(ls odd/bad | wc -l)"
