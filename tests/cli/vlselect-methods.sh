#!/bin/bash
# SPDX-License-Identifier: MIT
# vlselect-methods.sh -- each method end to end: same bytes at any -j, its line in the manifest, its list; what is
# missing is named.
. "$(dirname "$0")/lib.sh"

python3 "$TOP/tests/data/make_pairs.py" 60 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
vlembed -q --text-model hash12 --image-model convnet:8x2#seed=1 --size 16 --embed-dim 12 -o emb.tar.zst pairs.tar.zst
keys() { vlls "$1" | cut -f 1; }

for m in herding k-center k-means density cosine; do
    run 0 vlselect -j1 -n 9 --method $m --list $m.tsv -o $m.tar.zst pairs.tar.zst emb.tar.zst
    err_is 'vlselect: 9 of 60 records kept'
    run 0 vlselect -j4 -q -n 9 --method $m -o four.tar.zst pairs.tar.zst emb.tar.zst
    same $m.tar.zst four.tar.zst
    run 0 bash -c "cat pairs.tar.zst emb.tar.zst | vlselect -q -n 9 --method $m - | vlls | cut -f 1 | sort -u"
    cut -f 2 $m.tsv | sort >want
    same want "$OUT"
    run 0 vlls --manifest $m.tar.zst
    out_like "\"method\":\"$m\",\"n\":9,\"seed\":0"
    run 0 vlselect -q -n 60 --method $m -o all.tar.zst emb.tar.zst
    keys emb.tar.zst >want
    keys all.tar.zst >got
    same want got
    run 0 vlselect -q -n 1 --method $m -o one.tar.zst emb.tar.zst
    ok 'one record' test "$(keys one.tar.zst | wc -l)" -eq 1
    # the command line that the manifest tells gives the same bytes
    run 0 vlls --recipe $m.tar.zst
    grep '^vlselect' "$OUT" | tail -n 1 | sed 's/ [0-9a-f]\{64\}//g' >again
    run 0 bash -c "$(cat again) -q -o again.tar.zst pairs.tar.zst emb.tar.zst"
    same $m.tar.zst again.tar.zst
done
for m in herding k-means density; do
    no "$m is not k-center" cmp -s $m.tsv k-center.tsv
done
for m in herding k-center k-means density; do
    for joint in image text sum concat; do
        run 0 vlselect -q -n 9 --method $m --joint $joint --list $joint.tsv -o j.tar.zst pairs.tar.zst emb.tar.zst
        ok "$m, $joint: nine records" test "$(wc -l <$joint.tsv)" -eq 9
        run 0 vlls --manifest j.tar.zst
        out_like "\"joint\":\"$joint\",\"method\":\"$m\""
    done
    no "$m: what is looked at decides" cmp -s image.tsv text.tsv
    no "$m: a sum is not both behind one another" cmp -s sum.tsv concat.tsv
    same sum.tsv $m.tsv
done
run 0 vlselect -q -n 9 --method density --clusters 3 --list d3.tsv -o d3.tar.zst emb.tar.zst
no 'other clusters, other records' cmp -s d3.tsv density.tsv
run 0 vlls --manifest d3.tar.zst
out_like '"clusters":3,"image":"convnet-8x2-seed1.img.npy","joint":"sum","method":"density"'

# cosine: the list is in order and its scores are NumPy's; most, least, all that reach a bound
run 0 vlselect -q -n 60 --method cosine --list all.tsv -o all.tar.zst emb.tar.zst
mkdir x
zstd -dcq emb.tar.zst | tar -xf - -C x
cat >cosine.py <<'PY'
import math, struct, sys
def mean(name): # of the rows of an f32 array [n,12]
    b = open(name, "rb").read()
    v = struct.unpack_from("<%df" % ((len(b) - 10 - b[8] - 256 * b[9]) // 4), b, 10 + b[8] + 256 * b[9])
    return [sum(v[k::12]) for k in range(12)]
def dot(a, b):
    return sum(p * q for p, q in zip(a, b))
for line in open(sys.argv[1]):
    epoch, key, score = line.rstrip("\n").split("\t")
    u, v = (mean("x/%s.%s.npy" % (key, m)) for m in sys.argv[2:])
    c = dot(u, v) / math.sqrt(dot(u, u) * dot(v, v))
    assert epoch == "0" and abs(c - float(score)) < 1e-6, (key, c, score)
PY
ok 'scores are cosines' python3 cosine.py all.tsv convnet-8x2-seed1.img hash12.txt
cut -f 2 all.tsv >got
keys emb.tar.zst >want
same want got
sort -t "$(printf '\t')" -k 3,3gr all.tsv | head -n 9 | cut -f 2 | sort >want
cut -f 2 cosine.tsv | sort >got
same want got
run 0 vlselect -q -n 9 --method cosine --keep least --list least.tsv -o least.tar.zst emb.tar.zst
sort -t "$(printf '\t')" -k 3,3g all.tsv | head -n 9 | cut -f 2 | sort >want
cut -f 2 least.tsv | sort >got
same want got
awk '$3 >= 0.01' all.tsv >want
run 0 vlselect --method cosine --threshold 0.01 --list got -o t.tar.zst emb.tar.zst
same want got
err_is "vlselect: $(wc -l <want) of 60 records kept"
run 0 vlls --manifest t.tar.zst
out_like '"keep":"most","method":"cosine","text":"hash12.txt.npy","threshold":0.01'
run 1 vlselect --method cosine --threshold 2 -o no.tar.zst emb.tar.zst
err_like '^vlselect: no score is 2 or more, the greatest is 0\.[0-9]*$'
absent 'no.tar.zst*'

# rs2: epochs of a pass have no record in common; the shard holds what any of the epochs uses
run 0 vlselect -q --method rs2 -n 20 --epochs 3 --list epochs.tsv -o e.tar.zst pairs.tar.zst
ok 'twenty an epoch' test "$(cut -f 1 epochs.tsv | uniq -c | tr -s ' \n' ' ')" = ' 20 0 20 1 20 2 '
ok 'none twice in a pass' test "$(cut -f 2 epochs.tsv | sort -u | wc -l)" -eq 60
for i in 0 1 2 3; do
    run 0 vlselect -q --method rs2 -n 20 --epoch $i --list "e$i.tsv" -o "e$i.tar.zst" pairs.tar.zst
    keys "e$i.tar.zst" >got
    cut -f 2 "e$i.tsv" >want
    same want got
done
cat e0.tsv e1.tsv e2.tsv >want
same want epochs.tsv
no 'the next pass is another one' cmp -s e0.tar.zst e3.tar.zst
run 0 vlselect -q --method random -n 20 -o r.tar.zst pairs.tar.zst
keys r.tar.zst >got
keys e0.tar.zst >want
same want got
run 0 vlls --manifest e3.tar.zst
out_like '"epoch":3,"epochs":1,"method":"rs2","n":20,"seed":0'

# missing inputs and wrong command lines
bad() {
    message=$1
    shift
    run 1 vlselect -n 3 -o out.tar.zst --list out.tsv "$@"
    err_is "vlselect: $message"
    absent 'out.*'
}
bad 'no image embeddings (*.img.npy) in any shard' --method cosine pairs.tar.zst
bad 'no image embeddings (*.img.npy) in any shard' --method density pairs.tar.zst
vlembed -q -o text.tar.zst pairs.tar.zst
bad 'no image embeddings (*.img.npy) in any shard' --method cosine pairs.tar.zst text.tar.zst
vlembed -q --text-model none --image-model convnet:8x2#seed=1 --size 16 --embed-dim 5 -o img5.tar.zst pairs.tar.zst
bad "img5.tar.zst: record '$(keys pairs.tar.zst | head -n 1)': no cosine of convnet-8x2-seed1.img.npy with 5 dimensions and hash768.txt.npy with 768" \
    --method cosine pairs.tar.zst text.tar.zst img5.tar.zst
bad 'no scores (forgetting.score.npy) in any shard' --method forgetting pairs.tar.zst emb.tar.zst
bad 'no scores (x.npy) in any shard' --method score --score x.npy pairs.tar.zst
bad 'pairs.tar.zst: 61 records asked for, there are 60' --method rs2 -n 61 pairs.tar.zst
run 1 vlselect -q -n 3 --list /nowhere/x -o out.tar.zst pairs.tar.zst
err_like '^vlselect: /nowhere/x: '
absent 'out.*'
misuse() {
    message=$1
    shift
    run 2 vlselect -o out.tar.zst "$@" pairs.tar.zst
    err_is "vlselect: $message
try 'vlselect --help'"
    absent 'out.*'
}
misuse '--joint: --method cosine looks at no features' -n 3 --method cosine --joint sum
misuse '--clusters: --method k-means has none' -n 3 --method k-means --clusters 3
misuse '--keep, --threshold: --method random has no scores' --threshold 0.5
misuse '--score: --method cosine reads no scores' -n 3 --method cosine --score x.npy
misuse '--score EXT must be given: the member with the score' -n 3 --method score
misuse '--epoch, --epochs: --method random keeps the same records in each' -n 3 --epochs 2
misuse '-n N must be given: how many records to keep' --method cosine
misuse '-n and --threshold: one of them says how many records are kept' --method cosine -n 3 --threshold 0
run 2 vlselect -n 3 --list - pairs.tar.zst
