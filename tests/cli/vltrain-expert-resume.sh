#!/bin/sh
# SPDX-License-Identifier: MIT
# vltrain-expert-resume.sh -- killed at random moments and resumed: nothing sealed is lost, and the bytes are
# those of a run that was left alone. KILLS says how many kills (check-long: 50).
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests
kills=${KILLS:-10}

python3 "$TOP/tests/data/make_pairs.py" 48 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_text pairs.tar.zst emb.tar.zst 64
common='--size 32 --model convnet:24x2 --embed-dim 64 --batch 16'

# reference OPTIONS: whole.tar.zst, and how long it takes.
reference() {
    t0=$(date +%s%N)
    # shellcheck disable=SC2086
    run 0 vltrain-expert -q -j1 $common "$@" -o whole.tar.zst pairs.tar.zst emb.tar.zst
    took=$((($(date +%s%N) - t0) / 1000000))
    absent 'whole.tar.zst.*'
    echo "# left alone it takes $took ms"
}

# place: the number of the next snapshot, from what a resumed run says.
place() {
    sed -n 's/.*goes on at expert \([0-9]*\), snapshot \([0-9]*\);.*/\1 \2/p' "$1" | awk '{ print $1 * 1000 + $2 }'
}

# cut_and_resume SEED KILLS OPTIONS: kills so many runs, with one or two threads, each going on with the last.
cut_and_resume() {
    seed=$1
    left=$2
    shift 2
    awk -v n="$left" -v s="$seed" 'BEGIN { srand(s); for (i = 0; i < n; i++) print 1 + i % 2, rand() }' >moments
    reached=0
    wrong=
    resumed=0
    hit=0
    while read -r threads when; do
        # shellcheck disable=SC2086
        vltrain-expert -j"$threads" $common "$@" --resume -o run.tar.zst pairs.tar.zst emb.tar.zst 2>says &
        pid=$!
        sleep "$(awk -v w="$when" -v t="$took" 'BEGIN { printf "%.3f", w * t / 1000 }')"
        kill -KILL $pid 2>/dev/null || :
        rc=0
        wait $pid 2>/dev/null || rc=$?
        [ $rc -ne 137 ] || hit=$((hit + 1))
        at=$(place says)
        [ -z "$at" ] || resumed=$((resumed + 1))
        [ "${at:-$reached}" -ge "$reached" ] || wrong="$wrong went back from $reached to $at;"
        reached=${at:-$reached}
        if [ -e run.tar.zst ]; then # it was done
            cmp -s whole.tar.zst run.tar.zst || wrong="$wrong finished with other bytes;"
            [ ! -e run.tar.zst.part ] || wrong="$wrong both names are there;"
            rm run.tar.zst
            reached=0
        elif [ -e run.tar.zst.part ]; then # the same bytes so far, sealed or not
            cmp -s -n "$(wc -c <run.tar.zst.part)" whole.tar.zst run.tar.zst.part || wrong="$wrong other bytes;"
        fi
    done <moments
    ok "$left kills:${wrong:- no partial file under the final name, the bytes so far are right}" test -z "$wrong"
    echo "# $hit of $left runs ended by it, $resumed went on with an earlier one" # chance; the cuts below always do
    # shellcheck disable=SC2086
    run 0 vltrain-expert -q $common "$@" --resume -o run.tar.zst pairs.tar.zst emb.tar.zst
    same whole.tar.zst run.tar.zst
    absent 'run.tar.zst.*'
    rm run.tar.zst
}

reference -n 3 -e 12
cut_and_resume 1 "$kills" -n 3 -e 12
run 0 vlls --check whole.tar.zst
out_like 'trajectory.*segments=39 records=39'

# Momentum's velocity is in no snapshot: the expert is trained again, to the same bytes.
reference -n 2 -e 8 --momentum 0.9
cut_and_resume 2 $(((kills + 2) / 3)) -n 2 -e 8 --momentum 0.9

# Cut at any byte: the unsealed end goes, and the rest is not trained again.
size=$(wc -c <whole.tar.zst)
for part in 0 1 3 100 $((size / 3)) $((size / 2)) $((size - 1)) "$size"; do
    head -c "$part" whole.tar.zst >cut.tar.zst.part
    # shellcheck disable=SC2086
    run 0 vltrain-expert $common -n 2 -e 8 --momentum 0.9 --resume --run-log log -o cut.tar.zst pairs.tar.zst emb.tar.zst
    same whole.tar.zst cut.tar.zst
    absent 'cut.tar.zst.*'
done
err_like 'cut\.tar\.zst\.part: goes on at expert 2, snapshot 0; 0 bytes that were not sealed are cut$'
ok 'the log of a resumed run grows' test "$(grep -c '"event": "epoch"' log)" -gt 16

# Behind a link the file lies where the link points to.
mkdir elsewhere
ln -s elsewhere/real.tar.zst link.tar.zst
: >elsewhere/real.tar.zst
# shellcheck disable=SC2086
run 0 vltrain-expert -q $common -n 2 -e 8 --momentum 0.9 -o link.tar.zst pairs.tar.zst emb.tar.zst
same whole.tar.zst elsewhere/real.tar.zst
ok 'the link is one still' test -L link.tar.zst
