#!/bin/sh
# SPDX-License-Identifier: MIT
# vlls-get.sh -- single records by key, over a list of shards, with and without a record index.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard

run 0 "$MK" a.tar.zst -n 40 -b 200000 -s 2 -p a
run 0 "$MK" b.tar.zst -n 3 -p b -k embeddings
run 0 "$MK" c.tar.zst -n 5 -p c -k distilled # no index: read through
cat b.tar.zst a.tar.zst >ba.tar.zst
vlls a.tar.zst >all.txt

for key in a-0-000000 a-0-000039 a-1-000007; do
    run 0 vlls --get $key a.tar.zst
    grep "^$key	" all.txt >want.txt
    same want.txt "$OUT"
done
run 0 vlls --get a-1-000001 --get a-0-000001 a.tar.zst # in the order asked for
grep '^a-1-000001	' all.txt >want.txt
grep '^a-0-000001	' all.txt >>want.txt
same want.txt "$OUT"
run 0 vlls --json --get a-1-000001 a.tar.zst
vlls --json a.tar.zst | grep '"a-1-000001"' >want.txt
same want.txt "$OUT"
run 0 vlls --get c-0-000004 c.tar.zst
out_like '^c-0-000004	'

# the first segment names the kind
run 0 vlls --get b-0-000002 ba.tar.zst
run 1 vlls --get a-0-000002 ba.tar.zst
err_is "vlls: ba.tar.zst: no record 'a-0-000002' of kind 'embeddings'"
run 1 vlls --get nobody --get a-0-000002 a.tar.zst # the others are printed all the same
err_is "vlls: a.tar.zst: no record 'nobody' of kind 'pairs'"
out_like '^a-0-000002	'

# damage elsewhere does not matter, damage here is named
cp a.tar.zst flip.tar.zst
printf 'X' | dd of=flip.tar.zst bs=1 seek=3000000 conv=notrunc 2>/dev/null
run 0 vlls --get a-0-000000 flip.tar.zst
run 1 vlls $(sed -n 's/^\(a-0-[0-9]*\)	.*/--get \1/p' all.txt) flip.tar.zst
ok 'file, record, frame and cause are named' \
    grep -qE '^vlls: flip.tar.zst: segment 0, record [0-9]+: frame [0-9]+ \(byte [0-9]+\): ' "$ERR"

run 2 vlls --get k -
err_like 'needs files'
run 2 vlls --check --get k a.tar.zst
