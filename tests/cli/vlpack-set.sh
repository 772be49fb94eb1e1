#!/bin/bash
# SPDX-License-Identifier: MIT
# vlpack-set.sh -- several numbered shards: each sealed, the same bytes at any -j, nothing half-done left.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:${BIN%/bin}/data

mkdir in one four
for i in 0 1 2 3 4 5 6 7 8 9; do
    mkimage png 40 30 $i >in/p$i.png
    printf 'picture %s\n' $i >in/p$i.txt
done
run 0 vlpack -j1 --shard-records 4 -o 'one/t-%03d.tar.zst' in
err_is 'vlpack: 10 records packed in 3 shards'
run 0 vlpack -q -j4 --shard-records 4 -o 'four/t-%03d.tar.zst' in
ok 'the same at any -j' diff -r one four
absent 'one/*.tmp*' one/t-003.tar.zst
run 0 vlls --check one/t-000.tar.zst one/t-001.tar.zst one/t-002.tar.zst
ok '4, 4 and 2' test "$(grep -o 'records=[0-9]*' "$OUT" | tr '\n' ' ')" = 'records=4 records=4 records=2 '
run 0 vlpack -q -o whole.tar.zst in
cat one/*.tar.zst >cat.tar.zst
ok 'together they are the whole' \
    test "$(vlls --check cat.tar.zst | cut -f 5)" = "$(vlls --check whole.tar.zst | cut -f 5)"

# By size: decoded bytes of records; a record that is larger has a shard of its own.
one=$(($(vlls --check whole.tar.zst | sed 's/.* raw_bytes=\([0-9]*\).*/\1/') / 10))
mkdir size tiny
run 0 vlpack -q --shard-size $((5 * one / 2)) -o 'size/t-%d.tar.zst' in
ok '5 shards' test "$(ls size | wc -l)" -eq 5
run 0 vlpack -q --shard-size 1 -o 'tiny/%09d' in
ok '10 shards' test "$(ls tiny | wc -l)" -eq 10
ok 'named with 9 digits' test -s tiny/000000009
mkdir both
run 0 vlpack -q --shard-size 1G --shard-records 5 -o 'both/%01d' in
ok '2 shards' test "$(ls both | wc -l)" -eq 2

# Keys are unique over the set; what is left out counts in the shard where it was.
printf 'in/p%s.png\tx\n' 0 1 2 0 3 >twice.tsv
run 1 vlpack --shard-records 2 -o 'out-%d' twice.tsv
err_is "vlpack: twice.tsv: record 3: in/p0.png: record 'in/p0': the key is there twice"
absent 'out-*'
printf 'in/p%s.png\tx\n' 9x 0 1 2 8x 7x 3 4 >bad.tsv
run 0 vlpack -q --skip-bad --shard-records 2 -o 'out-%d' bad.tsv
left() { vlls --manifest --json "$1" | grep -o '"left_out":[0-9]*'; }
ok 'one in the first' test "$(left out-0)" = '"left_out":1'
ok 'two in the second' test "$(left out-1)" = '"left_out":2'
ok 'none in the third' test "$(left out-2)" = '"left_out":0'

# A fault in the third shard: the first two do not stay either. A set is not mixed with another.
mkdir fault
printf 'in/p%s.png\tx\n' 0 1 2 3 4 9x >late.tsv
run 1 vlpack -q --shard-records 2 -o 'fault/%d' late.tsv
absent 'fault/*'
run 1 vlpack -q --shard-records 4 -o 'one/t-%03d.tar.zst' in
err_is 'vlpack: one/t-000.tar.zst: exists; a set of shards is not mixed with another'
ok 'which is as it was' diff -r one four

# The name; without a bound it is a name like any other.
for name in out.tar.zst 'out-%d-%d' 'out-%s' 'out-%0d' 'out-%012d' 'out-%'; do
    run 2 vlpack --shard-records 2 -o "$name" in
    err_like "^vlpack: -o: '$name' needs one place for a number, such as %06d$"
done
run 2 vlpack --shard-records 2 in
err_like '^vlpack: --shard-size and --shard-records need -o with a place for a number'
run 2 vlpack --shard-size 0 -o '%d' in
run 0 vlpack -q -o 'plain-%d' in
same plain-%d whole.tar.zst
