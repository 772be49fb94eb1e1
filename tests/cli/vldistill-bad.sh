#!/bin/sh
# SPDX-License-Identifier: MIT
# vldistill-bad.sh -- command lines that are wrong, shards that do not fit, a training that diverges, a failing
# system: one line, nothing partial.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests

python3 "$TOP/tests/data/make_pairs.py" 8 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_text pairs.tar.zst emb.tar.zst 32
mk_text pairs.tar.zst emb16.tar.zst 16
vltrain-expert -q --size 16 --model convnet:4x1 --embed-dim 8 --batch 4 -n 2 -e 2 -o experts.tar.zst \
    pairs.tar.zst emb.tar.zst
vltrain-expert -q --size 20 --model convnet:4x1 --embed-dim 8 --batch 4 -n 1 -e 2 -o wide.tar.zst \
    pairs.tar.zst emb.tar.zst
real='--real pairs.tar.zst --real emb.tar.zst'
small='--pairs 4 --batch 3 --inner-steps 3 --iterations 4 --expert-epochs 1 --rate-text 0.4'

fails() { # MESSAGE ARGUMENTS
    want=$1
    shift
    # shellcheck disable=SC2086
    refuses "$want" vldistill -q $small -o out.tar.zst "$@"
}

head -c 3000 experts.tar.zst >cut.tar.zst
echo 'not a shard' >text
# shellcheck disable=SC2086
{
    fails 'cut\.tar\.zst: truncated.*' $real cut.tar.zst
    fails 'pairs\.tar\.zst: .*no .*trajectory.*' $real pairs.tar.zst
    fails 'text: .*' $real text
    fails 'absent\.tar\.zst: .*No such file or directory' $real experts.tar.zst absent.tar.zst
    fails '.*wide\.tar\.zst.*experts\.tar\.zst.*|.*experts\.tar\.zst.*wide\.tar\.zst.*' $real experts.tar.zst wide.tar.zst
    fails 'expert 0 has 3 snapshots; 3 starts and 1 epochs ahead need 4' --start-max 3 $real experts.tar.zst
    fails 'expert 0 has 3 snapshots; 1 starts and 3 epochs ahead need 4' --expert-epochs 3 $real experts.tar.zst
    fails '--init k-means needs experts of scope heads.*' --init k-means --expert-epochs 2 $real experts.tar.zst
    fails '--image: the experts are of scope image, and see pixels' --image x --expert-epochs 2 $real experts.tar.zst
    fails '8 real pairs; 9 synthetic ones are asked for' --pairs 9 $real experts.tar.zst
    fails "real pairs for the experts' network: images of 16 pixels and texts of 16 numbers; the network has 16 and 32" \
        --real pairs.tar.zst --real emb16.tar.zst experts.tar.zst
    fails '.*no text embedding.*' --real pairs.tar.zst experts.tar.zst
    fails 'emb\.tar\.zst: .*no records of pairs' --real emb.tar.zst experts.tar.zst
    fails '.*hash99\.txt\.npy.*' --text hash99.txt.npy $real experts.tar.zst
    head -c 900 emb.tar.zst >cut.tar.zst
    fails 'cut\.tar\.zst: truncated.*' --real pairs.tar.zst --real cut.tar.zst experts.tar.zst

    # Rates that no cut brings down in time; and too few iterations to say so by the count.
    for j in 1 3; do
        fails '21 iterations diverged in a row: iteration 20: the inner training diverged .*' \
            -j$j --rate-image 1e9 --iterations 100 $real experts.tar.zst
        fails 'every iteration diverged, the last one at rates 4\.096e\+08 and 0\.16384' \
            -j$j --rate-image 1e9 $real experts.tar.zst
    done
    # An output that was there stays as it was.
    echo before >out.tar.zst
    run 1 vldistill -q $small --rate-image 1e9 -o out.tar.zst $real experts.tar.zst
    ok 'the old file is untouched' grep -qx before out.tar.zst
    rm out.tar.zst

    # The system fails.
    system_fails 8 vldistill -q $small $real experts.tar.zst
    absent 'out.tar.zst*'
    # Killed while it iterates: the temporary file goes.
    vldistill -q $small --iterations 10000000 -o out.tar.zst $real experts.tar.zst &
    pid=$!
    sleep 0.5
    ended_by_term $pid
    absent 'out.tar.zst*'
}

# The command line: exit 2, nothing touched.
misuse() { # MESSAGE ARGUMENTS
    want=$1
    shift
    misused "$want" vldistill -o out.tar.zst "$@"
}
run 2 vldistill
# shellcheck disable=SC2086
{
    misuse '--real is missing: the set starts from real pairs' experts.tar.zst
    misuse 'standard input \(-\) is named 2 times, it can be read once' $real - -
    misuse 'standard input \(-\) is named 2 times, it can be read once' --real - --real emb.tar.zst -
    misuse "--similarity: 'lowrank:0' is none of none, full, lowrank:RANK" --similarity lowrank:0 --loss bce $real experts.tar.zst
    misuse "--similarity: 'half' is none of none, full, lowrank:RANK" --similarity half --loss bce $real experts.tar.zst
    misuse '--similarity full: infonce takes none, ence does' --similarity full $real experts.tar.zst
    misuse '--rate-min 0.2 is more than --rate-max 0.1' --rate-min 0.2 --rate-max 0.1 $real experts.tar.zst
    misuse '.*--method.*' --method nothing $real experts.tar.zst
    misuse '--pairs: 1 is outside 2 to 100000' --pairs 1 $real experts.tar.zst
    misuse '.*--gradient.*' --gradient both $real experts.tar.zst
    misuse '.*--rate-image.*' --rate-image 0 $real experts.tar.zst
    misuse '.*--step-rates.*' --step-rates nan $real experts.tar.zst
    misuse '.*--inner-steps.*' --inner-steps 0 $real experts.tar.zst
    misuse '.*--device.*' --device cuda $real experts.tar.zst
}
