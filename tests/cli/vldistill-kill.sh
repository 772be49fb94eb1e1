#!/bin/sh
# SPDX-License-Identifier: MIT
# vldistill-kill.sh -- killed at random moments, vldistill leaves nothing under the final name. KILLS says how
# many kills (check-long: 50).
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/tests
kills=${KILLS:-10}

python3 "$TOP/tests/data/make_pairs.py" 16 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
mk_text pairs.tar.zst emb.tar.zst 32
vltrain-expert -q -n 2 -e 3 --size 16 --model convnet:8x2 --embed-dim 16 --batch 8 -o experts.tar.zst pairs.tar.zst emb.tar.zst
line='vldistill -q -j1 --pairs 6 --batch 4 --iterations 60 --expert-epochs 1 --seed 1 --real pairs.tar.zst --real emb.tar.zst'

t0=$(date +%s%N)
# shellcheck disable=SC2086
run 0 $line -o whole.tar.zst experts.tar.zst
took=$((($(date +%s%N) - t0) / 1000000))

wrong=
hit=0
awk -v n="$kills" 'BEGIN { srand(4); for (i = 0; i < n; i++) print rand() }' >moments
while read -r when; do
    rm -f out.tar.zst
    # shellcheck disable=SC2086
    $line -o out.tar.zst experts.tar.zst &
    pid=$!
    sleep "$(awk -v w="$when" -v t="$took" 'BEGIN { printf "%.3f", w * t / 1000 }')"
    kill -KILL $pid 2>/dev/null || :
    rc=0
    wait $pid 2>/dev/null || rc=$?
    [ $rc -ne 137 ] || hit=$((hit + 1))
    [ ! -e out.tar.zst ] || cmp -s whole.tar.zst out.tar.zst || wrong="$wrong $when"
done <moments
ok "$kills kills: nothing partial under the final name:${wrong:- yes}" test -z "$wrong"
echo "# $hit of $kills runs ended by it"
# A run that was killed goes on where its last checkpoint was, to the same bytes: killed again and again until it
# gets through.
rm -f out.tar.zst*
tries=0
while [ ! -e out.tar.zst ] && [ $tries -lt 40 ]; do
    tries=$((tries + 1))
    # shellcheck disable=SC2086
    $line --checkpoint 0.001 --resume --run-log log -o out.tar.zst experts.tar.zst &
    pid=$!
    sleep "$(awk -v t="$took" -v n=$tries 'BEGIN { printf "%.3f", (0.4 + n / 20) * t / 1000 }')"
    kill -KILL $pid 2>/dev/null || :
    wait $pid 2>/dev/null || :
done
# The last kill may have come between the set's name and the checkpoint's end.
# shellcheck disable=SC2086
[ ! -e out.tar.zst.checkpoint ] || run 0 $line --resume --run-log log -o out.tar.zst experts.tar.zst
ok "a run killed $((tries - 1)) times ends in the same bytes" cmp -s whole.tar.zst out.tar.zst
absent out.tar.zst.checkpoint
ok 'iterations that were logged follow one another' awk -F'"iteration": ' '/"event": "iteration"/ { split($2, v, ","); if (v[1] + 0 > last + 1 && NR > 1) bad = 1; last = v[1] + 0 } END { exit bad || last != 59 }' log

# Another command does not go on with it, nor with a file that is none.
# shellcheck disable=SC2086
{
    $line --checkpoint 0.001 --iterations 4000 -o out2.tar.zst experts.tar.zst &
    pid=$!
    while [ ! -e out2.tar.zst.checkpoint ]; do sleep 0.05; done
    kill -KILL $pid
    wait $pid 2>/dev/null || :
    run 1 $line --resume -o out2.tar.zst experts.tar.zst
    err_is "vldistill: out2.tar.zst.checkpoint: another run's: its manifest has another 'options.iterations'"
    cp pairs.tar.zst out2.tar.zst.checkpoint
    run 1 $line --resume -o out2.tar.zst experts.tar.zst
    err_is 'vldistill: out2.tar.zst.checkpoint: its kind is pairs'
    run 2 $line --resume experts.tar.zst
    absent out2.tar.zst
}
rm -f out.tar.zst*
# shellcheck disable=SC2086
run 0 $line -o out.tar.zst experts.tar.zst
same whole.tar.zst out.tar.zst
