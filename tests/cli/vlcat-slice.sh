#!/bin/bash
# SPDX-License-Identifier: MIT
# vlcat-slice.sh -- which records come out, from files and pipes alike, and what the manifest says of it.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard
keys() { vlls "$1" | cut -f 1; }
# both OPTIONS...: the same bytes from files, from a pipe, and from a FIFO of the shell; keeps out.tar.zst
both() {
    run 0 vlcat -q "$@" -o out.tar.zst a.tar.zst b.tar.zst
    err_is ''
    run 0 vlcat -q "$@" a.tar.zst b.tar.zst
    same out.tar.zst "$OUT"
    t_rc=0
    cat b.tar.zst | vlcat -q "$@" <(cat a.tar.zst) - >pipe.tar.zst || t_rc=1
    ok 'exit 0 from pipes' test $t_rc -eq 0
    same out.tar.zst pipe.tar.zst
    keys out.tar.zst >got
}
"$MK" a.tar.zst -n 10 -p a -b 3000
"$MK" b.tar.zst -n 7 -p b -b 900000 # several frames
keys a.tar.zst >all
keys b.tar.zst >>all
mkdir tmp
TMPDIR=$PWD/tmp
export TMPDIR

# nothing asked for: the records, the manifests, the content id of a plain cat
cat a.tar.zst b.tar.zst >cat.tar.zst
both
same all got
ok 'what cat gives' test "$(vlls --check cat.tar.zst | cut -f 3,5)" = "$(vlls --check out.tar.zst | cut -f 3,5)"
run 0 vlls --diff cat.tar.zst out.tar.zst
out_is ''
run 0 vlcat -o one.tar.zst a.tar.zst
err_is 'vlcat: 10 of 10 records, 1 file'
same a.tar.zst one.tar.zst

both --key 'a-*-00000[13]' --key 'b-*5'
printf 'a-0-00000%s\n' 1 3 >want
echo b-0-000005 >>want
same want got
printf 'b-0-000002\n\na-0-000009\n' >list
both --keys list
printf 'a-0-000009\nb-0-000002\n' >want
same want got
both --keys list --key 'b*1'
printf 'a-0-000009\nb-0-000001\nb-0-000002\n' >want
same want got
both --range 8:12
sed -n 9,12p all >want
same want got
both --range 14:
sed -n 15,17p all >want
same want got
both --range :2
sed -n 1,2p all >want
same want got
both --range 2:14 --every 5
sed -n '3p;8p;13p' all >want
same want got
both --head 3
sed -n 1,3p all >want
same want got
both --key 'b*' --range 1: --every 2 --head 2
printf 'b-0-00000%s\n' 1 3 >want
same want got

# parts: consecutive, of equal size, all there is
: >got.all
for part in 0 1 2 3; do
    both --part $part/4
    ok "part $part has 4 or 5" test "$(wc -l <got)" -eq $((part == 3 ? 5 : 4))
    cat got >>got.all
done
same all got.all
both --part 1/2 --head 2
sed -n 9,10p all >want
same want got
run 0 vlcat -o empty.tar.zst --part 0/20 a.tar.zst
err_is "vlcat: no record was chosen
vlcat: 0 of 10 records, 1 file"
run 0 vlls --check empty.tar.zst
out_like '	ok	pairs	segments=1 records=0 '

# the manifest: what was done, and to what; the rest as it was
id=$(vlls --check a.tar.zst | cut -f 5)
run 0 vlcat -q --range 2:5 -o s.tar.zst a.tar.zst
run 0 vlls --manifest --json s.tar.zst
out_like '"cat":\[\{"after":0,"options":\{"range":"2:5"\},"tool":\{"name":"vlcat","version":"[0-9.]+"\}\}\]'
out_like '"seed":1,"tool":"mk_shard"'
out_like "\"parents\":\[\{\"content_id\":\"$id\",\"kind\":\"pairs\"\}\]"
run 0 vlcat -q --keys list -o s2.tar.zst a.tar.zst b.tar.zst
run 0 vlls --manifest s2.tar.zst
out_like '"keys":\{"n":2,"xxh64":"[0-9a-f]{16}"\}'
run 0 vlcat -q --head 1 -o s3.tar.zst s2.tar.zst
run 0 vlls --manifest s3.tar.zst
out_like '"after":0,"options":\{"keys".*"after":1,"options":\{"head":1\}'

# records are counted within their kind; a kind alone
"$MK" e.tar.zst -n 10 -p a -k embeddings
cat a.tar.zst e.tar.zst >mixed.tar.zst
run 0 vlcat -q --range 4:6 -o m.tar.zst mixed.tar.zst
keys m.tar.zst >got
printf 'a-0-00000%s\n' 4 5 4 5 >want
same want got
run 0 vlls --check m.tar.zst
out_like '	mixed	segments=2 records=4 '
run 0 vlcat -q --kind embeddings -o m.tar.zst mixed.tar.zst
same e.tar.zst m.tar.zst
run 0 vlcat -q --kind pairs -o m.tar.zst mixed.tar.zst
same a.tar.zst m.tar.zst

# shuffle: every record once, another order, the same for any cut and any order of the inputs
both --shuffle 1
no 'another order' cmp -s all got
sort got >got.sorted
sort all >want
same want got.sorted
cp out.tar.zst first.tar.zst
run 0 vlcat -q --shuffle 1 -o out.tar.zst b.tar.zst a.tar.zst
keys out.tar.zst >again
same got again
run 0 vlls --check out.tar.zst
out_like '	segments=1 records=17 '
both --shuffle 2
no 'another seed, another order' cmp -s got again
both --shuffle 1 --head 4
head -n 4 again >want
same want got
run 0 vlcat -q --shuffle 1 -o m.tar.zst mixed.tar.zst
keys m.tar.zst | head -n 10 >got
keys m.tar.zst | tail -n 10 >want
same want got
ok 'pairs and embeddings stay in step' test "$(wc -l <got)" -eq 10
"$MK" many.tar.zst -n 2000 -b 1
run 0 vlcat -q --shuffle 5 -o m.tar.zst many.tar.zst
keys m.tar.zst | awk '{ split($0, p, "-"); n = p[3] + 0; s += (NR - 1) * n; up += n > last; last = n }
    END { exit !(s > 1900 * 1000 * 1000 && s < 2100 * 1000 * 1000 && up > 900 && up < 1100) }' && rc=0 || rc=1
ok 'numbers and places do not hang together' test $rc -eq 0

# brace lists and files of names, taken apart by the tool
run 0 vlcat -q -o l.tar.zst '{a,b}.tar.zst'
run 0 vlls --diff cat.tar.zst l.tar.zst
for i in 8 9 10; do "$MK" n-$(printf %03d $i).tar.zst -n 1 -p n$i; done
run 0 vlcat -q -o l.tar.zst 'n-{008..010}.tar.zst'
keys l.tar.zst >got
printf 'n%s-0-000000\n' 8 9 10 >want
same want got
run 0 vlcat -q -o l.tar.zst 'n-0{10..08}.tar.zst'
keys l.tar.zst >got
printf 'n%s-0-000000\n' 10 9 8 >want
same want got
printf 'n-009.tar.zst\n\nn-{008,010}.tar.zst\n' >names
run 0 vlcat -q -o l.tar.zst a.tar.zst @names
keys l.tar.zst | tail -n 3 >got
printf 'n%s-0-000000\n' 9 8 10 >want
same want got
cp a.tar.zst '{a,b}.tar.zst'
run 0 vlcat -q -o l.tar.zst '{a,b}.tar.zst'
same a.tar.zst l.tar.zst
absent '*.tmp*' 'tmp/*'
