#!/bin/sh
# SPDX-License-Identifier: MIT
# vlls-damage.sh -- damaged and missing input, full and closed output: one line, exit 1, nothing partial.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard
one_line() { ok 'one line on stderr' test "$(wc -l <"$ERR")" -eq 1; }

run 0 "$MK" a.tar.zst -n 8 -b 700000
size=$(stat -c %s a.tar.zst)
vlls a.tar.zst >whole.txt

# cut: in the middle, before the table, inside it; the good records come first
for cut in 900 $((size / 2)) $((size - 60)) $((size - 1)); do
    head -c "$cut" a.tar.zst >cut.tar.zst
    run 1 vlls cut.tar.zst
    err_is "vlls: cut.tar.zst: truncated: no seek table, file ends at byte $cut"
    head -c "$(wc -c <"$OUT")" whole.txt >part.txt
    same part.txt "$OUT"
    cat cut.tar.zst >pipe.in
    t_rc=0
    cat pipe.in | vlls - >pipe.txt 2>pipe.err || t_rc=$?
    ok "exit 1 from a pipe" test $t_rc -eq 1
    ok "the pipe's message" grep -qx "vlls: standard input: truncated: no seek table, input ends at byte $cut" pipe.err
    same "$OUT" pipe.txt
done
ok 'records before the cut were shown' test "$(wc -l <part.txt)" -ge 6
head -c $((size / 2)) a.tar.zst >cut.tar.zst
run 1 vlls --check cut.tar.zst
out_is ''
run 1 vlls --check cut.tar.zst a.tar.zst # the rest is done all the same
out_like '^a.tar.zst	ok	'
one_line

# one flipped bit
cp a.tar.zst flip.tar.zst
at=$((size / 2))
byte=$(od -An -tu1 -j $at -N 1 flip.tar.zst)
printf "\\$(printf %o $((byte ^ 4)))" | dd of=flip.tar.zst bs=1 seek=$at conv=notrunc 2>/dev/null
no 'the files differ' cmp -s a.tar.zst flip.tar.zst
run 1 vlls --check flip.tar.zst
err_like '^vlls: flip.tar.zst: frame [0-9]+ \(byte [0-9]+\): does not decode: Restored data doesn.t match checksum$'
one_line
run 1 vlls --skip-bad flip.tar.zst
err_like '^vlls: flip.tar.zst: 1 bad frames left out, at least [1-4] records lost$'
ok 'the records around are shown' test "$(wc -l <"$OUT")" -ge 4

# what is no shard
: >empty.tar.zst
echo 'not a shard at all' >text.tar.zst
echo hello | zstd -q >foreign.tar.zst
run 1 vlls missing.tar.zst
err_is 'vlls: missing.tar.zst: open: No such file or directory'
run 1 vlls .
err_is 'vlls: .: is a folder'
run 1 vlls empty.tar.zst
err_is 'vlls: empty.tar.zst: truncated: no seek table, file ends at byte 0'
run 1 vlls text.tar.zst
err_is 'vlls: text.tar.zst: not a shard: no zstd frame: begins 6e 6f 74 20'
run 1 vlls foreign.tar.zst
err_like '^vlls: foreign.tar.zst: not a shard: '
one_line
run 2 vlls - -
run 2 vlls --no-such-option a.tar.zst

# a key twice: refused by the writer, with nothing left, and by the reader
run 1 "$MK" twice.tar.zst -d
err_is "mk_shard: record 'rec-0-000002': the key is there twice"
absent twice.tar.zst '*.tmp*'
cat a.tar.zst a.tar.zst >aa.tar.zst
run 1 vlls aa.tar.zst
err_is "vlls: aa.tar.zst: segment 1, record 0: key 'rec-0-000000' is there twice"

# output: a full disk, a limit, a closed pipe
run 1 "$MK" /dev/full
err_is 'mk_shard: /dev/full: write at byte 0: No space left on device'
run 1 sh -c 'vlls a.tar.zst >/dev/full'
err_is 'vlls: standard output: No space left on device'
run 1 sh -c 'ulimit -f 100; exec "$0" big.tar.zst -n 8 -b 700000' "$MK"
err_like '^mk_shard: big.tar.zst: write at byte [0-9]+: File too large$'
one_line
absent big.tar.zst '*.tmp*'
echo before >kept.tar.zst
run 1 sh -c 'ulimit -f 100; exec "$0" kept.tar.zst -n 8 -b 700000' "$MK"
ok 'the old file is what it was' grep -qx before kept.tar.zst
absent '*.tmp*'
run 0 "$MK" many.tar.zst -n 20000 -b 1
t_rc=0
{ vlls many.tar.zst 2>closed.err || echo $? >closed.rc; } | head -n 1 >closed.out
ok 'vlls is quiet when the pipe closes' test ! -s closed.err -a ! -e closed.rc
{ "$MK" - -n 8 -b 700000 2>closed.err || echo $? >closed.rc; } | head -c 10 >/dev/null
ok 'a writer says that the pipe closed' grep -q 'standard output: write at byte [0-9]*: Broken pipe' closed.err
ok 'and exits 1' grep -qx 1 closed.rc
