#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh -- the demonstration: real pairs out of Debian's archive, 100 synthetic ones out of them, and what
# students learn from either, on unseen pairs.
#
#   BIN=build/bin tests/experiments/demo/run.sh      (what `make demo` does; needs no root)
#
#   DEMO   folder for everything it makes [demo]
#   J      threads [processors online]; changes no byte of any shard
#
# The settings below were chosen on validation pairs (search/README.md beside this file tells how, and of the
# two looks at the test pairs in between); vleval reads the test pairs once a student.
set -eu

here=$(dirname "$0")
DEMO=${DEMO:-demo}
J=${J:-$(nproc)}
PATH=$BIN:$PATH
began=$(date +%s)
mkdir -p "$DEMO"
printf "%-10s %8s %8s\n" stage seconds GFLOP/s >"$DEMO/times.txt"

[ -t 2 ] && progress=always || progress=auto

# stage NAME N COMMAND... -- runs it and notes its seconds and the GFLOP/s that its last N tools report, summed:
# those that ran side by side. What they say goes to the terminal as they say it.
stage() {
    name=$1 n=$2
    shift 2
    echo "== $name" >&2
    rm -f "$DEMO/said" "$DEMO/saying"
    mkfifo "$DEMO/saying"
    tee "$DEMO/said" <"$DEMO/saying" >&2 &
    t0=$(date +%s.%N)
    "$@" 2>"$DEMO/saying"
    t1=$(date +%s.%N)
    wait
    rate=$(grep -o '[0-9][0-9.]* GFLOP/s' "$DEMO/said" | tail -n "$n" | awk '{ s += $1 } END { if (NR) print s }')
    awk -v n="$name" -v a="$t0" -v b="$t1" -v r="$rate" \
        'BEGIN { printf "%-10s %8.1f %8s\n", n, b - a, r ? r : "-" }' >>"$DEMO/times.txt"
    rm -f "$DEMO/said" "$DEMO/saying"
}

# ---- data: train, val and test share no concept --------------------------------------------------------
data() {
    made=$DEMO/pairs/audit.txt
    [ -e "$made" ] && [ -z "$(find "$here" -name '*.py' -newer "$made")" ] ||
        /usr/bin/python3 "$here/pairs.py" "$DEMO/state" "$DEMO/pairs"
    cat "$DEMO/pairs/audit.txt"
    /usr/bin/python3 "$here/check_splits.py" "$DEMO/pairs"
}

pack() {
    for s in train val test; do
        vlpack -j "$J" --split $s -o "$DEMO/$s.tar.zst" "$DEMO/pairs/$s.tsv"
        vlembed -j "$J" -o "$DEMO/$s.emb.tar.zst" "$DEMO/$s.tar.zst"
    done
}

# A second, untrained view of the images, for k-center alone.
coreset() {
    vlembed -j "$J" --image-model 'convnet:64x2#seed=1' --size 32 --embed-dim 512 --text-model hash768 \
        -o "$DEMO/coreset.emb.tar.zst" "$DEMO/train.tar.zst"
    vlselect -j "$J" -n 100 --method k-center --seed 1 -o "$DEMO/k-center.tar.zst" \
        "$DEMO/train.tar.zst" "$DEMO/coreset.emb.tar.zst"
}

# ---- the method ------------------------------------------------------------------------------------------
experts() {
    vltrain-expert -j "$J" --progress $progress --model convnet:64x2 --size 32 --embed-dim 512 --scale 7 \
        --experts 64 --epochs 3 --batch 64 --rate-image 0.1 --rate-text 1 --augment flip+shift2 --seed 1 \
        --run-log "$DEMO/experts.log" -o "$DEMO/experts.tar.zst" "$DEMO/train.tar.zst" "$DEMO/train.emb.tar.zst"
}

# distil_one SEED THREADS PROGRESS
distil_one() {
    vldistill -j "$2" --progress "$3" --seed "$1" --pairs 100 \
        --real "$DEMO/train.tar.zst" --real "$DEMO/train.emb.tar.zst" \
        --inner-steps 4 --warm-steps 50 --batch 50 --expert-epochs 3 --iterations 600 --rate-image 0.12 --rate-text 2 \
        --step-image 0.015 --step-text 0.002 --step-rates 0.02 --augment flip --log-cosine 200 \
        --run-log "$DEMO/distilled-$1.log" -o "$DEMO/distilled-$1.tar.zst" "$DEMO/experts.tar.zst"
}

# Two sets, side by side where there are threads for both: batches of 50 keep one core busier than two.
distil() {
    [ "$J" -gt 1 ] || {
        distil_one 1 1 $progress
        distil_one 2 1 $progress
        return
    }
    distil_one 1 $((J / 2)) never &
    first=$!
    trap 'kill $first 2>/dev/null' EXIT
    trap 'exit 130' INT TERM
    distil_one 2 $((J - J / 2)) $progress
    wait $first
    trap - EXIT INT TERM
}

evaluate() {
    vleval -j "$J" --progress $progress --seed 1 --augment flip+shift2 --grid 0.03:0.3,0.1:0.3,0.1:1,0.3:3 --multiples 0.5,1,2 --epochs 160 --readings 8 \
        --full-grid 0.1:1,0.2:2 --full-epochs 12 --full-batch 64 --full-students 2 \
        --train "$DEMO/train.tar.zst" --train "$DEMO/train.emb.tar.zst" \
        --val "$DEMO/val.tar.zst" --val "$DEMO/val.emb.tar.zst" \
        --test "$DEMO/test.tar.zst" --test "$DEMO/test.emb.tar.zst" \
        --json "$DEMO/table.json" --report "$DEMO/report.html" -o "$DEMO/table.tsv" \
        k-center="$DEMO/k-center.tar.zst" "$DEMO/distilled-1.tar.zst" "$DEMO/distilled-2.tar.zst"
    grep 'GFLOP/s together' "$DEMO/table.tsv" >&2
}

stage fetch 1 "$here/fetch.sh" "$DEMO/state"
stage data 1 data
stage pack 1 pack
stage coreset 1 coreset
stage experts 1 experts
stage distil $((J > 1 ? 2 : 1)) distil
stage evaluate 1 evaluate

echo
cat "$DEMO/table.tsv"
echo
echo "$J threads:"
cat "$DEMO/times.txt"
echo "all: $(($(date +%s) - began)) s"
echo "distilled sets: $(cd "$DEMO" && sha256sum distilled-1.tar.zst distilled-2.tar.zst | tr '\n' ' ')"
echo "report: $DEMO/report.html"
