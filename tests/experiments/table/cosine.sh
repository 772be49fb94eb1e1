#!/bin/sh
# SPDX-License-Identifier: MIT
# cosine.sh -- how far the gradient without Hessian terms (tesla) points from the exact one, on trained heads at the
# published scale 1 / 0.07: 20 iterations each, T = 8, batches of 20, on real pairs that nothing moves.
set -eu

PATH=$BIN:$PATH
out=results/cosine.tsv
experts=$WORK/scale14.tar.zst
[ -e "$experts" ] || vltrain-expert -q -j "$J" --scope heads --scale 14.285714 --rate-image 0.1 --rate-text 0.1 \
    -n 4 -e 3 --seed 1 -o "$experts" "$WORK/train.feat.tar.zst"
{
    printf 'loss\trate\tmean cosine\tleast\tmost\n'
    for method in mtt-vl lors; do
        for rate in 0.01 0.1 0.3; do
            vldistill -q -j "$J" --seed 1 --method $method --gradient exact --pairs 100 --batch 20 --iterations 20 \
                --log-cosine 1 --step-image 0 --step-text 0 --step-similarity 0 --step-rates 0 \
                --rate-image $rate --rate-text $rate --run-log "$WORK/cosine.log" --real "$WORK/train.feat.tar.zst" \
                -o "$WORK/cosine.tar.zst" "$experts"
            [ $method = lors ] && loss='wbce, low rank' || loss=infonce
            sed -n 's/.*"cosine": \([-0-9.e]*\).*/\1/p' "$WORK/cosine.log" | awk -v l="$loss" -v r=$rate '
                NR == 1 { least = most = $1 }
                { s += $1; if ($1 < least) least = $1; if ($1 > most) most = $1 }
                END { printf "%s\t%s\t%.4f\t%.4f\t%.4f\n", l, r, s / NR, least, most }'
        done
    done
} >"$out.part"
mv "$out.part" "$out"
cat "$out"
