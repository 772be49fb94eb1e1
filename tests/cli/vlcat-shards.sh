#!/bin/bash
# SPDX-License-Identifier: MIT
# vlcat-shards.sh -- how shards are cut and put together: pieces, one table, the end mark, prefixes, names of
# members, what manifests become.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard
PATH=$PATH:${BIN%/bin}/data
id_of() { vlls --check "$1" | cut -f 5; }
keys() { vlls "$1" | cut -f 1; }
"$MK" a.tar.zst -n 10 -p a -b 3000
"$MK" three.tar.zst -s 3 -n 4 -p t

# pieces by records; put back they are what they were
run 0 vlcat -o p-%03d.tar.zst --shard-records 4 a.tar.zst
err_is 'vlcat: 10 of 10 records, 3 files'
run 0 vlls --check 'p-{000..002}.tar.zst'
out_like '^p-000.tar.zst	ok	pairs	segments=1 records=4 '
out_like '^p-002.tar.zst	ok	pairs	segments=1 records=2 '
absent p-003.tar.zst '*.tmp*'
run 0 vlcat -q --reseal -o back.tar.zst 'p-{000..002}.tar.zst'
same a.tar.zst back.tar.zst
cat p-00?.tar.zst >cat.tar.zst
run 0 vlcat -q --reseal cat.tar.zst
same a.tar.zst "$OUT"
run 0 sh -c 'cat cat.tar.zst | vlcat -q --reseal - >back.tar.zst'
same a.tar.zst back.tar.zst
mkdir q
run 0 sh -c 'cat a.tar.zst | vlcat -q -o q/p-%03d.tar.zst --shard-records 4 -'
for i in 0 1 2; do same p-00$i.tar.zst q/p-00$i.tar.zst; done

# by size, in tar bytes: a record is 3 KiB of jpg and two small members
run 0 vlcat -o s-%d.tar --shard-size 20K a.tar.zst
for i in 0 1 2 3; do
    ok "s-$i.tar holds 3 records or the rest" test "$(vlls s-$i.tar | wc -l)" -eq $((i == 3 ? 1 : 3))
done
ok 'records within the size' test "$(vlls --manifest --json s-0.tar | sed 's/.*"bytes":\([0-9]*\).*/\1/')" -le 20480
run 0 vlcat -q -o r-%d.tar --shard-size 1 a.tar.zst # a record at least
ok 'ten shards' test "$(ls r-*.tar | wc -l)" -eq 10

# segments that go on in the next piece keep manifest and parents
vlcat -q --head 9 -o nine.tar.zst a.tar.zst
run 0 vlcat -q -o n-%d.tar.zst --shard-records 5 nine.tar.zst
for i in 0 1; do
    run 0 vlls --manifest --json n-$i.tar.zst
    out_like "\"options\":\{\"head\":9\}.*\"parents\":\[\{\"content_id\":\"$(id_of a.tar.zst)\",\"kind\":\"pairs\"\}\]"
done
run 0 vlcat -q -o m-%d.tar.zst --shard-records 5 --head 9 a.tar.zst
same n-0.tar.zst m-0.tar.zst
same n-1.tar.zst m-1.tar.zst

# a set is not mixed with another, and does not stay when it fails
run 1 vlcat -o p-%03d.tar.zst --shard-records 9 a.tar.zst
err_is 'vlcat: p-000.tar.zst: exists; a set of shards is not mixed with another'
ok 'and is not touched' test "$(vlls p-000.tar.zst | wc -l)" -eq 4
head -c 9000 a.tar.zst >cut.tar.zst
run 1 vlcat -o f-%d.tar.zst --shard-records 1 three.tar.zst cut.tar.zst
absent 'f-*'
run 1 vlcat -o f-%d.tar.zst --shard-records 1 a.tar.zst a.tar.zst
err_is "vlcat: a.tar.zst: record 'a-0-000000': the key is there twice"
absent 'f-*'

# one table: of a file with three; of a pipe; kinds must be one
run 0 vlcat -q --reseal -o one.tar.zst three.tar.zst
run 0 vlls --check one.tar.zst
out_like '	segments=1 records=12 '
ok 'the records are the same' test "$(id_of one.tar.zst)" = "$(id_of three.tar.zst)"
"$MK" e.tar.zst -n 10 -p a -k embeddings
cat a.tar.zst e.tar.zst >mixed.tar.zst
run 1 vlcat --reseal -o no.tar.zst mixed.tar.zst
err_is "vlcat: mixed.tar.zst: segments that differ in 'kind' cannot become one"
run 1 vlcat --reseal -o no.tar.zst a.tar.zst e.tar.zst
err_is "vlcat: a.tar.zst, e.tar.zst: segments that differ in 'kind' cannot become one"
absent no.tar.zst

# what differs in manifests that become one is kept
mkimage png 8 8 1 >x.png
mkimage png 8 8 2 >y.png
printf 'x.png\tone\n' | vlpack -q --root . --licence CC0-1.0 --source here --split train -o l1.tar.zst -
printf 'y.png\ttwo\n' | vlpack -q --root . --licence CC-BY-4.0 --source here --split train -o l2.tar.zst -
run 0 vlcat -q --reseal -o l.tar.zst l1.tar.zst l2.tar.zst
run 0 vlls --manifest l.tar.zst
out_like '"source":"here","split":"train"'
out_like '"various":\{"licence":\["CC0-1.0","CC-BY-4.0"\]\}'
run 0 vlls --check l.tar.zst
out_like '	licence=CC-BY-4.0 of CC-BY-4.0, CC0-1.0	source=here$'
run 0 sh -c 'vlcat -q --shuffle 1 l1.tar.zst l2.tar.zst | vlls --manifest'
out_like '"cat":\[.*"shuffle":1.*"various":\{"licence":\["CC0-1.0","CC-BY-4.0"\]\}'

# the end mark: strict readers are content, others stop there, vlkit goes on
run 0 vlcat -q --seal -o sealed.tar.zst a.tar.zst
ok 'the shard and 52 bytes' test "$(stat -c %s sealed.tar.zst)" -eq $(($(stat -c %s a.tar.zst) + 52))
ok 'the same content' test "$(id_of sealed.tar.zst)" = "$(id_of a.tar.zst)"
run 0 sh -c 'cat sealed.tar.zst three.tar.zst | vlls'
ok 'vlls sees what follows' test "$(wc -l <"$OUT")" -eq 22
run 0 vlcat -q --seal -o sealed.tar a.tar.zst
run 0 sh -c 'tail -c 1024 sealed.tar | tr -d "\0" | wc -c'
out_is 0
run 0 tar -tf sealed.tar
err_is ''

# keys with another beginning; two distilled sets in one shard and out of it
run 0 vlcat -q --prefix x/ -o x.tar.zst a.tar.zst
keys x.tar.zst >got
keys a.tar.zst | sed 's,^,x/,' >want
same want got
run 0 vlcat -q --strip x/a- --prefix b- -o y.tar.zst x.tar.zst
keys y.tar.zst >got
keys a.tar.zst | sed 's,^a,b,' >want
same want got
run 0 vlcat -q --prefix '%d/' -o twice.tar.zst a.tar.zst a.tar.zst
keys twice.tar.zst >got
{ keys a.tar.zst | sed 's,^,0/,' && keys a.tar.zst | sed 's,^,1/,'; } >want
same want got
run 0 vlcat -q --key '1/*' --strip 1/ -o again.tar.zst twice.tar.zst
ok 'out again, the content id is what it was' test "$(id_of again.tar.zst)" = "$(id_of a.tar.zst)"
run 1 vlcat --strip x/ -o no.tar.zst a.tar.zst
err_is "vlcat: a.tar.zst: record 'a-0-000000': the key does not begin with 'x/'"
run 1 vlcat --prefix ../ -o no.tar.zst a.tar.zst
err_like "^vlcat: a.tar.zst: key '../a-0-000000': a part begins with"
absent 'no.tar.zst*'
python3 "$TOP/tests/data/make_pairs.py" 8 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
"$BIN/../tests/mk_text" pairs.tar.zst emb.tar.zst
"$BIN/../tests/mk_distilled" -n 4 -s 1 pairs.tar.zst emb.tar.zst d1.tar.zst
"$BIN/../tests/mk_distilled" -n 4 -s 2 pairs.tar.zst emb.tar.zst d2.tar.zst
run 1 vlcat -o no.tar.zst d1.tar.zst d2.tar.zst
err_is "vlcat: d2.tar.zst: record 'set': the key is there twice"
run 0 vlcat -q --prefix '%d/' -o both.tar.zst d1.tar.zst d2.tar.zst
run 0 vlcat -q --key '1/*' --strip 1/ -o d2.again.tar.zst both.tar.zst
ok 'the second set is itself' test "$(id_of d2.again.tar.zst)" = "$(id_of d2.tar.zst)"
run 0 vlcat -q --head 2 -o few.tar.zst d1.tar.zst
keys few.tar.zst >got
printf '%s\n' set syn-00000 syn-00001 >want
same want got
run 0 vlcat -q --range 1:2 -o few.tar.zst both.tar.zst
keys few.tar.zst >got
printf '%s\n' 0/set 0/syn-00001 1/set >want
same want got
run 1 vlcat --shuffle 1 -o no.tar.zst d1.tar.zst
err_is 'vlcat: d1.tar.zst: records of kind distilled have an order of their own'

# members
run 0 vlcat -q --drop json --rename jpg=image.jpg -o t.tar.zst a.tar.zst
run 0 vlls t.tar.zst
out_like '^a-0-000000	[0-9]+	image.jpg=3000 txt=10$'
run 0 vlcat --drop '[jt]*' -o t.tar.zst a.tar.zst
err_is "vlcat: 10 records left out: no member of theirs is left
vlcat: no record was chosen
vlcat: 0 of 10 records, 1 file"
run 0 vlcat --drop webp -o t.tar.zst a.tar.zst
err_is "vlcat: no member is called 'webp'
vlcat: 10 of 10 records, 1 file"
run 0 vlcat -q --drop png --rename txt=caption.txt -o t.tar.zst l1.tar.zst
run 0 vlls --manifest t.tar.zst
out_like '"schema":\{"caption.txt":\{"type":"text"\},"jpg"'
out_unlike '"png":'
run 1 vlcat --rename jpg=txt -o no.tar.zst a.tar.zst
err_is "vlcat: a.tar.zst: record 'a-0-000000': extension 'txt' is there twice"
absent 'no.tar.zst*' '*.tmp*'

# segments without records pass; --skip-bad says what it left out
"$MK" none.tar.zst -n 0
run 0 vlcat -q -o n.tar.zst none.tar.zst three.tar.zst
run 0 vlls --check n.tar.zst
out_like '	segments=4 records=12 '
"$MK" big.tar.zst -n 8 -b 700000
cp big.tar.zst flip.tar.zst
printf '\377\377\377' | dd of=flip.tar.zst bs=1 seek=$(($(stat -c %s big.tar.zst) / 2)) conv=notrunc 2>/dev/null
run 1 vlcat -o no.tar.zst flip.tar.zst
absent 'no.tar.zst*'
run 0 vlcat --skip-bad -o some.tar.zst flip.tar.zst
err_like '^vlcat: 1 bad frames left out, 0 segments without their ends, at least [0-9]+ records lost$'
run 0 vlls --manifest --json some.tar.zst
out_like '"input_loss":\[\{"bad_frames":1,.*"lost_records":[1-4]'
run 0 vlcat -q --skip-bad --shuffle 1 -o some2.tar.zst flip.tar.zst
run 0 vlls --manifest --json some2.tar.zst
out_like '"input_loss":\[\{"bad_frames":1,.*"lost_records":[1-4]'
head -c $(($(stat -c %s big.tar.zst) - 100)) big.tar.zst >cut.tar.zst
for how in '' --reseal '--shuffle 1' '--part 0/1' '--shard-records 100'; do
    # shellcheck disable=SC2086
    run 0 vlcat --skip-bad $how -o rest-%d.tar.zst cut.tar.zst
    err_like '^vlcat: [0-9]+ bad frames left out, 1 segments without their ends, '
    run 0 sh -c 'vlls --check rest-*.tar.zst && vlls --manifest --json rest-*.tar.zst && rm rest-*'
    out_like '"lost_tails":1'
done
run 0 vlcat -q -j1 -o j1.tar.zst big.tar.zst
run 0 vlcat -q -j4 -o j4.tar.zst big.tar.zst
same j1.tar.zst j4.tar.zst
