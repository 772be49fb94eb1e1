#!/bin/sh
# SPDX-License-Identifier: MIT
# vltrain-expert-basic.sh -- trajectories with equal bytes at any -j, in pipes and files; what is in them.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

python3 "$TOP/tests/data/make_pairs.py" 8 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_text pairs.tar.zst emb.tar.zst 32
small='--size 16 --model convnet:4x1 --embed-dim 8 --batch 4'

# 5 experts: on 2 threads two rounds of two and one with both threads inside it; on 3 one round of
# three and two such experts; on 7 all experts have all threads inside them.
# shellcheck disable=SC2086
for j in 1 2 3 7; do
    run 0 vltrain-expert -j$j $small -n 5 -e 3 -o j$j.tar.zst pairs.tar.zst emb.tar.zst
    err_like '^vltrain-expert: 5 experts of 3 epochs in [0-9.]+ s: [0-9]+ images/s, [0-9.]+ GFLOP/s$'
done
same j1.tar.zst j2.tar.zst
same j1.tar.zst j3.tar.zst
same j1.tar.zst j7.tar.zst

# Views, momentum and a network of three blocks with a batch that leaves a remainder.
other='--size 20 --model convnet:6x3 --embed-dim 5 --batch 3 --momentum 0.9 --weight-decay 0.001 --augment flip+shift2'
for j in 1 2 3; do
    # shellcheck disable=SC2086
    run 0 vltrain-expert -q -j$j $other -n 3 -e 2 -o o$j.tar.zst pairs.tar.zst emb.tar.zst
    err_is ''
done
same o1.tar.zst o2.tar.zst
same o1.tar.zst o3.tar.zst

# Files and pipes, the operands in any order.
# shellcheck disable=SC2086
{
    run 0 vltrain-expert -j2 $small -n 5 -e 3 emb.tar.zst pairs.tar.zst
    same j1.tar.zst "$OUT"
    run 0 sh -c "vltrain-expert -j2 $small -n 5 -e 3 pairs.tar.zst - <emb.tar.zst | cat"
    same j1.tar.zst "$OUT"
    run 0 vltrain-expert $small -n 5 -e 3 --seed 1 -o seed.tar.zst pairs.tar.zst emb.tar.zst
    no 'another seed, other bytes' cmp -s j1.tar.zst seed.tar.zst
    run 0 vltrain-expert $small -n 2 -e 1 -o two.tar.zst pairs.tar.zst emb.tar.zst
}

# What is in it.
run 0 vlls --check j1.tar.zst
out_like 'trajectory.*segments=20 records=20'
run 0 vlls j1.tar.zst
ok 'keys in the order of the experts' sh -c 'cut -f1 "$1" | sort -c' - "$OUT"
ok '4 snapshots each' test "$(grep -c '^expert-0004/' "$OUT")" -eq 4
mkdir out two
zstd -dcq j1.tar.zst | tar -xf - -C out
zstd -dcq two.tar.zst | tar -xf - -C two
ok 'stock sums' sh -c 'cd out && cat __vl__/.sums.* | xxhsum -c -q -'
ok 'a second decoder expands the differences' python3 "$TOP/tests/data/vlt_expand.py" out
ok 'and those' python3 "$TOP/tests/data/vlt_expand.py" two
ok 'an expert does not depend on how many there are' cmp out/expert-0001/snap-0001.image.conv1.weight.npy \
    two/expert-0001/snap-0001.image.conv1.weight.npy
no 'experts differ' cmp -s out/expert-0000/snap-0000.image.conv1.weight.npy \
    out/expert-0001/snap-0000.image.conv1.weight.npy
no 'weights move' cmp -s out/expert-0000/snap-0000.image.conv1.weight.npy \
    out/expert-0000/snap-0001.image.conv1.weight.npy
ok 'the first snapshot has no loss' grep -qx '{"epoch":0,"loss":null,"rates":\[.*\]}' out/expert-0003/snap-0000.json
ok 'later ones have' grep -qEx '\{"epoch":3,"loss":[0-9.]+,"rates":\[.*\]\}' out/expert-0003/snap-0003.json
ok 'the tail names both parents' test "$(grep -o '"kind":"[a-z]*"' out/__vl__/.tail.*.json | sort | uniq -c |
    grep -cE '20 .*(pairs|embeddings)|"kind":"(pairs|embeddings)"')" -ge 2
if /usr/bin/python3 -c 'import numpy' 2>/dev/null; then
    run 0 /usr/bin/python3 -c 'import numpy, sys
for p in sys.argv[1:]: a = numpy.load(p); print(a.dtype, a.shape)' \
        out/expert-0000/snap-0003.image.conv1.weight.npy out/expert-0000/snap-0003.text.head.weight.npy
    out_is 'float32 (3, 3, 4, 4)
float32 (32, 8)'
fi

# Validation and the log: a line an epoch.
# shellcheck disable=SC2086
run 0 vltrain-expert -j2 $small -n 3 -e 2 --val pairs.tar.zst --val emb.tar.zst --run-log log pairs.tar.zst emb.tar.zst
err_like '^vltrain-expert: expert 2, epoch 2: loss [0-9.]+ nats, validation recall [0-9.]+ %$'
ok 'six lines' test "$(grep -c 'validation recall' "$ERR")" -eq 6
ok 'and in the log' test "$(grep -cE '^\{"event": "epoch", .*"val_mean_recall_percent": [0-9.]+\}$' log)" -eq 6
cp "$OUT" with-val
# shellcheck disable=SC2086
run 0 vltrain-expert -j2 $small -n 3 -e 2 pairs.tar.zst emb.tar.zst
same with-val "$OUT"
