#!/bin/sh
# SPDX-License-Identifier: MIT
# cell.sh -- one cell of the table: PROTOCOL-full, PROTOCOL-PAIRS-coresets or PROTOCOL-PAIRS-METHOD[-GRADIENT].
# Methods take their authors' settings (vldistill --method NAME --help), one pair fewer where a similarity is
# learned, as they do. Rates and epochs of students are chosen on validation pairs, for every row from the same grid.
set -eu

cell=$1
protocol=${cell%%-*}
rest=${cell#*-}
pairs=${rest%%-*}
method=${rest#*-}
[ "$protocol" = heads ] && sets=3 students=5 || sets=1 students=3
sets=${SETS:-$sets}
students=${STUDENTS:-$students}
out=results/$cell.tsv
PATH=$BIN:$PATH
mkdir -p "$WORK"
: >"$WORK/$cell.commands"

if [ "$protocol" = heads ]; then
    real="--real $WORK/train.feat.tar.zst" experts=$WORK/heads.tar.zst
    data="--protocol heads --train $WORK/train.feat.tar.zst --val $WORK/val.feat.tar.zst --test $WORK/test.feat.tar.zst"
else
    real="--real $DEMO/train.tar.zst --real $DEMO/train.emb.tar.zst" experts=$DEMO/experts.tar.zst
    data="--protocol image --augment flip+shift2"
    for s in train val test; do data="$data --$s $DEMO/$s.tar.zst --$s $DEMO/$s.emb.tar.zst"; done
fi

# say COMMAND... -- runs it and keeps its line and its seconds, without this machine's folders
say() {
    t0=$(date +%s.%N)
    "$@"
    echo "$*" | sed "s,$WORK/,,g; s,$DEMO/,,g" |
        awk -v a="$t0" -v b="$(date +%s.%N)" '{ printf "# %.1f s: %s\n", b - a, $0 }' >>"$WORK/$cell.commands"
}

# shellcheck disable=SC2086
evaluate() {
    say vleval -q -j "$J" --seed 1 $data --students "$students" -o "$WORK/$cell.table" "$@"
}

case $rest in
full) evaluate --controls chance,full --pairs 100 ;;
*-coresets) evaluate --controls random,herding,k-center,k-means,forgetting --pairs "$pairs" ;;
*)
    gradient=
    case $method in *-exact | *-tesla) gradient="--gradient ${method##*-}" method=${method%-*} ;; esac
    case $method in lors | repblend) n=$((pairs - 1)) ;; *) n=$pairs ;; esac
    made=
    for seed in $(seq "$sets"); do
        set=$WORK/$cell-$seed.tar.zst
        made="$made $method=$set"
        # shellcheck disable=SC2086
        [ -e "$set" ] || say vldistill -q -j "$J" --resume --seed "$seed" --method "$method" $gradient --pairs $n \
            ${ITERATIONS:+--iterations $ITERATIONS} $real -o "$set" "$experts"
    done
    # shellcheck disable=SC2086
    evaluate --controls none $made
    ;;
esac
{
    cat "$WORK/$cell.commands"
    grep -v '^#' "$WORK/$cell.table"
} >"$out.part"
mv "$out.part" "$out"
