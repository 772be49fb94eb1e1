#!/bin/sh
# SPDX-License-Identifier: MIT
# vldistill-basic.sh -- sets with equal bytes at any -j, from pipes and files; what is in them and in the log.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_text pairs.tar.zst emb.tar.zst 32
for seed in 0 1; do
    vltrain-expert -q --seed $seed --size 16 --model convnet:4x1 --embed-dim 8 --batch 4 -n 2 -e 3 \
        -o experts$seed.tar.zst pairs.tar.zst emb.tar.zst
done
real='--real pairs.tar.zst --real emb.tar.zst'
# Experts of both shards, starts 0 and 1, a batch that leaves a remainder.
small="--pairs 7 --batch 3 --inner-steps 4 --warm-steps 3 --iterations 20 --start-max 2 --expert-epochs 2 $real"
both='experts0.tar.zst experts1.tar.zst'

# shellcheck disable=SC2086
{
    for j in 1 2 3; do
        run 0 vldistill -j$j $small -o j$j.tar.zst $both
        out_is ''
        err_like '^vldistill: 20 iterations in [0-9.]+ s, [0-9.]+ s each, [0-9]+ GFLOP/s; match [0-9.]+ image, [0-9.]+ text; rates [0-9.]+, [0-9.]+$'
    done
    same j1.tar.zst j2.tar.zst
    same j1.tar.zst j3.tar.zst

    # Standard input and output; the real shards in any order.
    run 0 sh -c "vldistill -q $small experts0.tar.zst - <experts1.tar.zst"
    same j1.tar.zst "$OUT"
    err_is ''
    run 0 sh -c "cat pairs.tar.zst emb.tar.zst | vldistill -q ${small%$real} --real - $both | cat"
    no 'parents differ, when pairs and embeddings come as one shard' cmp -s j1.tar.zst "$OUT"
    run 0 sh -c "vltrain-expert -q --size 16 --model convnet:4x1 --embed-dim 8 --batch 4 -n 2 -e 3 pairs.tar.zst emb.tar.zst |
        vldistill -q $small - experts1.tar.zst"
    same j1.tar.zst "$OUT"

    # What changes the set, and what does not.
    for how in '--gradient tesla' '--seed 1' '--step-image 0.01' '--step-text 0.1' '--step-rates 0' '--rate-image 0.1'; do
        run 0 vldistill -q $small $how -o other.tar.zst $both
        no "$how: other bytes" cmp -s j1.tar.zst other.tar.zst
    done
    run 0 vldistill $small --log-cosine 8 --run-log log --progress always -o other.tar.zst $both
    same j1.tar.zst other.tar.zst
}

# The cosine and the log.
ok 'three cosines are said' test "$(grep -cE '^vldistill: iteration (0|8|16): cosine between exact and tesla gradient -?[01]\.[0-9]{4}$' "$ERR")" -eq 3
ok 'a line an iteration' test "$(grep -c '^{"event": "iteration", ' log)" -eq 20
ok 'three cosines are logged' test "$(grep -c '"cosine": ' log)" -eq 3
run 0 python3 -c 'import json
lines = [json.loads(l) for l in open("log")]
it = [l for l in lines if l["event"] == "iteration"]
assert [l["iteration"] for l in it] == list(range(20))
assert {l["expert"] for l in it} == {0, 1, 2, 3} and {l["start"] for l in it} == {0, 1}
for l in it:
    assert ("cosine" in l) == (l["iteration"] % 8 == 0)
    for k in "match_image match_text loss_first_nats loss_last_nats rate_image rate_text".split():
        assert l[k] > 0, (k, l)'

# What is in it.
run 0 vlls --check j1.tar.zst
out_like 'j1\.tar\.zst	ok	distilled	segments=1 records=8 '
run 0 vlls --manifest j1.tar.zst
out_like '"gradient":"exact"'
out_like '"expert_epochs":2'
run 0 vlls j1.tar.zst
cut -f1 "$OUT" >keys
printf '%s\n' set syn-00000 syn-00001 syn-00002 syn-00003 syn-00004 syn-00005 syn-00006 >want
same want keys
mkdir out
zstd -dcq j1.tar.zst | tar -xf - -C out
ok 'stock sums' sh -c 'cd out && cat __vl__/.sums.* | xxhsum -c -q -'
ok 'counts in the set' grep -qE '"diverged":0.*"iterations":20' out/set.json
ok 'starting pairs are real keys, each once' sh -c 'sed "s/.*\"init\":\"\([^\"]*\)\".*/\1/" out/syn-*.json | sort -u | wc -l | grep -qx " *7"'
cut -f2 pairs.tsv >captions
for i in 0 3 6; do
    ok "syn-0000$i: a real caption" grep -qxF "$(cat out/syn-0000$i.txt)" captions
done
ok 'parents: both experts, pairs, embeddings' test "$(grep -oE '"kind":"(trajectory|pairs|embeddings)"' out/__vl__/.tail.*.json | sort | uniq -c | awk '{ print $1 }' | tr '\n' ' ')" = '1 1 2 '
if /usr/bin/python3 -c 'import numpy' 2>/dev/null; then
    run 0 /usr/bin/python3 -c 'import numpy
for p in "set.rates", "syn-00006.pixels", "syn-00006.text":
    a = numpy.load("out/" + p + ".npy"); print(a.dtype, a.shape)'
    out_is 'float64 (2,)
float32 (3, 16, 16)
float32 (32,)'
fi

# vleval takes it.
# shellcheck disable=SC2086
run 0 vleval --epochs 2 --full-epochs 1 --draws 1 --students 1 --train pairs.tar.zst --train emb.tar.zst \
    --val pairs.tar.zst --val emb.tar.zst --test pairs.tar.zst --test emb.tar.zst j1.tar.zst
out_like '^distilled-7	7	'

# Where the rates are too high, some iterations diverge and cut them.
# shellcheck disable=SC2086
run 0 vldistill -v $small --rate-image 3000 --iterations 60 -o cut.tar.zst $both
err_like '^vldistill: iteration [0-9]+: the inner training diverged; its rates are cut to [0-9.e+]+ and [0-9.]+$'
err_like '^vldistill: [0-9]+ iterations diverged, and only cut the rates$'
run 0 vlls --check cut.tar.zst
