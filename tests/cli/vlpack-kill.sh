#!/bin/sh
# SPDX-License-Identifier: MIT
# vlpack-kill.sh -- killed at random moments, vlpack leaves nothing under the final name, and what was there
# before stays. KILLS says how many kills (check-long: 50).
. "$(dirname "$0")/lib.sh"
kills=${KILLS:-10}

python3 "$TOP/tests/data/make_pairs.py" 60 >some.tsv
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    awk -F'\t' -v i="$i" '{ print $1 "\t" $2 " " i }' some.tsv
done >all.tsv # keys repeat, so each copy gets a folder of its own
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    mkdir "c$i"
    cp images/* "c$i"
done
awk -F'\t' '{ n = int((NR - 1) / 60) + 1; sub("images", "c" n, $1); print $1 "\t" $2 }' all.tsv >pairs.tsv
t0=$(date +%s%N)
run 0 vlpack -q -o whole.tar.zst pairs.tsv
took=$((($(date +%s%N) - t0) / 1000000))

wrong=
hit=0
awk -v n="$kills" 'BEGIN { srand(3); for (i = 0; i < n; i++) print rand() }' >moments
n=0
while read -r when; do
    n=$((n + 1))
    rm -f out.tar.zst
    [ $((n % 2)) -eq 0 ] || echo before >out.tar.zst
    vlpack -q -o out.tar.zst pairs.tsv &
    pid=$!
    sleep "$(awk -v w="$when" -v t="$took" 'BEGIN { printf "%.3f", w * t / 1000 }')"
    kill -KILL $pid 2>/dev/null || :
    rc=0
    wait $pid 2>/dev/null || rc=$?
    [ $rc -ne 137 ] || hit=$((hit + 1))
    if [ $((n % 2)) -eq 0 ]; then
        [ ! -e out.tar.zst ] || cmp -s whole.tar.zst out.tar.zst || wrong="$wrong $n"
    else
        grep -qsx before out.tar.zst || cmp -s whole.tar.zst out.tar.zst || wrong="$wrong $n"
    fi
done <moments
ok "$kills kills: the final name is as it was, or complete:${wrong:- yes}" test -z "$wrong"
echo "# $hit of $kills runs ended by it"
ok 'some of them hit' sh -c 'ls out.tar.zst.tmp-* >/dev/null'
rm -f out.tar.zst*
run 0 vlpack -q -o out.tar.zst pairs.tsv
same whole.tar.zst out.tar.zst
