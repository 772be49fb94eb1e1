#!/bin/bash
# SPDX-License-Identifier: MIT
# vlcat-bad.sh -- bad input, wrong options, a failing system: one clear line, nothing partial left.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard
"$MK" a.tar.zst -n 8 -b 700000
"$MK" b.tar.zst -n 2 -p b
size=$(stat -c %s a.tar.zst)
head -c $((size - 9)) a.tar.zst >cut.tar.zst
echo 'no shard' >text
mkdir tmp
TMPDIR=$PWD/tmp
export TMPDIR

# bad 'message' OPTIONS...: exit 1, that one line, no output, no temporary file; whatever is done to the records
bad() {
    message=$1
    shift
    for more in '' --reseal '--shuffle 1' '--part 0/2' '--to tar' '--to folder'; do
        # shellcheck disable=SC2086
        run 1 vlcat -o out $more "$@"
        err_is "vlcat: $message"
        absent 'out*' 'tmp/*'
    done
    run 1 vlcat -o out-%d --shard-records 1 "$@"
    err_is "vlcat: $message"
    absent 'out*' 'tmp/*'
}
bad "cut.tar.zst: truncated: no seek table, file ends at byte $((size - 9))" b.tar.zst cut.tar.zst
bad 'gone.tar.zst: open: No such file or directory' b.tar.zst gone.tar.zst
bad 'tmp: is a folder' tmp
bad 'text: not a shard: no zstd frame: begins 6e 6f 20 73' b.tar.zst text
run 1 vlcat b.tar.zst cut.tar.zst
err_like '^vlcat: cut.tar.zst: truncated'
cp "$OUT" stream.tar.zst
run 1 vlls stream.tar.zst
err_like 'truncated'
run 1 sh -c 'cat cut.tar.zst | vlcat -o out -'
err_is "vlcat: standard input: truncated: no seek table, input ends at byte $((size - 9))"
run 1 sh -c 'cat cut.tar.zst | vlcat --reseal -o out -'
err_is "vlcat: standard input: truncated: no seek table, file ends at byte $((size - 9))"
run 1 vlcat -o out b.tar.zst b.tar.zst
err_is "vlcat: b.tar.zst: record 'b-0-000000': the key is there twice"
run 1 vlcat -o out --key 'z*' b.tar.zst
err_is "vlcat: no record has a key like 'z*'"
run 1 vlcat -o out --key 'b*' --key 'z*' b.tar.zst
err_is "vlcat: no record has a key like 'z*'"
printf 'b-0-000000\nnone\nnor this\n' >keys
run 1 vlcat -o out --keys keys b.tar.zst
err_is "vlcat: no record has the key 'none', nor 1 others that were asked for"
run 1 vlcat -o out --keys gone b.tar.zst
err_is 'vlcat: gone: No such file or directory'
: >none
run 1 vlcat -o out --keys none b.tar.zst
err_is 'vlcat: none: no key'
head -c 2000 /dev/zero | tr '\0' x >none
run 1 vlcat -o out --keys none b.tar.zst
err_is 'vlcat: none: line 0 is no key'
run 1 vlcat -o out --kind trajectory b.tar.zst
err_is "vlcat: no segment is of kind 'trajectory'"
run 1 vlcat -o out @gone
err_is 'vlcat: gone: No such file or directory'
absent 'out*' 'tmp/*'

misuse() {
    message=$1
    shift
    run 2 vlcat "$@"
    err_is "vlcat: $message
try 'vlcat --help'"
    absent 'out*'
}
misuse 'nothing to read: no operand' -o out
for range in 3 a:b 5:2 1:2:3 -1:2 :99999999999999999999 ''; do
    run 2 vlcat -o out --range "$range" b.tar.zst
    err_like '^vlcat: --range: '
done
for part in 1 2/2 0/0 -1/2 a/b 1/; do
    run 2 vlcat -o out --part "$part" b.tar.zst
    err_like "^vlcat: --part: '.*' is not I/N, I from 0 to N - 1"
done
misuse "rename 'jpg' is not OLD=NEW" -o out --rename jpg b.tar.zst
run 2 vlcat -o out --rename jpg=.x b.tar.zst
run 2 vlcat -o out --rename JPG=x b.tar.zst
run 2 vlcat -o out --every 0 b.tar.zst
run 2 vlcat -o out --head 0 b.tar.zst
run 2 vlcat -o out --to zip b.tar.zst
misuse 'a folder needs a name: -o NAME' --to folder b.tar.zst
for out in out.npz out.safetensors out/; do
    run 2 vlcat -o $out --seal b.tar.zst
    run 2 vlcat -o $out --shard-records 2 b.tar.zst
done
misuse '--shard-size and --shard-records need -o with a place for a number, such as out-%06d.tar.zst' --shard-size 1M b.tar.zst
misuse "'out.tar.zst' needs one place for a number, such as %06d" -o out.tar.zst --shard-size 1M b.tar.zst
misuse "'out-%d-%d' needs one place for a number, such as %06d" -o out-%d-%d --shard-size 1M b.tar.zst
misuse "'out-%s' needs one place for a number, such as %06d" -o out-%s --shard-size 1M b.tar.zst
misuse '--dali-index goes with -o NAME.tar' -o out.tar.zst --dali-index b.tar.zst
misuse '--dali-index goes with -o NAME.tar' --to tar --dali-index b.tar.zst
misuse '--bare and --stack name tensors of .safetensors and .npz' -o out --stack b.tar.zst
misuse 'standard input (-) is named 2 times, it can be read once' - -
misuse 'x{1..2: a brace is not closed' -o out 'x{1..2'
misuse "x{1..b}: '{1..b}' is no range of numbers" -o out 'x{1..b}'
misuse 'x{1..9999999}: more than 1000000 names' -o out 'x{1..9999999}'
misuse 'x{a,{b,c}}: braces within braces' -o out 'x{a,{b,c}}'

# a full disk, a limit, a closed pipe, no room for the copy
for to in tar.zst tar npz safetensors; do
    "$MK" n.tar.zst -n 4 -b 100000
    vlcat -q --rename jpg=u8.bin -o n2.tar.zst n.tar.zst
    case $to in npz | safetensors) python3 "$TOP/tests/data/make_pairs.py" 4 >p.tsv && vlpack -q -o p.tar.zst p.tsv &&
        vlembed -q -o n2.tar.zst p.tar.zst ;; esac
    run 1 vlcat --to $to -o /dev/full n2.tar.zst
    err_like '^vlcat: /dev/full: .*No space left on device$'
    run 1 sh -c "vlcat --to $to n2.tar.zst >/dev/full"
    err_like '^vlcat: standard output: .*No space left on device$'
    run 1 bash -c "ulimit -f 1 && vlcat --to $to -o out n2.tar.zst"
    err_like '(out: .*File too large|temporary copy in .*: File too large)$'
    absent 'out*' 'tmp/*'
done
run 1 bash -c 'ulimit -f 100 && vlcat -o out/ a.tar.zst'
err_like '^vlcat: a.tar.zst: out/rec-0-[0-9]+.jpg: write: File too large$|^vlcat: out/rec-0-[0-9]+.jpg: write: File too large$'
run 1 bash -c 'ulimit -f 100 && vlcat --shuffle 1 -o out a.tar.zst'
err_is "vlcat: temporary copy in $TMPDIR: File too large"
run 1 bash -c 'ulimit -f 100 && cat a.tar.zst | vlcat --reseal - >/dev/null'
err_is "vlcat: standard input: temporary copy in $TMPDIR: File too large"
run 1 env TMPDIR=/nowhere vlcat --shuffle 1 -o out a.tar.zst
err_is 'vlcat: temporary copy in /nowhere: No such file or directory'
{ vlcat a.tar.zst 2>closed.err || echo $? >closed.rc; } | head -c 10 >/dev/null
ok 'says that the pipe closed' grep -q '^vlcat: standard output: write at byte [0-9]*: Broken pipe$' closed.err
ok 'and exits 1' grep -qx 1 closed.rc
echo before >kept
run 1 vlcat -o kept cut.tar.zst
ok 'the old file is what it was' grep -qx before kept
absent 'out*' 'tmp/*' '*.tmp*'
