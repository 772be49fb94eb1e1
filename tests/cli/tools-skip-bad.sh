#!/bin/sh
# SPDX-License-Identifier: MIT
# tools-skip-bad.sh -- tools that read a damaged shard: they stop without --skip-bad, go on with it, say what is
# missing, and record it in what they write; through a pipe and without a seek table, too.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard

run 0 "$MK" a.tar.zst -n 12 -b 600000
size=$(stat -c %s a.tar.zst)
cp a.tar.zst flip.tar.zst
printf 'XX' | dd of=flip.tar.zst bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
head -c $((size * 2 / 3)) a.tar.zst >cut.tar.zst

for tool in 'vlembed --text-model hash:64' 'vlselect -n 3'; do
    for in in flip cut; do
        for how in file pipe; do
            from=$in.tar.zst
            [ $how = file ] || from=-
            rm -f out.tar.zst
            # shellcheck disable=SC2086
            run 1 $tool -o out.tar.zst $from <$in.tar.zst
            absent out.tar.zst
            # shellcheck disable=SC2086
            run 0 $tool --skip-bad -o out.tar.zst $from <$in.tar.zst
            err_like 'segment 0: records may be missing after .rec-0-00000'
            run 0 vlls --check out.tar.zst
            vlls --manifest --json out.tar.zst >tails.txt
            ok "$tool, $in, $how: the loss is recorded" grep -q '"input_loss":\[{"bad_frames":[1-9]' tails.txt
        done
    done
    # shellcheck disable=SC2086
    run 0 $tool --skip-bad -o out.tar.zst a.tar.zst # nothing is lost, nothing is said
    vlls --manifest --json out.tar.zst >tails.txt
    no "$tool: no loss, no record" grep -q input_loss tails.txt
done
ok 'the keys of lost records are recorded' sh -c 'vlselect -q -n 3 --skip-bad -o out.tar.zst flip.tar.zst 2>keys.txt;
    vlls --manifest --json out.tar.zst | grep -q "\"keys\":\[\"rec-0-0000"'
